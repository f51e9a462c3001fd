"""What Orchard shows GitHub: a token, or what a GitHub App makes itself.

An app signs who it is with its private key (a JWT, for minutes) and gets a token for an installation with
that (for an hour). The token is renewed before it expires, and once when GitHub refuses it. Each is learned
by known_secrets before it is used.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from core.clock import Clock
from core.github.api.answer import Answer
from core.github.api.connection import Connection
from core.github.api.parsers import obj, parse_json, text_of, time_of
from core.github.api.threads import started
from core.github.api.trouble import GithubMissing, GithubUnauthorized, GithubUnreachable
from core.known_secrets import known_secrets

_RENEWED_BEFORE = timedelta(minutes=5)

SignToken = Callable[[int, str], str]  # the app's id and its private key to a JWT; raises ValueError


class TokenCredential:
    """A personal access token, classic or fine-grained."""

    def __init__(self, name: str, token: str) -> None:
        known_secrets.learn((token,))
        self.name = name
        self._token = token

    async def token(self) -> str:
        return self._token

    async def refused(self) -> bool:
        return False

    async def login(self, ask: Callable[[str], Awaitable[Answer]]) -> str:
        return _word(await ask("/user"), "login")


class AppCredential:
    """The app itself: it may ask who it is, where it is installed, and for an installation's token."""

    def __init__(self, app_id: int, key_file: Path, sign: SignToken) -> None:
        self.name = f"the app {app_id}"
        self._app_id = app_id
        self._key_file = key_file
        self._sign = sign

    async def token(self) -> str:
        token = await started(self._signed, self.name)
        known_secrets.learn((token,))
        return token

    async def refused(self) -> bool:
        return False

    async def login(self, ask: Callable[[str], Awaitable[Answer]]) -> str:
        return f"{_word(await ask('/app'), 'slug')}[bot]"

    def _signed(self) -> str:
        """Reads the key each time, so that one that was replaced needs no restart."""
        name = str(self._key_file)
        try:
            if stat.S_IMODE(self._key_file.stat().st_mode) & 0o077:
                raise GithubUnauthorized(
                    f"The private key of {self.name} is not private.",
                    why=f"Others than its owner may read {name}.",
                    hint=f"chmod 600 {name}",
                )
            key = self._key_file.read_text("ascii")
            known_secrets.learn((key, key.strip()))
            return self._sign(self._app_id, key)
        except OSError as error:
            raise GithubUnauthorized(
                f"The private key of {self.name} cannot be read.",
                why=f"{name}: {error.strerror or error}.",
                hint="global.github.app_private_key_file says where it is.",
            ) from error
        except ValueError as error:
            raise GithubUnauthorized(
                f"{name} is no private key of a GitHub App.",
                why="It is not PEM, or not an RSA key.",
                hint="Make a new one on the app's page at GitHub, and put the file there as it came.",
            ) from error


class InstallationCredential:
    """An app's installation: what it may do in the repositories that it was installed for. `gone` is called
    when there is no such installation any more: made again, it has another number."""

    def __init__(self, app: Connection, installation: int, clock: Clock, *, gone: Callable[[], None]) -> None:
        self.name = f"{app.credential.name} (installation {installation})"
        self._app = app
        self._installation = installation
        self._clock = clock
        self._gone = gone
        self._renewing = asyncio.Lock()
        self._token = ""
        self._expires_at: datetime | None = None

    async def token(self) -> str:
        async with self._renewing:
            if self._expires_at is None or self._clock.now() > self._expires_at - _RENEWED_BEFORE:
                await self._renew()
            return self._token

    async def refused(self) -> bool:
        self._expires_at = None
        return True

    async def login(self, ask: Callable[[str], Awaitable[Answer]]) -> str:
        """An installation may not ask who it is; its app may."""
        return await self._app.login()

    async def _renew(self) -> None:
        path, what = f"/app/installations/{self._installation}/access_tokens", f"give a token for {self.name}"
        try:
            answer = await self._app.change("POST", path, {}, what=what, again=True)
        except GithubMissing as error:
            self._gone()
            raise GithubUnauthorized(
                f"{self.name[0].upper()}{self.name[1:]} is there no more.",
                why=error.why,
                hint="Install the app for the repository again, on its page at GitHub.",
                status=error.status,
            ) from error
        token = _word(answer, "token")
        known_secrets.learn((token,))
        expires = time_of(obj(parse_json(answer.text)).get("expires_at"))
        self._token = token
        self._expires_at = (
            datetime.fromisoformat(expires) if expires else self._clock.now() + 2 * _RENEWED_BEFORE
        )


async def installation_of(app: Connection, repository: str) -> int:
    """Raises GithubMissing where the app is not installed."""
    answer = await app.read(
        f"/repos/{repository}/installation", what=f"say where {app.credential.name} is installed"
    )
    found = obj(parse_json(answer.text)).get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    raise not_understood(f"say where {app.credential.name} is installed")


def _word(answer: Answer, name: str) -> str:
    if found := text_of(obj(parse_json(answer.text)).get(name)):
        return found
    raise not_understood(f"say its {name}")


def not_understood(what: str) -> GithubUnreachable:
    return GithubUnreachable(
        f"GitHub did not {what}.",
        why="Its answer was none that GitHub's API gives.",
        hint="See that global.github.api_url is the API's address, and no proxy answers in its place.",
    )
