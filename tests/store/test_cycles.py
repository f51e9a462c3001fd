from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import product

import pytest

from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.lifecycles import (
    CYCLE,
    CycleEvent,
    CycleState,
    Phase,
    ProjectStatus,
    WorkflowState,
)
from core.domain.project import Project
from core.domain.story import Cycle, Priority, Story, StoryState
from core.errors import InvalidInput, InvalidTransition, LostRace, NotFound
from core.store import approvals, cycles, leases, stories
from core.store.transaction import Transaction

NewCycle = Callable[..., Cycle]
PassedTo = Callable[[Transaction, Cycle, CycleState], Cycle]
GOING = [state for state in CycleState if state.phase is not None]


@pytest.fixture(autouse=True)
def _shop(tx: Transaction, new_project: Callable[..., Project]) -> None:
    new_project(tx)


def ids(conn: sqlite3.Connection) -> list[str]:
    return [cycle.story_id for cycle in cycles.runnable(conn)]


def test_a_cycle_begins_at_design(tx: Transaction, new_cycle: NewCycle) -> None:
    cycle = new_cycle(tx)
    assert cycle == cycles.get(tx.conn, "shop-1")
    assert (cycle.state, cycle.attempt, cycle.generation) == (CycleState.DESIGN, 1, 0)
    assert cycle.started_at == cycle.updated_at == tx.now
    assert cycles.get(tx.conn, "shop-2") is None


def test_a_cycle_begins_once_and_only_for_a_story(
    tx: Transaction, new_cycle: NewCycle, new_story: Callable[..., Story]
) -> None:
    new_cycle(tx)
    with pytest.raises(LostRace, match="already"):
        cycles.begin(tx, stories.get(tx.conn, "shop-1"))
    ghost = new_story(tx)
    tx.conn.execute("DELETE FROM stories WHERE id = ?", (ghost.id,))
    with pytest.raises(NotFound):
        cycles.begin(tx, ghost)


@pytest.mark.parametrize(("state", "event"), [*product(CycleState, CycleEvent)], ids=lambda value: value.name)
def test_every_pair_of_state_and_event(
    tx: Transaction,
    new_cycle: NewCycle,
    later: Callable[[float], Transaction],
    state: CycleState,
    event: CycleEvent,
) -> None:
    new_cycle(tx)
    tx.conn.execute("UPDATE cycles SET state = ?, attempt = 3", (state.value,))
    before, next_tx = cycles.get(tx.conn, "shop-1"), later(1)
    new = CYCLE.get((state, event))
    if new is None:
        with pytest.raises(InvalidTransition):
            cycles.move(next_tx, "shop-1", event, state=state)
        assert cycles.get(tx.conn, "shop-1") == before
    else:
        moved = cycles.move(next_tx, "shop-1", event, state=state, head_commit="h")
        assert moved == cycles.get(tx.conn, "shop-1")
        assert (moved.state, moved.attempt, moved.head_commit) == (new, 1, "h")
        assert moved.updated_at == next_tx.now


@pytest.mark.parametrize("expected", [state for state in GOING if state is not CycleState.CODE_GREEN])
def test_a_cycle_that_is_elsewhere_is_a_lost_race(
    tx: Transaction, new_cycle: NewCycle, passed_to: PassedTo, expected: CycleState
) -> None:
    here = passed_to(tx, new_cycle(tx), CycleState.CODE_GREEN)
    for change in (
        lambda: cycles.move(tx, "shop-1", CycleEvent.PASSED, state=expected),
        lambda: cycles.retry(tx, "shop-1", state=expected, feedback="f"),
        lambda: cycles.block(tx, "shop-1", state=expected, reason="r"),
        lambda: cycles.patch(tx, "shop-1", state=expected, spec="s"),
    ):
        with pytest.raises(LostRace, match="moved on") as caught:
            change()
        assert f"expected in {expected}" in caught.value.why
    assert cycles.get(tx.conn, "shop-1") == here


def test_a_retry_keeps_the_session_unless_given(tx: Transaction, new_cycle: NewCycle) -> None:
    new_cycle(tx)
    cycles.patch(tx, "shop-1", state=CycleState.DESIGN, session_id="s1")
    again = cycles.retry(tx, "shop-1", state=CycleState.DESIGN, feedback="better")
    assert (again.attempt, again.feedback, again.session_id) == (2, "better", "s1")
    again = cycles.retry(tx, "shop-1", state=CycleState.DESIGN, feedback="", session_id=None)
    assert (again.attempt, again.session_id) == (3, None)


def test_blocked_once_and_unblocked_once(tx: Transaction, new_cycle: NewCycle) -> None:
    new_cycle(tx)
    cycles.retry(tx, "shop-1", state=CycleState.DESIGN, feedback="")
    with pytest.raises(LostRace, match="moved on"):
        cycles.unblock(tx, "shop-1", "help")
    with pytest.raises(InvalidInput):
        cycles.block(tx, "shop-1", state=CycleState.DESIGN, reason=" ")
    cycles.block(tx, "shop-1", state=CycleState.DESIGN, reason="out of retries")
    with pytest.raises(LostRace, match="moved on"):
        cycles.block(tx, "shop-1", state=CycleState.DESIGN, reason="again")
    cycle = cycles.unblock(tx, "shop-1", "use a set")
    assert (cycle.blocked_reason, cycle.attempt, cycle.feedback) == ("", 1, "use a set")


def test_an_aborted_cycle_is_not_blocked_and_cannot_be_unblocked(
    tx: Transaction, new_cycle: NewCycle
) -> None:
    new_cycle(tx)
    cycles.block(tx, "shop-1", state=CycleState.DESIGN, reason="out of retries")
    aborted = cycles.move(tx, "shop-1", CycleEvent.ABORTED, state=CycleState.DESIGN)
    assert aborted.blocked_reason == ""
    with pytest.raises(LostRace):
        cycles.unblock(tx, "shop-1", "")


def test_a_patch_of_what_is_no_column_is_refused(tx: Transaction, new_cycle: NewCycle) -> None:
    new_cycle(tx)
    with pytest.raises(TypeError, match="generation"):
        cycles.patch(tx, "shop-1", state=CycleState.DESIGN, generation=7)  # type: ignore[call-arg]


def test_a_story_without_a_cycle(tx: Transaction) -> None:
    with pytest.raises(NotFound, match="no cycle"):
        cycles.move(tx, "shop-1", CycleEvent.PASSED, state=CycleState.DESIGN)


def test_cycles_of_a_project(
    tx: Transaction, new_cycle: NewCycle, new_project: Callable[..., Project]
) -> None:
    new_project(tx, "post")
    one, two = new_cycle(tx), new_cycle(tx, "post")
    assert cycles.of_project(tx.conn, "shop") == (one,)
    assert set(cycles.of_project(tx.conn)) == {one, two}


# -- runnable


def test_most_urgent_first_then_longest_untouched_then_by_number(
    tx: Transaction, new_cycle: NewCycle, later: Callable[[float], Transaction]
) -> None:
    for priority in (Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.CRITICAL, Priority.NORMAL):
        new_cycle(tx, priority=priority)
    cycles.patch(later(1), "shop-2", state=CycleState.DESIGN, spec="s")
    assert ids(tx.conn) == ["shop-4", "shop-3", "shop-5", "shop-2", "shop-1"]
    assert ids(tx.conn) == [cycle.story_id for cycle in cycles.runnable(tx.conn, "shop")]
    assert cycles.runnable(tx.conn, "post") == ()


def test_over_blocked_leased_and_taken_out_are_not_runnable(tx: Transaction, new_cycle: NewCycle) -> None:
    for _ in range(5):
        new_cycle(tx)
    cycles.move(tx, "shop-1", CycleEvent.ABORTED, state=CycleState.DESIGN)
    cycles.block(tx, "shop-2", state=CycleState.DESIGN, reason="r")
    leases.claim(tx, "shop-3", phase=Phase.DESIGN, owner="w", lease_seconds=1)
    stories.move(tx, "shop-4", StoryState.ACTIVE, StoryState.SKIPPED)
    assert ids(tx.conn) == ["shop-5"]
    leases.release(tx, "shop-3", 1)
    cycles.unblock(tx, "shop-2", "")
    assert sorted(ids(tx.conn)) == ["shop-2", "shop-3", "shop-5"]


def test_a_pending_merge_approval_holds_and_a_permission_does_not(
    tx: Transaction, new_cycle: NewCycle
) -> None:
    new_cycle(tx)
    for kind in ApprovalKind:
        asked = approvals.ask(
            tx,
            project="shop",
            story_id="shop-1",
            kind=kind,
            subject=kind,
            question="?",
            detail="",
            reasons=(),
        )
        assert ids(tx.conn) == ([] if kind is ApprovalKind.MERGE else ["shop-1"])
        approvals.answer(tx, asked.id, state=ApprovalState.APPROVED, by="cli", reason="")
        assert ids(tx.conn) == ["shop-1"]


@pytest.mark.parametrize(("status", "workflow"), [*product(ProjectStatus, WorkflowState)])
def test_only_an_active_project_in_an_active_sprint_runs(
    tx: Transaction, new_cycle: NewCycle, status: ProjectStatus, workflow: WorkflowState
) -> None:
    new_cycle(tx)
    tx.conn.execute("UPDATE projects SET status = ?, workflow = ?", (status.value, workflow.value))
    runs = (status, workflow) == (ProjectStatus.ACTIVE, WorkflowState.SPRINT_ACTIVE)
    assert ids(tx.conn) == (["shop-1"] if runs else [])
    if not runs:
        with pytest.raises(LostRace, match="cannot be claimed"):
            leases.claim(tx, "shop-1", phase=Phase.DESIGN, owner="w", lease_seconds=1)


def test_runnable_is_quick_and_scans_no_table(
    tx: Transaction, new_project: Callable[..., Project], new_cycle: NewCycle, conn: sqlite3.Connection
) -> None:
    conn.execute("BEGIN")
    for number in range(20):
        name = new_project(tx, f"p{number}").name
        for _ in range(50):
            new_cycle(tx, name)
    # As in life: most stories of a project are done, a few are open.
    conn.execute("UPDATE cycles SET state = 'done' WHERE cast(substr(story_id, -2) AS INTEGER) % 10 <> 0")
    conn.execute("COMMIT")
    plan = conn.execute(
        f"EXPLAIN QUERY PLAN SELECT c.* FROM projects p, cycles c, stories s WHERE {cycles.RUNNABLE}"
    )
    steps = [row["detail"] for row in plan]
    assert not [step for step in steps if step.startswith("SCAN") and "INDEX" not in step], steps
    hundreds: list[int] = []
    conn.set_progress_handler(lambda: hundreds.append(100), 100)  # of SQLite's own instructions
    found = cycles.runnable(conn)
    conn.set_progress_handler(None, 0)
    assert len(found) == 100
    assert sum(hundreds) < 500 * len(found)  # measured: 206 a story; a look at all for each takes thousands


def ready(conn: sqlite3.Connection, most: int = 2, merges: int = 2, project: str = "shop") -> list[str]:
    return [cycle.story_id for cycle, _ in cycles.ready(conn, project, most=most, merges=merges)]


def test_the_first_of_each_kind_are_ready(
    tx: Transaction, new_cycle: NewCycle, passed_to: PassedTo, later: Callable[[float], Transaction]
) -> None:
    for number in range(1, 10):
        made = new_cycle(tx, priority=Priority.HIGH if number == 9 else Priority.NORMAL)
        if number <= 3:
            passed_to(tx, made, CycleState.COMMIT)
    tx.conn.execute("UPDATE cycles SET generation = 1 WHERE story_id < 'shop-6'")
    cycles.patch(later(5), "shop-4", state=CycleState.DESIGN, spec="s")
    # Two to be merged, two that began, the one untouched for longer first, two fresh ones by priority.
    assert ready(tx.conn) == ["shop-1", "shop-2", "shop-5", "shop-4", "shop-9", "shop-6"]
    assert ready(tx.conn, 0, 0) == []
    assert ready(tx.conn, project="post") == []
    leases.claim(tx, "shop-9", phase=Phase.DESIGN, owner="w", lease_seconds=9)
    cycles.block(tx, "shop-6", state=CycleState.DESIGN, reason="no")
    assert ready(tx.conn, merges=0) == ["shop-5", "shop-4", "shop-7", "shop-8"]


def test_ready_is_what_is_runnable(tx: Transaction, new_cycle: NewCycle) -> None:
    for _ in range(6):
        new_cycle(tx)
    tx.conn.execute("UPDATE cycles SET generation = 2 WHERE story_id IN ('shop-2', 'shop-5')")
    tx.conn.execute("INSERT INTO story_needs VALUES ('shop-3', 'shop-4')")
    tx.conn.execute("UPDATE cycles SET hold = 'stopped' WHERE story_id = 'shop-6'")
    assert sorted(ready(tx.conn, 99)) == sorted(ids(tx.conn)) == ["shop-1", "shop-2", "shop-4", "shop-5"]


def test_few_rows_are_read_however_many_wait(tx: Transaction) -> None:
    """By their indexes, in the order in which they come out: nothing is sorted, nothing read to the end."""
    plans: list[str] = []
    asked: list[str] = []
    tx.conn.set_trace_callback(asked.append)
    ready(tx.conn)
    tx.conn.set_trace_callback(None)
    for statement in asked:
        plans += [row["detail"] for row in tx.conn.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert len(asked) == 3
    assert sum("cycles_begun" in step for step in plans) == 2
    assert sum("stories_active" in step for step in plans) == 1
    assert not [step for step in plans if "TEMP B-TREE" in step or step.startswith("SCAN")]
