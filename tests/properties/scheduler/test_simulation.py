"""What holds of every simulated week, whatever its load and its strategy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.story import Priority
from core.scheduler.builtin import BUILT_IN
from core.scheduler.resources import NOTHING, Resources
from core.scheduler.simulation.run import simulate
from core.scheduler.simulation.scenarios import MONDAY
from core.scheduler.simulation.workload import LoadPhase, LoadProject, LoadStory, Week, in_order

NAMES = ("a", "b", "c", "d")


def needs(memory_mb: float, agents: float) -> Resources:
    return Resources(agents=agents, cycles=1.0, cpu=0.1, memory_mb=memory_mb)


phases = st.builds(
    LoadPhase,
    demand=st.builds(needs, st.sampled_from([0.0, 512.0, 3000.0, 9000.0]), st.sampled_from([0.0, 1.0])),
    seconds=st.sampled_from([1.0, 59.5, 600.0, 5000.0]),
    after_seconds=st.sampled_from([0.0, 0.0, 300.0]),
)


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    count = draw(st.integers(0, 25))
    stories = [
        LoadStory(
            id=f"{name}-{number}",
            project=name,
            arrives_at=MONDAY + draw(st.sampled_from([0.0, 0.0, 100.5, 3600.0, 20000.0])),
            phases=tuple(draw(st.lists(phases, min_size=1, max_size=3))),
            priority=draw(st.sampled_from(list(Priority))),
        )
        for number in range(count)
        for name in [draw(st.sampled_from(NAMES))]
    ]
    projects = [
        LoadProject(
            name=name,
            weight=draw(st.sampled_from([0.0, 1.0, 3.0])),
            tier=draw(st.sampled_from(list(Priority))),
            guaranteed=draw(st.sampled_from([NOTHING, needs(512.0, 1.0)])),
            lends=draw(st.sampled_from([0.0, 0.5, 1.0])),
            parallel=draw(st.integers(1, 4)),
        )
        for name in NAMES
    ]
    return Week(
        name="drawn",
        starts_at=MONDAY,
        seconds=draw(st.sampled_from([600.0, 36000.0])),
        capacity=Resources(
            agents=draw(st.sampled_from([1.0, 3.0])), cycles=math.inf, cpu=1.0, memory_mb=6000.0,
            disk_mb=math.inf, tokens_per_minute=math.inf,
        ),
        projects=tuple(projects),
        stories=in_order(stories),
        max_concurrent_projects=draw(st.sampled_from([1.0, 2.0, math.inf])),
    )  # fmt: skip


class Passes:
    """Fair shares by whole passes only, as a strategy of one's own is asked."""

    name = "passes"
    decide = staticmethod(BUILT_IN["fair_share"]().decide)


@pytest.mark.parametrize("make", [*BUILT_IN.values(), Passes], ids=[*BUILT_IN, "passes"])
@given(week=weeks())
@settings(max_examples=15, deadline=None)
def test_no_story_is_lost_and_no_more_is_held_than_there_is(make: type, week: Week) -> None:
    found = simulate(week, make())
    arrived = sum(story.arrives_at < week.ends_at for story in week.stories)
    assert found.stories == arrived == found.done + found.at_work + found.waiting
    assert found.peak.fits(week.capacity)
    assert sum(project.done for project in found.projects) == found.done
    assert sum(project.waits.count for project in found.projects) == found.waits.count
    assert 0.0 <= found.waits.p50 <= found.waits.p95 <= found.waits.longest <= week.seconds
    assert 0.0 < found.jain <= 1.0 + 1e-9
    held = sum(hour.used.agents for hour in found.hours)
    assert held <= week.capacity.agents * len(found.hours) + 1e-6
    assert simulate(week, make()) == found
