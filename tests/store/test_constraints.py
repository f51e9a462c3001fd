"""What the schema itself refuses, whoever writes and however: shown with bare SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import StrEnum

import pytest

from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.lifecycles import CycleState, Phase, ProjectStatus, WorkflowState
from core.domain.story import Priority, StoryState
from core.store.merges import MergeState
from core.store.transaction import Transaction

AT = "2026-03-01T12:00:00.000000+00:00"


def insert(conn: sqlite3.Connection, table: str, **values: object) -> None:
    names = ", ".join(values)
    conn.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", [*values.values()])


@pytest.fixture
def filled(
    tx: Transaction, new_project: Callable[..., object], new_cycle: Callable[..., object]
) -> sqlite3.Connection:
    """Project shop with stories shop-1 and shop-2, each with a cycle; project post."""
    new_project(tx)
    new_project(tx, "post")
    new_cycle(tx)
    new_cycle(tx)
    return tx.conn


def lease(conn: sqlite3.Connection, story: str, generation: int, released_at: str | None = None) -> None:
    insert(
        conn,
        "leases",
        story_id=story,
        project="shop",
        phase="design",
        owner="w",
        generation=generation,
        claimed_at=AT,
        expires_at=AT,
        released_at=released_at,
    )


def merge(
    conn: sqlite3.Connection, key: str, project: str, state: str = "open", story: str = "shop-1"
) -> None:
    finished_at = None if state == "open" else AT
    insert(
        conn,
        "merges",
        id=key,
        story_id=story,
        project=project,
        generation=1,
        state=state,
        begun_at=AT,
        finished_at=finished_at,
    )


def approval(conn: sqlite3.Connection, key: str, subject: str, state: str = "pending") -> None:
    answer = {} if state == "pending" else {"answered_at": AT, "answered_by": "cli"}
    insert(
        conn,
        "approvals",
        id=key,
        project="shop",
        story_id="shop-1",
        kind="merge",
        subject=subject,
        question="?",
        detail="",
        reasons="[]",
        state=state,
        asked_at=AT,
        **answer,
    )


def sprint(
    conn: sqlite3.Connection, key: str, project: str, number: int, ended_at: str | None = None
) -> None:
    insert(conn, "sprints", id=key, project=project, number=number, goal="", planned_at=AT, ended_at=ended_at)


def test_one_unreleased_lease_a_story(filled: sqlite3.Connection) -> None:
    lease(filled, "shop-1", 1, released_at=AT)
    lease(filled, "shop-1", 2)
    lease(filled, "shop-2", 1)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        lease(filled, "shop-1", 3)


def test_one_lease_a_generation(filled: sqlite3.Connection) -> None:
    lease(filled, "shop-1", 1, released_at=AT)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        lease(filled, "shop-1", 1)


def test_one_open_merge_a_story(filled: sqlite3.Connection) -> None:
    merge(filled, "m1", "shop", state="abandoned")
    merge(filled, "m2", "shop")
    merge(filled, "m3", "shop", story="shop-2")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        merge(filled, "m4", "shop")


def test_one_open_batch_a_project(filled: sqlite3.Connection) -> None:
    insert(filled, "merge_batches", id="b1", project="shop", begun_at=AT, finished_at=AT)
    insert(filled, "merge_batches", id="b2", project="shop", begun_at=AT)
    insert(filled, "merge_batches", id="b3", project="post", begun_at=AT)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        insert(filled, "merge_batches", id="b4", project="shop", begun_at=AT)


def test_one_pending_approval_a_subject(filled: sqlite3.Connection) -> None:
    approval(filled, "a1", "merge:shop-1", state="rejected")
    approval(filled, "a2", "merge:shop-1")
    approval(filled, "a3", "merge:shop-2")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        approval(filled, "a4", "merge:shop-1")


def test_one_sprint_that_has_not_ended_a_project(filled: sqlite3.Connection) -> None:
    sprint(filled, "s1", "shop", 1, ended_at=AT)
    sprint(filled, "s2", "shop", 2)
    sprint(filled, "s3", "post", 1)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        sprint(filled, "s4", "shop", 3)


def test_one_outbox_row_a_deduplication_key(tx: Transaction) -> None:
    row = {"dedup_key": "discord:1", "target": "discord", "lane": "", "event_seq": 1, "due_at": AT}
    insert(tx.conn, "events", kind="x", at=AT, actor="cli", data="{}")
    insert(tx.conn, "outbox", **row)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        insert(tx.conn, "outbox", **row)


@pytest.mark.parametrize(
    ("table", "column", "allowed"),
    [
        ("projects", "status", ProjectStatus),
        ("projects", "workflow", WorkflowState),
        ("stories", "state", StoryState),
        ("stories", "priority", Priority),
        ("cycles", "state", CycleState),
    ],
)
def test_a_state_column_takes_its_states_and_nothing_else(
    filled: sqlite3.Connection, table: str, column: str, allowed: type[StrEnum]
) -> None:
    for state in allowed:
        filled.execute(f"UPDATE {table} SET {column} = ?", (state.value,))
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        filled.execute(f"UPDATE {table} SET {column} = 'nonsense'")


def test_phases_kinds_and_states_of_the_other_tables(filled: sqlite3.Connection) -> None:
    for number, phase in enumerate(Phase, start=1):
        lease(filled, "shop-1", number, released_at=AT)
        filled.execute("UPDATE leases SET phase = ? WHERE generation = ?", (phase.value, number))
    for approval_state in ApprovalState:
        approval(filled, f"a-{approval_state}", "x", state=approval_state.value)
    for kind in ApprovalKind:
        filled.execute("UPDATE approvals SET kind = ?", (kind.value,))
    for state in MergeState:
        if state is not MergeState.MERGED:  # needs a candidate
            merge(filled, f"m-{state}", "shop", state=state.value)
    for statement in (
        "UPDATE leases SET phase = 'done'",
        "UPDATE approvals SET kind = 'nonsense'",
        "UPDATE approvals SET state = 'nonsense'",
        "UPDATE merges SET state = 'nonsense'",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            filled.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE projects SET name = 'Shop' WHERE name = 'post'",
        "UPDATE stories SET title = ''",
        "UPDATE stories SET acceptance_criteria = '{}'",
        "UPDATE cycles SET attempt = 0",
        "UPDATE cycles SET state = 'done', blocked_reason = 'why'",
        "UPDATE events SET data = '[]'",
        "UPDATE approvals SET state = 'approved'",  # without who and when
        "UPDATE approvals SET answered_at = '2026', answered_by = 'cli'",
        "UPDATE merges SET state = 'merged', finished_at = '2026'",  # without a candidate
        "UPDATE merges SET candidate = 'c'",  # without what it stands on
        "UPDATE merges SET state = 'abandoned'",
        "UPDATE leases SET owner = ''",
        "UPDATE leases SET generation = 0",
    ],
)
def test_rows_that_contradict_themselves(filled: sqlite3.Connection, statement: str) -> None:
    lease(filled, "shop-1", 1)
    merge(filled, "m", "shop")
    approval(filled, "a", "x")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        filled.execute(statement)


def test_a_column_takes_only_its_type(filled: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        filled.execute("UPDATE cycles SET attempt = 'two'")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM projects WHERE name = 'shop'",
        "DELETE FROM stories WHERE id = 'shop-1'",
        "UPDATE stories SET sprint_id = 'nowhere'",
        "UPDATE cycles SET story_id = 'shop-9' WHERE story_id = 'shop-1'",
    ],
)
def test_nothing_is_left_without_what_it_belongs_to(filled: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        filled.execute(statement)


def test_a_seq_is_never_given_twice(tx: Transaction) -> None:
    insert(tx.conn, "events", kind="x", at=AT, actor="cli", data="{}")
    tx.conn.execute("DELETE FROM events")
    insert(tx.conn, "events", kind="x", at=AT, actor="cli", data="{}")
    assert tx.conn.execute("SELECT max(seq) FROM events").fetchone()[0] == 2
