"""When a credential may send its next request: GitHub's limits, and changes no faster than it likes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.github.api.limits import Heard, hear
from core.github.api.trouble import GithubLimited

# "Wait at least one second between each request" that changes something, and at most 80 a minute:
# https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
_AT_ONCE = 20
_SECONDS_EACH = 1.0

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Pace:
    """Of one credential. Who waits holds no thread and no place; `patience_seconds`: beyond that it is told
    when to come again (GithubLimited)."""

    credential: str
    clock: Clock
    patience_seconds: float
    sleep: Sleep = asyncio.sleep
    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    _until: datetime | None = None
    _refused: int = 0  # in a row
    _saved: float = _AT_ONCE  # changes that may go at once
    _counted_at: float | None = None

    def heard(self, status: int, headers: Mapping[str, str], body: str) -> bool:
        """Whether the answer was a limit's refusal: then the request was not carried out."""
        now = self.clock.now()
        found: Heard = hear(status, headers, body, now, self._refused)
        if found.limit is not None:
            self.limit, self.remaining, self.resets_at = found.limit, found.remaining, found.resets_at
        if found.wait_until is not None and (self._until is None or found.wait_until > self._until):
            self._until = found.wait_until
        self._refused = self._refused + 1 if found.refused else 0
        return found.refused

    @property
    def waits_until(self) -> datetime | None:
        return self._until if self._until is not None and self._until > self.clock.now() else None

    async def clear(self) -> None:
        """Returns when GitHub has us wait no more. Raises GithubLimited where that takes too long."""
        while (until := self.waits_until) is not None:
            seconds = (until - self.clock.now()).total_seconds()
            if seconds > self.patience_seconds:
                raise limited(self.credential, until)
            await self.sleep(seconds)
            if self._until == until:  # it was slept through, whatever became of the clock
                self._until = None

    async def change(self) -> None:
        """Returns when one more change may be made; one waits at a time."""
        now = self.clock.monotonic()
        since = 0.0 if self._counted_at is None else now - self._counted_at
        self._saved = min(_AT_ONCE, self._saved + since / _SECONDS_EACH)
        self._counted_at = now
        if self._saved < 1:
            await self.sleep((1 - self._saved) * _SECONDS_EACH)
            self._saved, self._counted_at = 1.0, self.clock.monotonic()
        self._saved -= 1


def limited(credential: str, until: datetime) -> GithubLimited:
    at = (until + timedelta(seconds=1)).strftime("%H:%M:%S")
    return GithubLimited(
        f"GitHub's limit for {credential} is used up until {at} UTC.",
        why="So many requests were made with it within the hour, or too many at once.",
        hint="Orchard goes on by itself then.",
        retry_at=until,
    )
