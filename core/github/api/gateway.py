"""The way to GitHub: which credential a project's repository is asked with, and the sessions of all of them.

A project's own token (its secret `github.token_secret`) comes first, then the GitHub App, then GITHUB_TOKEN.
A credential has one session, whatever projects use it: GitHub counts by credential. PyGithub is imported, in
a thread, when the first one is needed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config.github_settings import GithubSettings
from config.settings import Settings
from core.clock import Clock
from core.domain.github import Link, LinkState
from core.domain.untrusted import one_line
from core.errors import OrchardError
from core.github.api.connection import AT_ONCE, Connection, Credential
from core.github.api.credentials import (
    AppCredential,
    InstallationCredential,
    TokenCredential,
    installation_of,
)
from core.github.api.facts import Rate
from core.github.api.repo import Repo
from core.github.api.threads import started
from core.github.api.trouble import GithubForbidden, GithubMissing, GithubUnauthorized, GithubUnreachable
from core.known_secrets import known_secrets
from core.security.secrets import Secrets
from core.store import github_links
from core.store.database import Store
from core.worker.remote_contract import Remote

_AGENT = "Orchard"  # GitHub wants to know which program asks
_PATIENCE_SECONDS = 120.0  # a longer wait for a limit is its caller's to plan
_ADDRESS_SECONDS = 60.0  # git's address is believed; a repository that was renamed has another one
_ACTOR = "orchard"


class GithubGateway:
    """`root`: the folder of orch-config.yaml. Settings are read at each call; what they change gets a new
    session."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], Settings],
        secrets: Secrets,
        *,
        root: Path,
        clock: Clock,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._store = store
        self._settings = settings
        self._secrets = secrets
        self._root = root
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._connections: dict[str, Connection] = {}  # by what makes it another one
        self._users: dict[str, str] = {}  # who uses which
        self._asked: dict[str, Connection] = {}  # with which a project's repository was asked last
        self._installations: dict[tuple[str, str], int] = {}
        self._tokens: dict[tuple[str, str], tuple[int, str]] = {}  # projects' secrets by version
        self._handing = asyncio.Lock()
        self._addressed: dict[tuple[str, str], tuple[float, str]] = {}  # when git's address was asked for

    async def repo(self, project: str) -> Repo:
        """Of the project's link. Raises NotFound without one, GithubUnauthorized without a credential."""
        link = await self._store.read(lambda conn: github_links.get(conn, project))
        self._asked[project] = connection = await self._connection(link)
        return Repo(connection, link)

    async def named(self, project: str, repository: str) -> Repo:
        """As `repo`, for a repository (OWNER/NAME) that the project is not linked with yet."""
        link = Link(
            project=project,
            repository=repository,
            repository_id=None,
            default_branch="",
            clone_url="",
            html_url="",
            state=LinkState.NEW,
            trouble="",
            linked_by="",
            linked_at=self._clock.now(),
            synced_at=None,
            cursor="",
            comments_cursor="",
            configured=False,
        )
        return Repo(await self._connection(link), link)

    async def remote(self, project: str) -> Remote | None:
        """Where its commits go, and with what right (core.orchestrator.remote_access). None: no link. GitHub
        is asked for the address now and then. Raises GithubError, also for one that is not GitHub's."""
        link = await self._store.read(lambda conn: github_links.find(conn, project))
        if link is None:
            return None
        connection = await self._connection(link)
        url = await self._address(connection, link)
        if not is_at(url, git_origin(self._github().api_url)):
            raise GithubForbidden(
                f"The git of {link.repository} is not shown the credential: it is not where the API is.",
                why=f"{self._github().api_url} says that it is at {one_line(url, 100) or 'no address'}.",
                hint="See that global.github.api_url is the address of GitHub's API, with https.",
            )
        token = await connection.credential.token()
        # The user's name does not count; this one is GitHub's own for an app's token.
        shown = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
        known_secrets.learn((shown, f"Basic {shown}"))
        return Remote(repository=link.repository, url=url, header=f"Authorization: Basic {shown}")

    async def _address(self, connection: Connection, link: Link) -> str:
        """What was said last will do for a while, and while there is no answer."""
        key, now = (link.project, link.named or link.repository), self._clock.monotonic()
        asked_at, said = self._addressed.get(key, (0.0, ""))
        if said and now - asked_at < _ADDRESS_SECONDS:
            return said
        try:
            said = (await Repo(connection, link).about()).clone_url
        except GithubUnreachable:
            if not link.clone_url:
                raise
            return link.clone_url
        self._addressed[key] = (now, said)
        return said

    def rate(self, project: str) -> Rate | None:
        """Of the credential that its repository was asked with last; None: it was not asked yet."""
        asked = self._asked.get(project)
        return None if asked is None else asked.rate()

    def rates(self) -> tuple[Rate, ...]:
        """Of each credential that was used."""
        return tuple(each.rate() for each in self._connections.values())

    async def close(self) -> None:
        for each in self._connections.values():
            each.close()
        self._connections.clear()
        self._users.clear()

    def _github(self) -> GithubSettings:
        return self._settings().global_.github

    async def _connection(self, link: Link) -> Connection:
        settings = self._settings()
        own = settings.projects.get(link.project)
        if own is None:  # whose token it would be asked with is not known: another's sees other things
            raise GithubUnauthorized(
                f"Which credential {link.repository} is asked with is not known.",
                why=f"The settings of {link.project} cannot be used.",
                hint="Mend them: orchard doctor says what is wrong.",
            )
        if (name := own.github.token_secret) is not None:
            token = await self._own_token(link.project, name)
            return await self._with_token(f"the secret {name} of {link.project}", token)
        if settings.global_.github.app_id is not None:
            return await self._of_installation(link)
        if settings.github_token is not None:
            return await self._with_token("GITHUB_TOKEN", settings.github_token.get_secret_value())
        raise GithubUnauthorized(
            f"Orchard has no credential for {link.repository}.",
            why="Neither GITHUB_TOKEN nor a GitHub App is set, nor a token of the project's own.",
            hint="Put GITHUB_TOKEN into .env, or name the project's secret: github.token_secret.",
        )

    async def _own_token(self, project: str, name: str) -> str:
        """Handed out again only when it was rotated: each time is a row of the audit log. One asks for it
        after the other, so that several at once are one row, and the older never comes last."""
        async with self._handing:
            listed = {each.name: each.version for each in await self._secrets.listed(project)}
            version, token = self._tokens.get((project, name), (0, ""))
            if name in listed and listed[name] == version:
                return token
            try:
                handed = await self._secrets.hand_out(project, (name,), actor=_ACTOR, process="GitHub's API")
            except OrchardError as error:
                raise GithubUnauthorized(error.message, why=error.why, hint=error.hint) from error
            token = handed.environment((), {})[name].strip()
            self._tokens[project, name] = (listed.get(name, 0), token)
            return token

    async def _with_token(self, name: str, token: str) -> Connection:
        if not (token.isascii() and token.isprintable() and token and " " not in token):
            raise GithubUnauthorized(
                f"{name[0].upper()}{name[1:]} is no token.",
                why="It is empty, or holds what no token holds, such as a space or a line's end.",
                hint="Set it anew, as GitHub showed it.",
            )
        digest = hashlib.sha256(token.encode()).hexdigest()
        return await self._session(name, digest, lambda: TokenCredential(name, token))

    async def _of_installation(self, link: Link) -> Connection:
        github = self._github()
        assert github.app_id is not None
        assert github.app_private_key_file is not None
        app_id, key_file = github.app_id, self._root / github.app_private_key_file
        wire = await _wire_module()
        app = await self._session(
            f"app {app_id}",
            f"app {app_id} {key_file}",
            lambda: AppCredential(app_id, key_file, wire.app_token),
        )
        number = github.app_installation_id or await self._installation(app, link)
        name = f"app {app_id} installation {number}"
        return await self._session(
            name,
            f"{name} {key_file}",
            lambda: InstallationCredential(app, number, self._clock, gone=self._installations.clear),
        )

    async def _installation(self, app: Connection, link: Link) -> int:
        key = (app.base_url + app.credential.name, link.repository)
        if key not in self._installations:
            try:
                self._installations[key] = await installation_of(app, link.repository)
            except GithubMissing as error:
                raise GithubUnauthorized(
                    f"{app.credential.name.capitalize()} is not installed for {link.repository}.",
                    why=error.why,
                    hint="Install it there, on the app's page at GitHub; or correct the repository's name.",
                    status=error.status,
                ) from error
        return self._installations[key]

    async def _session(self, user: str, what: str, credential: Callable[[], Credential]) -> Connection:
        """`user` has another one than the last time when it, or GitHub's address, is another now."""
        github = self._github()
        key = f"{github.api_url} {github.request_seconds:g} {what}"
        module = await _wire_module()
        if key not in self._connections:
            wire = module.Wire(
                github.api_url, seconds=github.request_seconds, agent=_AGENT, connections=AT_ONCE
            )
            self._connections[key] = Connection(
                credential(),
                wire,
                clock=self._clock,
                request_seconds=github.request_seconds,
                patience_seconds=self._patience_seconds,
            )
        before, self._users[user] = self._users.get(user, key), key
        if before not in self._users.values():
            self._connections.pop(before).close()
        return self._connections[key]


def git_origin(api_url: str) -> str:
    """Where the git of an API is: https://github.com of https://api.github.com, and likewise of a company's
    ghe.com; https://HOST of an Enterprise server's https://HOST/api/v3."""
    parts = urlsplit(api_url.lower())
    place = parts.netloc if parts.path.strip("/") else parts.netloc.removeprefix("api.")
    return f"{parts.scheme}://{place}"


def is_at(url: str, origin: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}".lower() == origin


async def _wire_module() -> Any:
    return await started(lambda: importlib.import_module("core.github.api.wire"), "github import")
