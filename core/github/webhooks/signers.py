"""Who may sign deliveries of webhooks: Orchard, by GITHUB_WEBHOOK_SECRET, and projects by their own secret.

A project's own secret is good for that project's repository alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from config.settings import Settings
from core.clock import Clock
from core.errors import OrchardError
from core.github.webhooks.signature import is_signed
from core.known_secrets import known_secrets
from core.security.secrets import Secrets

log = logging.getLogger(__name__)

_SMALL = 64 * 1024  # bytes; what is larger is not hashed in the event loop
_LOOK_SECONDS = 1.0  # projects' secrets are not looked up more often


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """`by`: the projects whose own secret it was; None: Orchard's."""

    by: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Own:
    """A project's secret. `version` counts its rotations."""

    name: str
    version: int
    value: str


class Signers:
    def __init__(self, settings: Callable[[], Settings], secrets: Secrets, clock: Clock) -> None:
        self._settings = settings
        self._secrets = secrets
        self._clock = clock
        self._own: dict[str, _Own] = {}
        self._looked: float | None = None
        self._looking = asyncio.Lock()

    async def signed(self, said: str, body: bytes) -> Signed | None:
        """None: by nobody who may. `said`: the header's value."""
        orchards = tuple(each.get_secret_value() for each in self._settings().github_webhook_secrets)
        known_secrets.learn(orchards)
        if await _is_signed(said, body, orchards):
            return Signed(by=None)
        if (by := await self._signers(said, body)) or (
            await self._look() and (by := await self._signers(said, body))
        ):
            return Signed(by=by)
        return None

    @property
    def expected(self) -> bool:
        """Whether there is any secret at all."""
        settings = self._settings()
        own = any(project.github.webhook_secret for project in settings.projects.values())
        return own or bool(settings.github_webhook_secrets)

    async def _signers(self, said: str, body: bytes) -> frozenset[str]:
        named = self._named()
        found = set()
        for project, own in tuple(self._own.items()):
            if named.get(project) == own.name and await _is_signed(said, body, (own.value,)):
                found.add(project)
        return frozenset(found)

    def _named(self) -> dict[str, str]:
        return {
            name: project.github.webhook_secret
            for name, project in self._settings().projects.items()
            if project.github.webhook_secret
        }

    async def _look(self) -> bool:
        """Takes over what was set or rotated meanwhile; a value is handed out, and so recorded, once for each
        of its versions. False: nothing can be new yet."""
        was_looked = self._looking.locked()  # for another delivery: what it finds is new to this one, too
        async with self._looking:
            now = self._clock.monotonic()
            if self._looked is not None and now - self._looked < _LOOK_SECONDS:
                return was_looked and bool(self._own)
            self._looked = now
            self._own = await self._found()
            return bool(self._own)

    async def _found(self) -> dict[str, _Own]:
        found: dict[str, _Own] = {}
        for project, name in self._named().items():
            try:
                own = await self._current(project, name)
            except OrchardError as error:
                log.warning("deliveries signed by %s cannot be checked: %s", project, error)
                continue
            if own is not None:
                found[project] = own
        return found

    async def _current(self, project: str, name: str) -> _Own | None:
        """None: no such secret is set. Raises OrchardError."""
        versions = {each.name: each.version for each in await self._secrets.listed(project)}
        if (version := versions.get(name)) is None:
            log.warning("%s has no secret %s, with which its webhook should sign", project, name)
            return None
        before = self._own.get(project)
        if before is not None and (before.name, before.version) == (name, version):
            return before
        handed = await self._secrets.hand_out(project, (name,), actor="orchard", process="its webhook")
        value = handed.environment((), {})[name]
        known_secrets.learn((value,))
        return _Own(name=name, version=version, value=value)


async def _is_signed(said: str, body: bytes, secrets: tuple[str, ...]) -> bool:
    if not secrets:
        return False
    if len(body) <= _SMALL:
        return is_signed(said, body, secrets)
    return await asyncio.to_thread(is_signed, said, body, secrets)
