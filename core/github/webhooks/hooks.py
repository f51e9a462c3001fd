"""A repository's webhook to this Orchard: what to enter at GitHub for it, or made there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from urllib.parse import urlsplit

from config.settings import Settings
from core.errors import InvalidInput, NotAllowed
from core.github.api.gateway import GithubGateway
from core.github.api.trouble import GithubForbidden, GithubMissing
from core.known_secrets import known_secrets
from core.orchestrator.github_views import HookView
from core.security.secrets import Secrets
from core.store import github_links
from core.store.database import Store

PATH = "/webhooks/github"
CONTENT_TYPE = "application/json"
EVENTS = (
    "check_run",
    "check_suite",
    "create",
    "delete",
    "issue_comment",
    "issues",
    "label",
    "milestone",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "push",
    "repository",
    "status",
)


class Hooks:
    def __init__(
        self, store: Store, gateway: GithubGateway, settings: Callable[[], Settings], secrets: Secrets
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._settings = settings
        self._secrets = secrets

    async def hook(self, project: str, url: str, make: bool) -> HookView:
        """`make`: made at GitHub, or brought up to date where it is there. Raises InvalidInput for a URL that
        is none, NotAllowed without a secret, and GithubError."""

        def look(conn: sqlite3.Connection) -> tuple[str, str]:
            link = github_links.get(conn, project)
            return link.repository, link.html_url

        repository, page = await self._store.read(look)
        address = payload_url(url) if url else ""
        named, value = await self._secret(project, make)
        if make:
            if not address:
                raise InvalidInput(
                    "GitHub has to be told where this Orchard is.",
                    hint="Set web.public_url, or say it: --url https://orchard.example.org",
                )
            if not value:
                raise NotAllowed(
                    "A webhook without a secret could be anybody's.",
                    hint="Set GITHUB_WEBHOOK_SECRET in .env, then try it again.",
                )
            await self._make(project, address, value)
        return HookView(
            project=project,
            repository=repository,
            settings_url=f"{page}/settings/hooks" if page else "",
            payload_url=address,
            content_type=CONTENT_TYPE,
            events=EVENTS,
            secret=named,
            problem=self._problem(address, named),
            made=make,
        )

    async def _make(self, project: str, address: str, secret: str) -> None:
        repo = await self._gateway.repo(project)
        try:
            there = [one for one in await repo.hooks() if one.url == address]
            if there:
                await repo.edit_hook(there[0].id, address, secret=secret, events=EVENTS)
            else:
                await repo.create_hook(address, secret=secret, events=EVENTS)
        except GithubMissing as error:  # GitHub's way to say so
            raise GithubForbidden(
                "The credential may not make webhooks.",
                why="It takes the right to administer the repository.",
                hint=f"Enter it by hand: orchard github hook {project} shows what.",
            ) from error

    async def _secret(self, project: str, handed: bool) -> tuple[str, str]:
        """What it is called, and where it is `handed` out its value."""
        settings = self._settings()
        own = settings.projects.get(project)
        if own is not None and (name := own.github.webhook_secret):
            if not handed:
                return f"the secret {name} of {project}", ""
            given = await self._secrets.hand_out(project, (name,), actor="orchard", process="its webhook")
            value = given.environment((), {})[name]
            known_secrets.learn((value,))
            return f"the secret {name} of {project}", value
        if settings.github_webhook_secrets:
            return "GITHUB_WEBHOOK_SECRET", settings.github_webhook_secrets[0].get_secret_value()
        return "", ""

    def _problem(self, address: str, secret: str) -> str:
        web = self._settings().global_.web
        if not web.enabled:
            return "Orchard's web server is switched off (web.enabled), so no webhook can come."
        if not address:
            return "GitHub has to reach this Orchard: set web.public_url, or say it by --url."
        if not secret:
            return "Set GITHUB_WEBHOOK_SECRET in .env: what is not signed is not taken."
        if address.startswith("http://"):
            return "It comes unencrypted: whoever is on the way reads what GitHub says of the repository."
        return ""


def payload_url(url: str) -> str:
    """Raises InvalidInput."""
    said = url.strip()
    parts = urlsplit(said)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(
            f"'{said[:200]}' is no address of a web server.", hint="Say it as https://orchard.example.org"
        )
    base = said.rstrip("/")
    return base if base.endswith(PATH) else base + PATH
