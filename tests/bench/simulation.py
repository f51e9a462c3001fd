"""A week of load under each strategy, against a simulator that starts whoever came first."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from core.scheduler.builtin import BUILT_IN
from core.scheduler.simulation.run import simulate
from core.scheduler.simulation.scenarios import Scenario, synthetic
from core.scheduler.simulation.workload import Week
from tests.bench.figure import Figure

_BAR_SECONDS = 30.0  # for 1,000 projects and seven days


def measure(*, projects: int = 1000, days: float = 7.0) -> list[Figure]:
    week = synthetic(Scenario.MIXED, projects=projects, days=days)
    plain = _took(lambda: first_come(week))
    figures = []
    for name, make in BUILT_IN.items():
        began = time.perf_counter()
        found = simulate(week, make())
        took = time.perf_counter() - began
        whole = projects >= 1000 and days >= 7.0
        figures.append(
            Figure(
                what=f"a week of {projects:,} projects, {name}",
                value=f"{took:.1f} s",
                baseline=f"{plain:.1f} s",
                ratio=took / plain,
                bar=f"<= {_BAR_SECONDS:g} s" if whole else "",
                holds=took <= _BAR_SECONDS if whole else None,
                note=f"{found.stories:,} stories, {found.phases:,} phases, Jain's index {found.jain:.2f}, "
                f"p95 wait {found.waits.p95 / 60:.0f} min; baseline: first come, first served",
            )
        )
    return figures


def first_come(week: Week) -> int:
    """Phases that ended. One queue for all; no weights, guarantees, hours, patience or measuring."""
    events: list[tuple[float, int, int]] = [
        (story.arrives_at, number, 0) for number, story in enumerate(week.stories)
    ]
    waiting: deque[tuple[int, int]] = deque()
    running: set[int] = set()
    free, ended = week.capacity, 0
    while events and events[0][0] < week.ends_at:
        now, number, phase = heappop(events)
        story = week.stories[number]
        if number in running:
            running.discard(number)
            free = free.plus(story.phases[phase].demand)
            ended, phase = ended + 1, phase + 1
        if phase < len(story.phases):
            waiting.append((number, phase))
        while waiting:
            first, at = waiting[0]
            needed = week.stories[first].phases[at]
            if not needed.demand.fits(free):
                break
            waiting.popleft()
            running.add(first)
            free = free.minus(needed.demand)
            heappush(events, (now + needed.seconds, first, at))
    return ended


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
