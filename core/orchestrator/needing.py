"""Stories that need one which will never be done: people are asked, instead of waiting with it for ever."""

from __future__ import annotations

import sqlite3

from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.domain.needs import why_not_needed
from core.domain.story import Story, StoryState
from core.errors import NotAllowed
from core.orchestrator.blocking import block
from core.orchestrator.story_guards import go_on
from core.store import approvals, cycles, needs
from core.store.transaction import Transaction

_WAY_OUT = "Take the need away with /backlog edit, or skip this story too."


def block_what_needs(tx: Transaction, gone: Story) -> None:
    """Blocks the stories at work, of whichever project, that wait for one which ended without being done."""
    for story in needs.needed_by(tx.conn, gone.id):
        block_if_never(tx, story)


def block_if_never(tx: Transaction, story: Story) -> None:
    """Blocks a story at work when a story that it needs will never be done."""
    cycle = cycles.get(tx.conn, story.id) if story.state is StoryState.ACTIVE else None
    never = _never(tx.conn, story)
    if cycle is not None and never and not cycle.blocked_reason:
        why = f"{story.id} cannot go on now."
        approvals.cancel_of_story(tx, story.id, ApprovalKind.MERGE, reason=why)  # asked again when it can
        block(tx, cycle, f"{_mark(story)}{never}. {_WAY_OUT}")


def free_from_needs(tx: Transaction, story: Story, actor: str) -> None:
    """Lets a story go on that was blocked by its needs, now that they were changed."""
    cycle = cycles.get(tx.conn, story.id)
    if cycle is None or not cycle.blocked_reason.startswith(_mark(story)) or _never(tx.conn, story):
        return
    cycles.unblock(tx, story.id, cycle.feedback)
    go_on(tx, story.project, actor)
    tx.emit(
        EventKind.STORY_UNBLOCKED,
        project=story.project,
        story_id=story.id,
        actor=actor,
        data={"by": actor, "text": "what it needs was changed"},
    )


def check_can_be_met(conn: sqlite3.Connection, story: Story) -> None:
    """Raises NotAllowed for a story that new tries cannot help."""
    if never := _never(conn, story):
        raise NotAllowed(f"{story.id} cannot go on: {never}.", hint=_WAY_OUT)


def _mark(story: Story) -> str:
    return f"What {story.id} needs will never be done: "


def _never(conn: sqlite3.Connection, story: Story) -> str:
    unmet = needs.unmet(conn, [story.id]).get(story.id, ())
    return ", ".join(word for other in unmet if (word := why_not_needed(other)))
