from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import (
    PROJECT,
    WORKFLOW,
    ProjectCommand,
    ProjectStatus,
    WorkflowCommand,
    WorkflowFact,
    WorkflowState,
)
from core.domain.project import Project
from core.errors import InvalidInput, InvalidTransition, LostRace, NotFound
from core.store import events, projects, workers
from core.store.transaction import Transaction

NewProject = Callable[..., Project]


def test_a_project_comes_back_as_it_went_in(tx: Transaction, new_project: NewProject) -> None:
    project = new_project(tx)
    assert projects.get(tx.conn, "shop") == project
    assert projects.every(tx.conn) == (project,)


def test_a_name_is_found_in_any_case(tx: Transaction, new_project: NewProject) -> None:
    assert projects.get(tx.conn, " Shop ") if new_project(tx) else None
    assert projects.find(tx.conn, "shops") is None


def test_a_name_that_is_taken_is_refused(tx: Transaction, new_project: NewProject) -> None:
    new_project(tx)
    with pytest.raises(InvalidInput, match="already"):
        new_project(tx)


def test_an_unknown_name_is_refused_with_near_ones(tx: Transaction, new_project: NewProject) -> None:
    with pytest.raises(NotFound) as caught:
        projects.get(tx.conn, "shop")
    assert "No project is registered" in caught.value.hint
    new_project(tx, "shop-web")
    new_project(tx, "garden")
    with pytest.raises(NotFound) as caught:
        projects.get(tx.conn, "shopweb")
    assert caught.value.hint == "Did you mean shop-web?"
    with pytest.raises(NotFound) as caught:
        projects.get(tx.conn, "zzz")
    assert caught.value.hint == "There are: garden, shop-web."


@pytest.mark.parametrize(
    ("status", "command"), [*product(ProjectStatus, ProjectCommand)], ids=lambda value: str(value)
)
def test_every_pair_of_status_and_command(
    tx: Transaction, new_project: NewProject, status: ProjectStatus, command: ProjectCommand
) -> None:
    project = new_project(tx, status=status)
    new = PROJECT.get((status, command))
    if new is None:
        with pytest.raises(InvalidTransition):
            projects.move_status(tx, "shop", command)
        assert projects.get(tx.conn, "shop") == project
    else:
        assert projects.move_status(tx, "shop", command) == dataclasses.replace(project, status=new)
        assert projects.get(tx.conn, "shop").status is new


@pytest.mark.parametrize(
    ("state", "event"),
    [*product(WorkflowState, (*WorkflowCommand, *WorkflowFact))],
    ids=lambda value: value.name,
)
def test_every_pair_of_workflow_state_and_event(
    tx: Transaction, new_project: NewProject, state: WorkflowState, event: WorkflowCommand | WorkflowFact
) -> None:
    new_project(tx, workflow=state)
    new = WORKFLOW.get((state, event))
    if new is None:
        with pytest.raises(InvalidTransition):
            projects.move_workflow(tx, "shop", event, actor="cli")
        new = state
    else:
        assert projects.move_workflow(tx, "shop", event, actor="cli").workflow is new
    assert projects.get(tx.conn, "shop").workflow is new
    told = [(e.kind, e.actor, e.data) for e in events.since(tx.conn, 0)]
    changed = (EventKind.WORKFLOW_CHANGED, "cli", {"old": state, "new": new, "cause": event})
    assert told == ([changed] if new is not state else [])


def test_a_row_that_moved_meanwhile_is_a_lost_race(
    tx: Transaction, new_project: NewProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = new_project(tx, workflow=WorkflowState.SPRINT_PLANNED)
    tx.conn.execute(
        "UPDATE projects SET workflow = 'IDLE', status = 'paused', path = '/x', main_branch = 'y'"
    )
    monkeypatch.setattr(projects, "get", lambda conn, name: stale)
    for move in (
        lambda: projects.move_workflow(tx, "shop", WorkflowCommand.SPRINT_START, actor="cli"),
        lambda: projects.move_status(tx, "shop", ProjectCommand.PAUSE),
        lambda: projects.set_path(tx, "shop", Path("/z")),
        lambda: projects.set_main_branch(tx, "shop", "z"),
    ):
        with pytest.raises(LostRace):
            move()
    assert events.since(tx.conn, 0) == ()


def test_path_and_branch_can_be_corrected(tx: Transaction, new_project: NewProject) -> None:
    new_project(tx)
    projects.set_path(tx, "shop", Path("/srv/elsewhere"))
    projects.set_main_branch(tx, "shop", "trunk")
    project = projects.get(tx.conn, "shop")
    assert (project.path, project.main_branch) == (Path("/srv/elsewhere"), "trunk")


def test_a_path_that_is_no_text_is_refused(tx: Transaction, new_project: NewProject) -> None:
    new_project(tx)
    with pytest.raises(InvalidInput, match="UTF-8"):
        projects.set_path(tx, "shop", Path("/srv/\udc80"))


def test_worker_generations_rise_and_are_the_projects_own(tx: Transaction, new_project: NewProject) -> None:
    new_project(tx)
    new_project(tx, "post")
    assert [workers.next_generation(tx, "shop") for _ in range(3)] == [1, 2, 3]
    assert workers.next_generation(tx, "post") == 1
    with pytest.raises(NotFound):
        workers.next_generation(tx, "nobody")


def test_a_row_of_an_unknown_state_is_not_read_as_something_else(conn: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="sleeping"):
        projects.from_row({"name": "x", "path": "/", "main_branch": "m", "status": "sleeping"})  # type: ignore[arg-type]
