"""What is counted is what is shown, and as quickly for many as for one."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.domain.approval import ApprovalKind
from core.domain.lifecycles import Phase, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, StoryState, StoryStatus
from core.orchestrator import overview
from core.store import approvals, cycles, leases, migrations, needs, projects, stories
from core.store.transaction import Transaction


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "tables.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    migrations.migrate(connection, tmp_path / "tables.db")
    yield connection
    connection.close()


@pytest.fixture
def tx(conn: sqlite3.Connection) -> Transaction:
    return Transaction(conn, datetime(2026, 3, 1, tzinfo=UTC))


def a_project(tx: Transaction, name: str) -> Project:
    project = Project(
        name=name,
        path=Path("/x") / name,
        main_branch="main",
        status=ProjectStatus.ACTIVE,
        workflow=WorkflowState.SPRINT_ACTIVE,
        registered_at=tx.now,
    )
    return projects.add(tx, project)


def a_story(tx: Transaction, project: str, state: StoryState, *, begun: bool = False, **facts: Any) -> str:
    story = stories.add(
        tx, project, title="x", body="", acceptance_criteria=(), priority=Priority.NORMAL, added_by="cli"
    )
    stories.move(tx, story.id, StoryState.BACKLOG, state)
    if begun:
        cycle = cycles.begin(tx, story)
        if facts.pop("leased"):
            leases.claim(tx, story.id, phase=Phase.DESIGN, owner="w", lease_seconds=9)
        if (kind := facts.pop("asked")) is not None:
            approvals.ask(
                tx,
                project=project,
                story_id=story.id,
                kind=kind,
                subject=story.id,
                question="May it?",
                detail="",
                reasons=(),
            )
        cycles.patch(tx, story.id, state=cycle.state, **facts)
    return story.id


@pytest.fixture
def everything(tx: Transaction) -> Transaction:
    """A story for every combination of what a status is derived from, in two projects."""
    for name in ("shop", "post"):
        a_project(tx, name)
    for state in StoryState:
        a_story(tx, "shop", state)
    for blocked, hold, leased, asked in itertools.product(
        ("", "why"), ("", "stopped", "step", "taken"), (False, True), (None, *ApprovalKind)
    ):
        a_story(
            tx,
            "post",
            StoryState.ACTIVE,
            begun=True,
            leased=leased,
            asked=asked,
            blocked_reason=blocked,
            hold=hold,
        )
    return tx


def test_tallies_count_what_the_views_say(everything: Transaction) -> None:
    conn = everything.conn
    tallies = overview.tallies(conn)
    for project in ("shop", "post"):
        views = overview.story_views(conn, stories.of_project(conn, project), lambda _: "")
        seen = [view.status for view in views]
        assert tallies[project] == {
            "running": seen.count(StoryStatus.RUNNING),
            "waiting": seen.count(StoryStatus.WAITING) + seen.count(StoryStatus.AWAITING_APPROVAL),
            "blocked": seen.count(StoryStatus.BLOCKED),
            "done": seen.count(StoryStatus.DONE),
        }
        assert overview.tallies(conn, project) == {project: tallies[project]}


def test_titles_have_the_status_of_the_views(everything: Transaction) -> None:
    conn = everything.conn
    views = overview.story_views(conn, stories.of_project(conn), lambda _: "")
    titles = overview.story_titles(conn)
    assert {one.id: one.status for one in titles} == {view.story.id: view.status for view in views}
    assert [one.id for one in overview.story_titles(conn, "shop")][:2] == ["shop-8", "shop-7"]


def test_many_views_cost_no_more_queries_than_one(everything: Transaction) -> None:
    conn = everything.conn
    every = stories.of_project(conn)
    needs.replace(everything, every[0].id, [every[1].id])
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    one = overview.story_views(conn, every[:1], lambda _: "")
    queries = len(asked)
    views = overview.story_views(conn, every, lambda _: "")
    conn.set_trace_callback(None)
    assert len(asked) == 2 * queries
    assert [view.story.id for view in views] == [story.id for story in every]
    assert views[0] == one[0] == overview.story_view(conn, every[0], lambda _: "")


def test_a_stopped_story_says_who_stopped_it(tx: Transaction) -> None:
    a_project(tx, "shop")
    story = a_story(
        tx,
        "shop",
        StoryState.ACTIVE,
        begun=True,
        leased=False,
        asked=None,
        hold="stopped",
        held_by="discord:1",
    )
    view = overview.story_view(tx.conn, stories.get(tx.conn, story), lambda _: "")
    assert (view.status, view.why) == (StoryStatus.STOPPED, "by discord:1")
