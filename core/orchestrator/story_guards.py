"""What people's commands on a story at work have in common: whether they may, and what then is let go or
goes on."""

from __future__ import annotations

import sqlite3

from core.domain.approval import ApprovalKind
from core.domain.lifecycles import ProjectStatus, WorkflowCommand, WorkflowState
from core.domain.machine import allowed_commands
from core.domain.story import Cycle, Hold, Story, StoryState
from core.domain.way_back import command_of
from core.errors import NotAllowed
from core.store import approvals, cycles, leases, merges, projects, stories, usage
from core.store.transaction import Transaction

_NOT_AT_WORK = {
    StoryState.PROPOSED: "Approve it first: /approve.",
    StoryState.BACKLOG: "Choose it for a sprint: /sprint plan, or /tdd start while one runs.",
    StoryState.PLANNED: "Start its sprint first: /sprint start.",
    StoryState.DONE: "Add a story for what is still wanted: /backlog add_story.",
    StoryState.SKIPPED: "Add it again if it is still wanted: /backlog add_story.",
    StoryState.ABORTED: "Add it again if it is still wanted: /backlog add_story.",
    StoryState.REMOVED: "Add it again if it is still wanted: /backlog add_story.",
}


def at_work(conn: sqlite3.Connection, story_id: str, done_to_it: str) -> tuple[Story, Cycle]:
    """A story of a sprint that has started, with its cycle. Raises NotAllowed for any other.

    `done_to_it` completes "it cannot be ...".
    """
    story = stories.get(conn, story_id)
    cycle = cycles.get(conn, story.id)
    if story.state is not StoryState.ACTIVE or cycle is None:
        raise NotAllowed(
            f"{story.id} is {story.state}: it cannot be {done_to_it}.",
            why="Only a story of a sprint that has started is at work.",
            hint=_NOT_AT_WORK.get(story.state, ""),
        )
    return story, cycle


def check_may_run(conn: sqlite3.Connection, project: str) -> None:
    """Raises NotAllowed when no phase of the project can start now, whatever is said to one story."""
    found = projects.get(conn, project)
    if found.status is not ProjectStatus.ACTIVE:
        raise NotAllowed(
            f"{found.name} is {found.status}: nothing of it runs.",
            hint=f"Start it first: /project_start {found.name}.",
        )
    if found.workflow in (WorkflowState.SPRINT_ACTIVE, WorkflowState.BLOCKED):
        return
    pause = usage.find(conn, found.name)
    why = "No phase starts before the sprint goes on."
    if pause is not None:
        why = f"{pause.agent} takes no more work: {pause.reason}"
    commands = ", ".join(f"/{command}" for command in allowed_commands(found.workflow))
    raise NotAllowed(
        f"{found.name} is {found.workflow}: no phase can start now.",
        why=why,
        hint=f"Possible now: {commands}.",
    )


def check_not_taken(cycle: Cycle) -> None:
    if cycle.hold is Hold.TAKEN:
        raise NotAllowed(
            f"{cycle.story_id} is with a person: {cycle.held_by} works in its folder.",
            hint="It goes on when they hand it back: /story handback.",
        )


def check_not_blocked(cycle: Cycle) -> None:
    if cycle.blocked_reason:
        again = f", /tdd {command_of(cycle.state.phase)}" if cycle.state.phase else ""
        raise NotAllowed(
            f"{cycle.story_id} is blocked.",
            why=cycle.blocked_reason.partition("\n")[0],
            hint=f"Possible now: /suggest_fix{again}, /story takeover, /skip_task, /tdd abort.",
        )


def check_not_asked(conn: sqlite3.Connection, cycle: Cycle) -> None:
    """Raises NotAllowed while people are asked whether it may be merged."""
    if merge_question(conn, cycle.story_id):
        raise NotAllowed(
            f"{cycle.story_id} waits for an answer: may it be merged?",
            why="Its gate passed; a person decides.",
            hint="Approve or reject it; a rejection's reason reaches the agent.",
        )


def merge_question(conn: sqlite3.Connection, story_id: str) -> bool:
    asked = approvals.of_story(conn, story_id)
    return any(each.kind is ApprovalKind.MERGE and each.answered_at is None for each in asked)


def is_leased(conn: sqlite3.Connection, story: Story) -> bool:
    """Whether a worker runs a phase of it now."""
    return any(lease.story_id == story.id for lease in leases.held(conn, story.project))


def let_go(tx: Transaction, story: Story) -> None:
    """Takes away the right to run from whoever runs the story now; the turn itself is cancelled afterwards.

    What it still reports is of an old generation. Raises NotAllowed when the main branch may hold it already.
    """
    merges.drop(tx, story.id)
    for lease in leases.held(tx.conn, story.project):
        if lease.story_id == story.id:
            leases.release(tx, story.id, lease.generation)
    approvals.cancel_of_story(tx, story.id, ApprovalKind.PERMISSION)


def go_on(tx: Transaction, project: str, actor: str) -> None:
    """A person helped a story: a project that stood still for want of that is at work again."""
    if projects.get(tx.conn, project).workflow is WorkflowState.BLOCKED:
        projects.move_workflow(tx, project, WorkflowCommand.SUGGEST_FIX, actor=actor)
