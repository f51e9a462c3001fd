from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.domain.lifecycles import CycleState
from core.domain.story import Cycle
from core.orchestrator.slots import ProjectSlots, Slots, choose

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cycle(project, number):
    return Cycle(
        story_id=f"{project}-{number}", project=project, state=CycleState.DESIGN, attempt=1, base_commit=None,
        red_commit=None, head_commit=None, session_id=None, spec="", feedback="", blocked_reason="",
        merge_commit=None, generation=0, started_at=NOW, updated_at=NOW,
    )  # fmt: skip


def slots(total=20, concurrent=10, agents=3, parallel=2, projects="abc"):
    own = ProjectSlots(max_parallel_agents=agents, max_parallel_cycles=parallel)
    return Slots(
        max_total_agents=total, max_concurrent_projects=concurrent, projects=dict.fromkeys(projects, own)
    )


def test_projects_take_turns():
    waiting = [cycle("a", n) for n in (1, 2, 3)] + [cycle("b", 1)]
    started = choose(waiting, {}, slots(total=3)).start
    assert [c.story_id for c in started] == ["a-1", "b-1", "a-2"]


def test_the_one_that_runs_least_goes_first():
    started = choose([cycle("a", 2), cycle("b", 1)], {"a": 1}, slots(total=2)).start
    assert [c.story_id for c in started] == ["b-1"]


def test_each_limit_is_named():
    choice = choose([cycle("a", 3)], {"a": 2}, slots())
    assert choice.waits["a-3"] == "waits: a runs 2 of its 2 parallel stories."
    assert "max_total_agents" in choose([cycle("a", 1)], {"b": 1}, slots(total=1)).waits["a-1"]
    assert "max_concurrent_projects" in choose([cycle("a", 1)], {"b": 1}, slots(concurrent=1)).waits["a-1"]
    assert "not configured" in choose([cycle("z", 1)], {}, slots()).waits["z-1"]


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 30)), unique=True, max_size=40),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2)),
    st.integers(1, 8), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
)  # fmt: skip
def test_limits_hold_and_nothing_is_forgotten(waiting, running, total, concurrent, agents, parallel):
    limits = slots(total, concurrent, agents, parallel, projects="abc")
    cycles = [cycle(project, number) for project, number in waiting]
    choice = choose(cycles, running, limits)
    counts = dict(running)
    for started in choice.start:
        counts[started.project] = counts.get(started.project, 0) + 1
    if choice.start:
        assert sum(counts.values()) <= max(total, sum(running.values()))
        assert sum(1 for n in counts.values() if n) <= max(concurrent, sum(1 for n in running.values() if n))
    for started in choice.start:
        assert counts[started.project] <= min(agents, parallel)
    named = {c.story_id for c in choice.start} | set(choice.waits)
    assert named == {c.story_id for c in cycles}
    assert len(choice.start) + len(choice.waits) == len(cycles)
