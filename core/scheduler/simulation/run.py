"""PURE: plays a week of load with a strategy. The strategy is the real one; only the clock is not.

Events come in the order of their times: stories arrive, phases end or are parked, projects open and close by
their work hours. After each the strategy says who starts. Ranks, patience and reclaims are made anew every
`rebalance_seconds` while something waits, as the running Orchard does when it rebalances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from heapq import heapify, heappop, heappush
from itertools import count

from core.scheduler.decision import Preemption
from core.scheduler.forecast import expected_resources, forecast
from core.scheduler.passes import PATIENCE_SECONDS
from core.scheduler.resources import NOTHING, Resources
from core.scheduler.simulation.books import Book, LiveBook, LiveStrategy, PassBook
from core.scheduler.simulation.meter import HOUR_SECONDS, Meter
from core.scheduler.simulation.outcome import Outcome
from core.scheduler.simulation.queueing import ProjectQueue, Work
from core.scheduler.simulation.workload import Week
from core.scheduler.snapshot import ProjectShare, Reclaimed, Snapshot, Task
from core.scheduler.strategy import Strategy
from core.scheduler.usage import HALF_LIFE_SECONDS
from core.scheduler.workhours import Hours, work_time

PARK_SECONDS = 300.0
_REBALANCE_SECONDS = 300.0
_PASS_SECONDS = 60.0
_MANY = 200  # projects, above which ranks are made anew and passes are run a third as often
_REMEMBERED_SECONDS = 3600.0  # of what was reclaimed; longer than any cool-down

_END, _READY, _HOURS, _TICK, _LOOK = range(5)
_Event = tuple[float, int, int, Work | list[ProjectQueue] | None, int]


def simulate(
    week: Week,
    strategy: Strategy,
    *,
    rebalance_seconds: float | None = None,
    pass_seconds: float | None = None,
    park_seconds: float = PARK_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
    tell: Callable[[float], None] | None = None,
) -> Outcome:
    """The same for the same arguments, always. `tell` hears after each hour what part is done, 0 to 1.

    `rebalance_seconds` and `pass_seconds` (of a strategy that knows only whole passes): None is 300 and 60,
    three times that above 200 projects. `patience_seconds` is what counts as waiting too long, whatever the
    strategy's own patience is.
    """
    slower = 3.0 if len(week.projects) > _MANY else 1.0
    return _Run(
        week,
        strategy,
        rebalance_seconds=_REBALANCE_SECONDS * slower if rebalance_seconds is None else rebalance_seconds,
        pass_seconds=_PASS_SECONDS * slower if pass_seconds is None else pass_seconds,
        park_seconds=park_seconds,
    ).play(patience_seconds, tell)


def compare(
    week: Week,
    strategies: Sequence[Strategy],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    tell: Callable[[str, float], None] | None = None,
) -> tuple[Outcome, ...]:
    """The same week under each of them. `tell` hears which one is at work and what part is done."""
    found = []
    for strategy in strategies:

        def heard(part: float, name: str = strategy.name) -> None:
            if tell is not None:
                tell(name, part)

        found.append(simulate(week, strategy, patience_seconds=patience_seconds, tell=heard))
    return tuple(found)


class _Run:
    def __init__(
        self,
        week: Week,
        strategy: Strategy,
        *,
        rebalance_seconds: float,
        pass_seconds: float,
        park_seconds: float,
    ) -> None:
        self._week = week
        self._strategy = strategy
        self._park_seconds = park_seconds
        self._sample_seconds = rebalance_seconds or _REBALANCE_SECONDS
        half_life = getattr(strategy, "half_life_seconds", HALF_LIFE_SECONDS)
        self._queues = {
            project.name: ProjectQueue(
                project,
                offer=self._offer,
                take_back=self._take_back,
                at=week.starts_at,
                half_life_seconds=half_life,
            )
            for project in sorted(week.projects, key=lambda project: project.name)
        }
        self._meter = Meter(week)
        self._now = week.starts_at
        self._numbers = count()
        self._events: list[_Event] = []
        self._reclaimed: list[Reclaimed] = []
        self._impossible: list[Work] = []
        self._between = 0  # stories whose next phase is not ready yet
        self._arrived: dict[str, int] = {}
        self._idle = {
            name: ProjectShare(name=name, weight=queue.project.weight, tier=queue.project.tier,
                               limit=queue.project.limit, guaranteed=queue.project.guaranteed,
                               lends=queue.project.lends)
            for name, queue in self._queues.items()
        }  # fmt: skip
        self._book: Book
        self._live = isinstance(strategy, LiveStrategy)
        self._looks_back = True
        if isinstance(strategy, LiveStrategy):
            self._looks_back = hasattr(strategy, "half_life_seconds")
            self._book = LiveBook(strategy, self._snapshot(), every_seconds=rebalance_seconds)
            self._look_seconds = rebalance_seconds
        else:
            self._book = PassBook(strategy, every_seconds=pass_seconds)
            self._look_seconds = pass_seconds
        self._look_at = -math.inf  # the next look that is an event already

    # -- time ----------------------------------------------------------------------------------

    def play(self, patience_seconds: float, tell: Callable[[float], None] | None) -> Outcome:
        week, meter = self._week, self._meter
        self._plan()
        events = self._events
        while events and events[0][0] < week.ends_at:
            self._now = now = events[0][0]
            meter.advance(now)
            while events and events[0][0] == now:
                _, _, kind, what, version = heappop(events)
                self._happen(kind, what, version, tell)
            self._decide()
        self._now = week.ends_at
        meter.advance(week.ends_at)
        meter.hour(week.ends_at)
        for queue in self._queues.values():
            for work in queue.offered.values():
                self._waited(work)
        if tell is not None:
            tell(1.0)
        return meter.outcome(
            self._strategy.name,
            patience_seconds=patience_seconds,
            stories_of=self._arrived,
            at_work=sum(len(queue.running) for queue in self._queues.values()),
            waiting=self._between
            + len(self._impossible)
            + sum(queue.behind + len(queue.offered) for queue in self._queues.values()),
            problems=(*self._book.problems, *self._unable()),
        )

    def _plan(self) -> None:
        """Everything that does not depend on what the strategy decides."""
        week = self._week
        for number, story in enumerate(week.stories):
            at = max(story.arrives_at, week.starts_at)
            self._events.append((at, next(self._numbers), _READY, Work(story, number), -1))
        for hours in {p.hours for p in week.projects if p.hours is not None}:
            queues = [queue for queue in self._queues.values() if queue.project.hours == hours]
            for at, allowed in _spells(hours, week):
                self._push(at, _HOURS, queues, int(allowed))
        for number in range(1, math.ceil(week.seconds / self._sample_seconds)):
            self._push(week.starts_at + number * self._sample_seconds, _TICK, None, 0)
        for number in range(1, math.ceil(week.seconds / HOUR_SECONDS)):
            self._push(week.starts_at + number * HOUR_SECONDS, _TICK, None, 1)
        heapify(self._events)

    def _push(self, at: float, kind: int, what: Work | list[ProjectQueue] | None, version: int) -> None:
        heappush(self._events, (at, next(self._numbers), kind, what, version))

    def _happen(
        self,
        kind: int,
        what: Work | list[ProjectQueue] | None,
        version: int,
        tell: Callable[[float], None] | None,
    ) -> None:
        if isinstance(what, Work):
            if kind == _READY:
                self._ready(what, arrives=version < 0)
            elif version == what.version:
                self._end(what)
        elif kind == _HOURS and what is not None:
            for queue in what:
                queue.open = bool(version)
                queue.settle()
        elif kind == _TICK and version == 0:
            self._meter.sample(self._queues.values())
        elif kind == _TICK:
            self._meter.hour(self._now)
            if self._looks_back:
                self._learn()
            if tell is not None:
                tell((self._now - self._week.starts_at) / self._week.seconds)

    # -- stories -------------------------------------------------------------------------------

    def _ready(self, work: Work, *, arrives: bool = False) -> None:
        queue = self._queues[work.story.project]
        if arrives:
            self._arrived[work.story.project] = self._arrived.get(work.story.project, 0) + 1
        else:
            self._between -= 1
        self._wait(queue, work)

    def _wait(self, queue: ProjectQueue, work: Work) -> None:
        demand = work.phase.demand
        if demand.fits(self._week.capacity.at_most(queue.project.limit)):
            queue.add(work, self._now)
        else:
            self._impossible.append(work)

    def _offer(self, work: Work) -> None:
        """Patience counts from when its project first wanted it, without the times at which it did not."""
        work.offered_at = self._now
        story = work.story
        work.task = Task(story.id, work.phase.demand, self._now - work.waited, story.priority)
        self._meter.waiting += 1
        self._book.submit(story.project, work.task)

    def _take_back(self, work: Work) -> None:
        work.waited += self._now - work.offered_at
        self._meter.waiting -= 1
        self._book.withdraw(work.story.project, work.story.id)

    def _waited(self, work: Work) -> None:
        self._meter.waits[work.story.project].append(work.waited + self._now - work.offered_at)

    def _start(self, project: str, task_id: str) -> None:
        queue = self._queues[project]
        work = queue.offered[task_id]
        self._waited(work)
        queue.start(work, self._now)
        self._meter.waiting -= 1
        self._meter.hold(work.phase.demand, 1.0)
        work.version += 1
        work.ends_at = self._now + work.seconds_left
        self._push(work.ends_at, _END, work, work.version)

    def _end(self, work: Work) -> None:
        """A phase is over, or was parked where it stands."""
        queue = self._queues[work.story.project]
        demand = work.phase.demand
        queue.end(work, self._now)
        self._meter.hold(demand, -1.0)
        self._book.release(work.story.project, demand)
        work.parking = False
        work.seconds_left = work.ends_at - self._now
        if work.seconds_left > 0.0:
            self._wait(queue, work)
        else:
            self._meter.phases += 1
            self._over(queue, work)
        queue.settle()

    def _over(self, queue: ProjectQueue, work: Work) -> None:
        if self._looks_back:
            queue.durations = queue.durations.observe(work.phase.seconds)
        if not work.next_phase():
            self._meter.done += 1
            self._meter.done_of[work.story.project] += 1
            self._meter.turnaround += self._now - work.arrived_at
        elif work.phase.after_seconds > 0.0:
            self._between += 1
            self._push(self._now + work.phase.after_seconds, _READY, work, 0)
        else:
            self._wait(queue, work)

    def _park(self, gone: Preemption) -> None:
        """It ends by itself in time, or is parked where it stands: what it has done is kept."""
        queue = self._queues[gone.victim]
        if gone.task_id not in queue.running:
            return
        work = queue.running[gone.task_id][0]
        if work.parking:
            return
        queue.park(work)
        self._meter.preemptions += 1
        self._reclaimed.append(Reclaimed(taker=gone.taker, victim=gone.victim, at=self._now))
        until = self._now + self._park_seconds
        if until < work.ends_at:
            work.version += 1
            self._push(until, _END, work, work.version)

    # -- deciding ------------------------------------------------------------------------------

    def _decide(self) -> None:
        if not self._meter.waiting:
            return
        for project, task_id in self._book.starts():
            self._start(project, task_id)
        if not self._meter.waiting:
            return
        starts, preemptions = self._book.anew(self._now, self._snapshot)
        for project, task_id in starts:
            self._start(project, task_id)
        for gone in preemptions:
            self._park(gone)
        if self._meter.waiting and self._look_at <= self._now:
            self._look_at = self._now + (self._look_seconds or _PASS_SECONDS)
            self._push(self._look_at, _LOOK, None, 0)

    def _snapshot(self) -> Snapshot:
        now = self._now
        self._reclaimed = [one for one in self._reclaimed if now - one.at <= _REMEMBERED_SECONDS]
        return Snapshot(
            now=now,
            capacity=self._week.capacity,
            projects=tuple([self._share(name, queue) for name, queue in self._queues.items()]),
            max_concurrent_projects=self._week.max_concurrent_projects,
            reclaimed=tuple(self._reclaimed),
        )

    def _share(self, name: str, queue: ProjectQueue) -> ProjectShare:
        if not queue.offered and not queue.running and not self._looks_back:
            return self._idle[name]
        project = queue.project
        decayed = NOTHING
        if self._looks_back:
            queue.decay(self._now)
            decayed = Resources(*queue.decayed)
        return ProjectShare(
            name=name,
            weight=project.weight,
            tier=project.tier,
            guaranteed=project.guaranteed,
            limit=project.limit,
            used=Resources(*queue.used) if queue.running else NOTHING,
            waiting=tuple([work.task for work in queue.offered.values()]),
            running=tuple([task for _, task in queue.running.values()]),
            lends=project.lends,
            decayed_use=decayed,
            expected=self._expected(queue),
        )

    def _expected(self, queue: ProjectQueue) -> Resources:
        """Only where it counts: what is expected of a guarantee is not lent."""
        if queue.durations.count == 0 or (self._live and queue.project.guaranteed is NOTHING):
            return NOTHING
        wanted = forecast(
            now=self._now,
            horizon_seconds=HOUR_SECONDS,
            profile=queue.profile,
            durations=queue.durations,
            backlog_phases=len(queue.offered) + len(queue.running) + queue.behind,
            most_agents=queue.project.limit.agents,
        )
        return expected_resources(wanted, queue.project.each)

    def _learn(self) -> None:
        """What was wanted in the hour that is over, as far as its end shows."""
        for queue in self._queues.values():
            wanted = len(queue.running) + len(queue.offered)
            if wanted or queue.durations.count:
                queue.profile = queue.profile.observe(at=self._now - 1.0, agents=wanted, seconds=HOUR_SECONDS)

    def _unable(self) -> list[str]:
        found = []
        for work in self._impossible[:3]:
            limit = self._queues[work.story.project].project.limit
            found.append(
                f"{work.story.id} needs more than "
                f"{'its project may have' if not work.phase.demand.fits(limit) else 'there is'}: "
                "it can never start."
            )
        if (more := len(self._impossible) - 3) > 0:
            found.append(f"So do {more} more.")
        return found


def _spells(hours: Hours, week: Week) -> list[tuple[float, bool]]:
    """When work is allowed and when not any more, from the start of the week."""
    found, at = [], week.starts_at
    while at < week.ends_at:
        spell = work_time(datetime.fromtimestamp(at, UTC), hours)
        found.append((at, spell.allowed))
        if spell.until is None:
            break
        at = spell.until.timestamp()
    return found
