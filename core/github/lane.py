"""One kind of work for one repository, again and again: when it is nudged, when its time has come."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import NotFound, OrchardError
from core.github.api.trouble import GithubError, GithubLimited
from core.ids import new_id
from core.wake import Wake

_log = logging.getLogger(__name__)

FIRST_SECONDS = 2.0  # after a fault; then twice as long each time
LONGEST_SECONDS = 900.0


class Lane:
    """`work` is never run twice at once, and returns in how many seconds it should be done again even without
    news; None: when there are some. What it raises is told to `failed`, and it is tried again: later
    each time, and at once when somebody nudges. `every`: seconds between two looks that nobody asked for.
    `pause`: seconds that nudges are gathered before they are acted on."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[float | None]],
        *,
        every: Callable[[], Awaitable[float]],
        failed: Callable[[GithubError, int], Awaitable[None]],
        clock: Clock,
        pause: float = 0.0,
    ) -> None:
        self._name = name
        self._work = work
        self._every = every
        self._failed = failed
        self._clock = clock
        self._pause = pause
        self._wake = Wake()
        self._busy = asyncio.Lock()
        self._held_until: datetime | None = None  # GitHub's own limit: no nudge ends that
        self._faults = 0
        self.next_at: datetime | None = None

    @property
    def is_busy(self) -> bool:
        return self._busy.locked()

    def nudge(self) -> None:
        self._wake.set()

    async def once(self) -> None:
        """Now, for somebody who waits; raises what it comes to."""
        await self._once()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            seconds = await self._look()
            self.next_at = self._clock.now() + timedelta(seconds=seconds)
            if self._faults:  # whatever nudges: what fails is not tried in a row
                await asyncio.sleep(min(seconds, FIRST_SECONDS))
                seconds -= FIRST_SECONDS
            await self._wake.rest(max(0.0, seconds))
            if self._held_until is not None:
                await asyncio.sleep(max(0.0, (self._held_until - self._clock.now()).total_seconds()))
                self._held_until = None
            if self._pause:
                await asyncio.sleep(self._pause)

    async def _look(self) -> float:
        """In how many seconds to look again."""
        try:
            again = await self._once()
        except GithubLimited as error:
            self._held_until = error.retry_at or self._clock.now() + timedelta(seconds=60)
            _log.info("%s: %s", self._name, error)
            return max(0.0, (self._held_until - self._clock.now()).total_seconds())
        except GithubError as error:
            self._faults += 1
            _log.info("%s, for the %d. time: %s", self._name, self._faults, error)
            await self._failed(error, self._faults)
        except NotFound as error:  # unlinked, and about to be ended
            self._faults += 1
            _log.info("%s: %s", self._name, error)
        except OrchardError as error:
            self._faults += 1
            _log.warning("%s: %s", self._name, error)
        except Exception:
            self._faults += 1
            _log.exception("%s: %s failed", new_id("error"), self._name)
        else:
            every = await self._every()
            return every if again is None else min(every, again)
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - so that repositories do not ask together
        return float(min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** min(self._faults - 1, 10)) * spread)

    async def _once(self) -> float | None:
        async with self._busy:
            again = await self._work()
        self._faults = 0
        return again
