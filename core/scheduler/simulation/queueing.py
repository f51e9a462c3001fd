"""PURE: one project's stories while a week is played. The values here change; they live inside one run.

As the engine has it, only so many stories as may be at work at once are put before the strategy: by
priority, begun ones before fresh ones, then who was left alone longest. The rest wait for their own project.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from core.scheduler.account import Amounts
from core.scheduler.forecast import Durations, WeekProfile
from core.scheduler.resources import Resources
from core.scheduler.simulation.workload import LoadPhase, LoadProject, LoadStory
from core.scheduler.snapshot import TIERS, RunningTask, Task
from core.scheduler.usage import decay_factor

NONE: Amounts = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
Order = tuple[int, int, float, int]
_FIRST: Order = (-1, 0, 0.0, 0)


class Work:
    """A story on its way. `seconds_left` is of its phase, less than the whole once it was parked."""

    __slots__ = (
        "arrived_at", "begun", "ends_at", "number", "offered_at", "order", "parking", "phase_number",
        "seconds_left", "story", "task", "version", "waited",
    )  # fmt: skip

    def __init__(self, story: LoadStory, number: int) -> None:
        self.story = story
        self.number = number
        self.arrived_at = story.arrives_at
        self.phase_number = 0
        self.seconds_left = story.phases[0].seconds
        self.begun = False
        self.parking = False
        self.version = 0  # an event that has another one is old
        self.waited = 0.0  # for the strategy, before it was last taken back
        self.offered_at = self.ends_at = 0.0
        self.order: Order = (0, 0, 0.0, 0)
        self.task = Task(story.id, story.phases[0].demand)

    @property
    def phase(self) -> LoadPhase:
        return self.story.phases[self.phase_number]

    def next_phase(self) -> bool:
        """Whether there is one."""
        self.phase_number += 1
        if self.phase_number == len(self.story.phases):
            return False
        self.seconds_left = self.phase.seconds
        return True

    def rank(self, now: float) -> None:
        self.order = (TIERS[self.story.priority], not self.begun, now, self.number)
        self.waited = 0.0


class ProjectQueue:
    """`offer` and `take_back` are told what is put before the strategy and what is not any more."""

    __slots__ = (
        "_half_life_seconds", "_last", "_offer", "_ready", "_take_back", "decayed", "decayed_at", "durations",
        "offered", "open", "profile", "project", "running", "used",
    )  # fmt: skip

    def __init__(
        self,
        project: LoadProject,
        *,
        offer: Callable[[Work], None],
        take_back: Callable[[Work], None],
        at: float,
        half_life_seconds: float,
    ) -> None:
        self.project = project
        self.open = True  # by its work hours
        self.offered: dict[str, Work] = {}
        self.running: dict[str, tuple[Work, RunningTask]] = {}
        self.used: Amounts = NONE
        self.decayed: Amounts = NONE
        self.decayed_at = at
        self.profile = WeekProfile()
        self.durations = Durations()
        self._half_life_seconds = half_life_seconds
        self._last: Order = _FIRST  # none of those offered comes after it; some time ago one came there
        self._ready: list[tuple[Order, Work]] = []
        self._offer = offer
        self._take_back = take_back

    @property
    def behind(self) -> int:
        """Stories that wait for their own project."""
        return len(self._ready)

    def add(self, work: Work, now: float) -> None:
        work.rank(now)
        heappush(self._ready, (work.order, work))
        self.settle()

    def settle(self) -> None:
        """Puts before the strategy what may be, and no other."""
        if not self.open:
            for work in list(self.offered.values()):
                self._back(work)
            return
        offered, ready = self.offered, self._ready
        while ready and len(offered) + len(self.running) < self.project.parallel:
            self._forward(heappop(ready)[1])
        while ready and offered and ready[0][0] < self._last:
            last = max(offered.values(), key=_order)
            self._last = last.order
            if last.order <= ready[0][0]:
                break
            work = heappop(ready)[1]
            self._back(last)
            self._forward(work)

    def _forward(self, work: Work) -> None:
        self._last = max(self._last, work.order)
        self.offered[work.story.id] = work
        self._offer(work)

    def _back(self, work: Work) -> None:
        del self.offered[work.story.id]
        self._take_back(work)
        heappush(self._ready, (work.order, work))

    def start(self, work: Work, now: float) -> None:
        story, demand = work.story, work.phase.demand
        del self.offered[story.id]
        work.begun = True
        self.running[story.id] = (work, RunningTask(story.id, demand, now, story.priority))
        self._use(demand, 1.0, now)

    def end(self, work: Work, now: float) -> None:
        """`settle` is to be called afterwards."""
        del self.running[work.story.id]
        self._use(work.phase.demand, -1.0, now)
        if not self.running:
            self.used = NONE  # no rest of rounding

    def park(self, work: Work) -> None:
        """It ends what it does and makes place."""
        work.parking = True
        self.running[work.story.id] = (work, self.running[work.story.id][1]._replace(parking=True))

    def _use(self, demand: Resources, sign: float, now: float) -> None:
        u0, u1, u2, u3, u4, u5 = self.used
        d0, d1, d2, d3, d4, d5 = demand
        self.decay(now)
        self.used = (
            u0 + sign * d0, u1 + sign * d1, u2 + sign * d2, u3 + sign * d3, u4 + sign * d4, u5 + sign * d5
        )  # fmt: skip

    def decay(self, now: float) -> None:
        """Its use of the past up to `now`; exact, since what it holds changes nowhere in between."""
        if now > self.decayed_at:
            if self.used is not NONE or self.decayed is not NONE:
                part = decay_factor(now - self.decayed_at, self._half_life_seconds)
                o0, o1, o2, o3, o4, o5 = self.decayed
                u0, u1, u2, u3, u4, u5 = self.used
                self.decayed = (
                    o0 + part * (u0 - o0), o1 + part * (u1 - o1), o2 + part * (u2 - o2),
                    o3 + part * (u3 - o3), o4 + part * (u4 - o4), o5 + part * (u5 - o5),
                )  # fmt: skip
            self.decayed_at = now


def _order(work: Work) -> Order:
    return work.order
