"""PURE: what is measured while a week is played. Grows with the run it belongs to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from core.scheduler.account import Amounts
from core.scheduler.resources import Resources
from core.scheduler.sharing import share_out
from core.scheduler.simulation.outcome import (
    QUANTILES,
    Hour,
    Outcome,
    ProjectOutcome,
    Waits,
    jain,
    quantile,
    used_part,
)
from core.scheduler.simulation.queueing import NONE, ProjectQueue
from core.scheduler.simulation.workload import Week

HOUR_SECONDS = 3600.0


class Meter:
    def __init__(self, week: Week) -> None:
        self.waits: dict[str, list[float]] = {project.name: [] for project in week.projects}
        self.used: Amounts = NONE
        self.peak: Amounts = NONE
        self.waiting = 0  # phases that are before the strategy
        self.preemptions = self.phases = self.done = 0
        self.turnaround = 0.0
        self.done_of: dict[str, int] = dict.fromkeys(self.waits, 0)
        self._week = week
        self._inverse = tuple(1.0 / there if 0.0 < there < math.inf else 0.0 for there in week.capacity)
        self._guaranteed = {
            project.name: _finite(project.guaranteed.share(week.capacity)) for project in week.projects
        }
        self._at = week.starts_at
        self._sums = [0.0] * 7  # of the hour: what was held times the seconds, and what waited
        self._hours: list[Hour] = []
        self._samples = self._contended = 0
        self._held: dict[str, float] = dict.fromkeys(self.waits, 0.0)
        self._due: dict[str, float] = dict.fromkeys(self.waits, 0.0)

    def advance(self, now: float) -> None:
        """To be called before anything changes at `now`; hours are to be passed one by one."""
        seconds = now - self._at
        if seconds > 0.0:
            sums = self._sums
            if self.used is not NONE:
                for at, amount in enumerate(self.used):
                    sums[at] += amount * seconds
            sums[6] += self.waiting * seconds
            self._at = now

    def hour(self, now: float) -> None:
        """An hour (or what there is of the last one) is over; `advance` was called."""
        start = self._week.starts_at + len(self._hours) * HOUR_SECONDS
        if (length := now - start) > 0.0:
            means = [amount / length for amount in self._sums]
            self._hours.append(Hour(at=start, used=Resources(*means[:6]), waiting=means[6]))
            self._sums = [0.0] * 7

    def hold(self, demand: Sequence[float], sign: float) -> None:
        u0, u1, u2, u3, u4, u5 = self.used
        d0, d1, d2, d3, d4, d5 = demand
        self.used = used = (
            u0 + sign * d0, u1 + sign * d1, u2 + sign * d2, u3 + sign * d3, u4 + sign * d4, u5 + sign * d5
        )  # fmt: skip
        if sign > 0.0:
            p0, p1, p2, p3, p4, p5 = self.peak
            u0, u1, u2, u3, u4, u5 = used
            if u0 > p0 or u1 > p1 or u2 > p2 or u3 > p3 or u4 > p4 or u5 > p5:
                self.peak = (
                    max(u0, p0), max(u1, p1), max(u2, p2), max(u3, p3), max(u4, p4), max(u5, p5)
                )  # fmt: skip

    def sample(self, queues: Iterable[ProjectQueue]) -> None:
        """What each has and what it could count on; only while there is not enough is fairness a question.

        What is due is the max-min fair share by weight, not below the guarantee's and not above what the
        project wants: what others leave is due to those who want more.
        """
        self._samples += 1
        if not self.waiting:
            return
        self._contended += 1
        names, weights, floors, held, wanted = [], [], [], [], []
        for queue in queues:
            if not queue.running and not queue.offered:
                continue
            name = queue.project.name
            names.append(name)
            weights.append(max(queue.project.weight, 0.0))
            floors.append(self._guaranteed[name])
            held.append(self._share(queue.used))
            wanted.append(self._wanted(queue) if queue.offered else held[-1])
        for name, has, due in zip(names, held, share_out(1.0, weights, floors, wanted), strict=True):
            self._held[name] += has
            self._due[name] += due

    def _share(self, amounts: Sequence[float]) -> float:
        i0, i1, i2, i3, i4, i5 = self._inverse
        a0, a1, a2, a3, a4, a5 = amounts
        return max(a0 * i0, a1 * i1, a2 * i2, a3 * i3, a4 * i4, a5 * i5)

    def _wanted(self, queue: ProjectQueue) -> float:
        demands = [work.phase.demand for work in queue.offered.values()]
        return self._share([sum(column) for column in zip(queue.used, *demands, strict=True)])

    def outcome(
        self,
        strategy: str,
        *,
        patience_seconds: float,
        stories_of: Mapping[str, int],
        at_work: int,
        waiting: int,
        problems: tuple[str, ...],
    ) -> Outcome:
        """`waits` holds those that still wait by now, too."""
        week, every = self._week, sorted(wait for waits in self.waits.values() for wait in waits)
        samples = max(self._contended, 1)
        projects = tuple(
            ProjectOutcome(
                name=project.name,
                weight=project.weight,
                held=self._held[project.name] / samples,
                due=self._due[project.name] / samples,
                waits=Waits.of(sorted(self.waits[project.name]), patience_seconds),
                stories=stories_of.get(project.name, 0),
                done=self.done_of[project.name],
            )
            for project in week.projects
        )
        arrived = sum(stories_of.values())
        spans = [
            *[HOUR_SECONDS] * (len(self._hours) - 1),
            week.seconds - (len(self._hours) - 1) * HOUR_SECONDS,
        ]
        mean = [
            math.fsum(hour.used[at] * span for hour, span in zip(self._hours, spans, strict=True))
            / week.seconds
            for at in range(6)
        ]
        return Outcome(
            strategy=strategy,
            week=week.name,
            jain=jain([one.satisfied for one in projects if one.satisfied is not None]),
            contended=self._contended / max(self._samples, 1),
            waits=Waits.of(every, patience_seconds),
            wait_quantiles=tuple(quantile(every, at / QUANTILES) for at in range(QUANTILES + 1))
            if every
            else (),
            projects=projects,
            hours=tuple(self._hours),
            utilisation=used_part(Resources(*mean), week.capacity),
            peak=Resources(*self.peak),
            capacity=week.capacity,
            stories=arrived,
            done=self.done,
            at_work=at_work,
            waiting=waiting,
            turnaround_seconds=self.turnaround / self.done if self.done else None,
            phases=self.phases,
            preemptions=self.preemptions,
            problems=problems,
        )


def _finite(share: float) -> float:
    return share if share < math.inf else 0.0
