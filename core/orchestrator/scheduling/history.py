"""What was used and wanted over time: the decayed use and the expectation of each project.

It lives in memory between two rebalancings and is written with each; a restart goes on from there.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.clock import Clock
from core.scheduler.forecast import Durations, WeekProfile, expected_resources, forecast
from core.scheduler.quota import Quota
from core.scheduler.resources import NOTHING, Resources
from core.scheduler.usage import HALF_LIFE_SECONDS, decayed_use
from core.store import load
from core.store.database import Store
from core.store.load import Memory, Sample
from core.store.transaction import Transaction

HORIZON_SECONDS = 3600.0
_WORTH_TELLING = 0.05  # agents; less is shown as none
_HOUR = 3600.0
# Samples are thrown away only once the clocks have agreed for this long: a wall clock that jumps ahead by
# months, and is put right soon, must not cost the history of a month.
_STEADY_SECONDS = 3600.0
_JUMP_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One project at a rebalancing. `used` is what its tasks were admitted with, `measured` what its
    processes take (None: nobody knows), `waiting` how many more could have started, of which it may use
    `most_agents` at once."""

    used: Resources
    measured: Resources | None
    allocated: Resources
    waiting: int
    most_agents: float = math.inf


@dataclass(slots=True, kw_only=True)
class _Known:
    decayed: Resources = NOTHING
    profile: WeekProfile = field(default_factory=WeekProfile)
    durations: Durations = field(default_factory=Durations)
    allocation: Quota | None = None

    @property
    def is_new(self) -> bool:
        return not self.durations.count and not any(self.profile.weights)


class History:
    """Spans are counted by the monotonic clock; the wall clock only names the hours. So one that is put
    forward or back moves what is written from then on, and nothing that was learnt."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        half_life_seconds: float = HALF_LIFE_SECONDS,
        horizon_seconds: float = HORIZON_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._half_life_seconds = half_life_seconds
        self._horizon_seconds = horizon_seconds
        self._known: dict[str, _Known] = {}
        self._recorded_at: datetime | None = None
        self._last = clock.monotonic()
        self._steady_since = self._last
        self._offset = self._wall_offset(clock.now())
        self._recording = asyncio.Lock()  # by the timer and by a person at once: one after the other

    async def load(self) -> None:
        """Goes on from the last rebalancing; while Orchard was off, nothing was held."""
        found = await self._store.read(load.memories)
        now = self._clock.now()
        self._last = self._steady_since = self._clock.monotonic()
        self._offset = self._wall_offset(now)
        for name, memory in found.items():
            away = (now - memory.sampled_at).total_seconds()
            self._known[name] = _Known(
                decayed=self._decayed(memory.decayed_use, NOTHING, away),
                profile=memory.profile,
                durations=memory.durations,
                allocation=memory.allocation,
            )
        self._recorded_at = max((memory.sampled_at for memory in found.values()), default=None)

    @property
    def recorded_at(self) -> datetime | None:
        """The last rebalancing, also an earlier run's."""
        return self._recorded_at

    def decayed_use(self, project: str) -> Resources:
        known = self._known.get(project)
        return known.decayed if known else NOTHING

    def allocation(self, project: str) -> Quota | None:
        known = self._known.get(project)
        return known.allocation if known else None

    def expected(
        self, project: str, *, now: datetime, backlog_phases: int, each: Resources, most_agents: float
    ) -> tuple[Resources, str]:
        """What the project will hold within the horizon, `each` agent's phase needing so much, and why;
        nothing and '' for a project that is new."""
        known = self._known.get(project)
        if known is None or known.is_new:
            return NOTHING, ""
        found = forecast(
            now=now.timestamp(),
            horizon_seconds=self._horizon_seconds,
            profile=known.profile,
            durations=known.durations,
            backlog_phases=backlog_phases,
            most_agents=most_agents,
        )
        return expected_resources(found, each), found.reason if found.agents >= _WORTH_TELLING else ""

    def observe_phase(self, project: str, seconds: float) -> None:
        """A phase ended after so long. Kept with the next rebalancing."""
        known = self._known.setdefault(project, _Known())
        known.durations = known.durations.observe(seconds)

    async def record(
        self, now: datetime, rows: Mapping[str, Held], quotas: Sequence[Quota], strategy: str
    ) -> None:
        """A rebalancing: what each project holds now counts for the time since the last one.

        One transaction; when it fails, all stays as it was, and the next one counts for both spans. A
        project without a row holds nothing. One that the store does not know is left out.
        """
        async with self._recording:
            at = self._clock.monotonic()
            seconds = max(at - self._last, 0.0)
            steady = self._is_steady(now, at)
            allocations = {quota.project_name: quota for quota in quotas}
            names = dict.fromkeys((*self._known, *rows))
            learnt = {name: self._learnt(name, rows.get(name), now, seconds) for name in names}
            samples = [_sample(name, held, now, seconds) for name, held in rows.items()] if seconds else []

            def work(tx: Transaction) -> frozenset[str]:
                load.add(tx, samples)
                load.remember(
                    tx,
                    [
                        Memory(
                            project=name,
                            sampled_at=now,
                            decayed_use=decayed,
                            profile=profile,
                            durations=self._durations(name),
                            allocation=allocations.get(name),
                            strategy=strategy,
                        )
                        for name, (decayed, profile) in learnt.items()
                    ],
                )
                if steady:
                    load.prune(tx, before=now - timedelta(days=load.KEPT_DAYS))
                return _registered(tx.conn)

            there = await self._store.write(work)
            self._last, self._recorded_at = at, now
            for name, (decayed, profile) in learnt.items():
                if name not in there:
                    self._known.pop(name, None)
                    continue
                known = self._known.setdefault(name, _Known())
                known.decayed, known.profile = decayed, profile
                known.allocation = allocations.get(name)

    def _learnt(
        self, name: str, held: Held | None, now: datetime, seconds: float
    ) -> tuple[Resources, WeekProfile]:
        known = self._known.get(name) or _Known()
        used = _sound(held.used) if held else NOTHING
        decayed = self._decayed(known.decayed, used, seconds)
        if held is None:
            return decayed, known.profile
        wanted = min(used.agents + held.waiting, max(held.most_agents, used.agents))
        return decayed, _observed(known.profile, now, wanted, seconds)

    def _decayed(self, old: Resources, held: Resources, seconds: float) -> Resources:
        return decayed_use(old, held, elapsed_seconds=seconds, half_life_seconds=self._half_life_seconds)

    def _durations(self, name: str) -> Durations:
        known = self._known.get(name)
        return known.durations if known else Durations()

    def _wall_offset(self, now: datetime) -> float:
        return now.timestamp() - self._clock.monotonic()

    def _is_steady(self, now: datetime, at: float) -> bool:
        offset = now.timestamp() - at
        if abs(offset - self._offset) > _JUMP_SECONDS:
            self._steady_since = at
        self._offset = offset
        return at - self._steady_since >= _STEADY_SECONDS


def _registered(conn: sqlite3.Connection) -> frozenset[str]:
    return frozenset(row["name"] for row in conn.execute("SELECT name FROM projects"))


def _observed(profile: WeekProfile, now: datetime, agents: float, seconds: float) -> WeekProfile:
    """Hour by hour, back from now: a rebalancing may stand for up to a day."""
    end, left = now.timestamp(), min(seconds, 168 * _HOUR)
    while left > 0.0:
        part = min(left, end % _HOUR or _HOUR)
        # An instant on the hour's edge would count for the hour that begins there.
        profile = profile.observe(at=end - part / 2, agents=agents, seconds=part)
        end, left = end - part, left - part
    return profile


def _sample(name: str, held: Held, now: datetime, seconds: float) -> Sample:
    return Sample(
        project=name,
        at=now,
        seconds=seconds,
        used=_sound(held.used),
        measured=held.measured,
        allocated=held.allocated,
        waiting=max(held.waiting, 0),
    )


def _sound(amounts: Resources) -> Resources:
    """A figure that makes no sense would stay in the decayed use for weeks."""
    return Resources(*[one if math.isfinite(one) and one > 0.0 else 0.0 for one in amounts])
