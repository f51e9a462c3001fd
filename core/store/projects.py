"""Registered projects: their status, their workflow, their numbering."""

from __future__ import annotations

import difflib
import sqlite3
from pathlib import Path

from core.domain.event import EventKind
from core.domain.lifecycles import (
    PROJECT,
    WORKFLOW,
    ProjectCommand,
    ProjectStatus,
    WorkflowEvent,
    WorkflowState,
)
from core.domain.machine import next_state
from core.domain.project import Project
from core.errors import InvalidInput, LostRace, NotFound
from core.store.columns import from_time, to_time
from core.store.transaction import Transaction


def from_row(row: sqlite3.Row) -> Project:
    return Project(
        name=row["name"],
        path=Path(row["path"]),
        main_branch=row["main_branch"],
        status=ProjectStatus(row["status"]),
        workflow=WorkflowState(row["workflow"]),
        registered_at=from_time(row["registered_at"]),
    )


def add(tx: Transaction, project: Project) -> Project:
    """Registers the project as it is given. Raises InvalidInput when the name is taken."""
    if find(tx.conn, project.name) is not None:
        raise InvalidInput(f"There is a project named '{project.name}' already.", hint="Choose another name.")
    tx.conn.execute(
        "INSERT INTO projects (name, path, main_branch, status, workflow, registered_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            project.name,
            _path_text(project.path),
            project.main_branch,
            project.status.value,
            project.workflow.value,
            to_time(project.registered_at),
        ),
    )
    return project


def find(conn: sqlite3.Connection, name: str) -> Project | None:
    """By name, in any case."""
    row = conn.execute("SELECT * FROM projects WHERE name = ?", (name.strip().lower(),)).fetchone()
    return None if row is None else from_row(row)


def get(conn: sqlite3.Connection, name: str) -> Project:
    """As `find`, but raises NotFound, with near names as its hint."""
    if (project := find(conn, name)) is not None:
        return project
    names = [row["name"] for row in conn.execute("SELECT name FROM projects ORDER BY name")]
    if near := difflib.get_close_matches(name.strip().lower(), names):
        hint = f"Did you mean {' or '.join(near)}?"
    elif names:
        hint = f"There are: {', '.join(names[:10])}{' ...' if len(names) > 10 else ''}."
    else:
        hint = "No project is registered yet."
    raise NotFound(f"There is no project named '{name}'.", hint=hint)


def every(conn: sqlite3.Connection) -> tuple[Project, ...]:
    """All projects by name."""
    return tuple(from_row(row) for row in conn.execute("SELECT * FROM projects ORDER BY name"))


def move_status(tx: Transaction, name: str, command: ProjectCommand) -> Project:
    """Raises InvalidTransition when the status has no such arrow. The caller emits what it means."""
    project = get(tx.conn, name)
    new = next_state(PROJECT, project.status, command, entity=f"Project {project.name}")
    return _update(tx, project, "status", project.status, new)


def move_workflow(tx: Transaction, name: str, event: WorkflowEvent, *, actor: str) -> Project:
    """Emits WORKFLOW_CHANGED when the state differs. Raises InvalidTransition."""
    project = get(tx.conn, name)
    new = next_state(WORKFLOW, project.workflow, event, entity=f"Project {project.name}")
    if new is project.workflow:
        return project
    moved = _update(tx, project, "workflow", project.workflow, new)
    tx.emit(
        EventKind.WORKFLOW_CHANGED,
        project=project.name,
        actor=actor,
        data={"old": project.workflow.value, "new": new.value, "cause": event.value},
    )
    return moved


def set_path(tx: Transaction, name: str, path: Path) -> Project:
    project = get(tx.conn, name)
    return _update(tx, project, "path", _path_text(project.path), _path_text(path))


def set_main_branch(tx: Transaction, name: str, main_branch: str) -> Project:
    project = get(tx.conn, name)
    return _update(tx, project, "main_branch", project.main_branch, main_branch)


def _update(tx: Transaction, project: Project, column: str, old: str, new: str) -> Project:
    row = tx.conn.execute(
        f"UPDATE projects SET {column} = ? WHERE name = ? AND {column} = ? RETURNING *",  # noqa: S608
        (str(new), project.name, str(old)),
    ).fetchone()
    if row is None:
        raise LostRace(f"Project {project.name} changed meanwhile.", why=f"Its {column} is no longer {old}.")
    return from_row(row)


def _path_text(path: Path) -> str:
    text = str(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput(
            f"The path {text!r} is not valid UTF-8.", hint="Rename the folder, or link to it."
        ) from None
    return text
