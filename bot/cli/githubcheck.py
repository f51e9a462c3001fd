"""What `orchard doctor` asks GitHub: whether the credential is taken, and what it may do where."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import aiohttp

from bot.cli.findings import Check
from bot.cli.session import Session, open_session
from config.loader import Configuration
from config.settings import Settings
from core.errors import OrchardError

_SECONDS = 5.0
_VERSION = "2022-11-28"
_TAKES = "It takes: contents, issues and pull requests, each read and write (docs/github.md)."


async def check_github(configuration: Configuration, root: Path) -> list[Check]:
    """Within a few seconds a repository: each is asked for with the credential that it is used with. Those of
    a project's own token and of an app are the running Orchard's to ask, where one runs."""
    settings = configuration.settings
    found = _app(configuration)
    try:
        async with open_session(root, looking=True) as session:
            wanted = await _repositories(settings, session)
            own = [each for each in wanted if _has_own(settings, each[0])]
            asked = [await _access(session, *each) for each in own]
    except OrchardError:  # what is wrong with the store is said there
        wanted, own, asked = _named(settings), [], []
    rest = [each for each in wanted if each not in own]
    if settings.github_token is not None:
        found += await _with_token(settings, rest)
    elif not own:
        found += _no_token(rest)
    return [*found, *asked, *_webhooks(configuration, linked=bool(wanted))]


async def _with_token(settings: Settings, wanted: list[tuple[str, str]]) -> list[Check]:
    assert settings.github_token is not None
    base = settings.global_.github.api_url.rstrip("/")
    headers = {
        "Authorization": f"Bearer {settings.github_token.get_secret_value()}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": _VERSION,
        "User-Agent": "Orchard",
    }
    try:
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            token = await _token(session, base)
            repositories = [await _repository(session, base, *each) for each in wanted]
            return [token, *(repositories if token.state == "ok" else ())]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return [
            Check(
                name="github",
                state="note",
                found=f"a token is set, but {base} could not be asked: {error or 'no answer in time'}",
                mend="Check the network. Orchard goes on by itself once GitHub answers.",
            )
        ]


def _has_own(settings: Settings, project: str) -> bool:
    """Whether it is asked with another credential than GITHUB_TOKEN."""
    own = settings.projects.get(project)
    return settings.global_.github.app_id is not None or (
        own is not None and own.github.token_secret is not None
    )


def _named(settings: Settings) -> list[tuple[str, str]]:
    projects = settings.projects.items()
    return sorted((name, each.github.repository) for name, each in projects if each.github.repository)


async def _repositories(settings: Settings, session: Session) -> list[tuple[str, str]]:
    """Project and repository: those of the settings, and those that were linked by command."""
    linked = {view.link.project: view.link.repository for view in await session.commands.repositories()}
    return sorted((dict(_named(settings)) | linked).items())


async def _access(session: Session, project: str, repository: str) -> Check:
    name = f"github {project}"
    try:
        if session.running:
            access = await session.commands.repository_access(project)
        else:
            from core.github.asking import ask_once  # PyGithub, and the store's key

            access = await ask_once(session.configuration, project, repository)
    except OrchardError as error:
        said = " ".join(part for part in (error.message, error.why) if part)
        return Check(name=name, state="missing", found=said, mend=error.hint)
    said = f"{access.repository} answers to {access.credential}"
    if access.faults:
        return Check(name=name, state="missing", found=f"{said}: {', '.join(access.faults)}", mend=_TAKES)
    return Check(name=name, state="ok", found=said)


def _no_token(wanted: list[tuple[str, str]]) -> list[Check]:
    if not wanted:
        return [Check(name="github", state="note", found="no project is linked with a repository")]
    names = ", ".join(name for name, _ in wanted)
    return [
        Check(
            name="github",
            state="missing",
            found=f"no token, and {names} should be asked for at GitHub",
            mend="Put GITHUB_TOKEN into .env (docs/github.md says what it has to be allowed), or set an app.",
        )
    ]


async def _token(session: aiohttp.ClientSession, base: str) -> Check:
    async with session.get(f"{base}/user") as answer:
        if answer.status == 401:
            return Check(
                name="github",
                state="missing",
                found=f"{base} refuses GITHUB_TOKEN",
                mend="Put a token that is in force into .env: GitHub, Settings, Developer settings.",
            )
        if answer.status not in (200, 403):  # an installation's token is nobody's
            return Check(name="github", state="note", found=f"{base} answered {answer.status}")
        who = str((await answer.json()).get("login", "")) if answer.status == 200 else ""
        scopes = answer.headers.get("x-oauth-scopes")
        left, limit = (answer.headers.get(f"x-ratelimit-{name}", "?") for name in ("remaining", "limit"))
    said = f"the token is {who or 'an app'}'s, at {base}; {left} of {limit} requests left this hour"
    if scopes and not {"repo", "public_repo"} & {each.strip() for each in scopes.split(",")}:
        return Check(
            name="github",
            state="missing",
            found=f"{said}; its scopes are {scopes}",
            mend="A classic token needs the scope repo (public_repo for public repositories).",
        )
    return Check(name="github", state="ok", found=said)


async def _repository(session: aiohttp.ClientSession, base: str, project: str, repository: str) -> Check:
    async with session.get(f"{base}/repos/{repository}") as answer:
        facts: dict[str, Any] = await answer.json() if answer.status == 200 else {}
    if not facts:
        return Check(
            name=f"github {project}",
            state="missing",
            found=f"{repository} is not there for this token (GitHub answered {answer.status})",
            mend="Give the token the repository, or link the project with another one.",
        )
    may = facts.get("permissions") or {}
    faults = []
    if may and not may.get("push"):
        faults.append("the token may not push to it")
    if facts.get("archived"):
        faults.append("it is archived")
    if not facts.get("has_issues", True):
        faults.append("its issues are switched off")
    called = str(facts.get("full_name") or repository)
    renamed = f" (called {called} now)" if called.casefold() != repository.casefold() else ""
    if faults:
        return Check(
            name=f"github {project}",
            state="missing",
            found=f"{repository}{renamed}: {', '.join(faults)}",
            mend=_TAKES,
        )
    return Check(name=f"github {project}", state="ok", found=f"{repository}{renamed} can be pushed to")


def _app(configuration: Configuration) -> list[Check]:
    settings = configuration.settings.global_.github
    if settings.app_id is None or settings.app_private_key_file is None:
        return []
    path = configuration.root / settings.app_private_key_file
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        said = f"the private key of app {settings.app_id} cannot be read: {error.strerror}"
        return [Check(name="github app", state="missing", found=said, mend=f"Put it at {path}, mode 0600.")]
    if mode & 0o077:
        said = f"others may read {path}"
        return [Check(name="github app", state="missing", found=said, mend=f"chmod 600 {path}")]
    return [Check(name="github app", state="ok", found=f"app {settings.app_id}, its key at {path}")]


def _webhooks(configuration: Configuration, *, linked: bool) -> list[Check]:
    """Only where somebody wants them, or would."""
    settings = configuration.settings
    web = settings.global_.web
    named = any(each.github.webhook_secret for each in settings.projects.values())
    if not settings.github_webhook_secrets and not named:
        if not linked:
            return []
        said = "GitHub is asked again and again: no GITHUB_WEBHOOK_SECRET, so no webhook is taken"
        mend = "For news within a second: docs/github.md, Webhooks."
        return [Check(name="github webhooks", state="note", found=said, mend=mend)]
    if not web.enabled:
        said = "a secret is set, but the web server is switched off"
        return [Check(name="github webhooks", state="missing", found=said, mend="Set web.enabled.")]
    if not web.public_url:
        said = "a secret is set, but not where GitHub reaches this Orchard"
        mend = "Set web.public_url to the address of your reverse proxy."
        return [Check(name="github webhooks", state="note", found=said, mend=mend)]
    return [Check(name="github webhooks", state="ok", found=f"{web.public_url}/webhooks/github")]
