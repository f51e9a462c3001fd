"""The backlog: what waits to be done."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowCommand, WorkflowFact, WorkflowState
from core.domain.story import OVER, Priority, Story, StoryState
from core.domain.wording import (
    CRITERIA,
    CRITERION_CHARACTERS,
    LABEL_CHARACTERS,
    LABELS,
    LARGEST_ESTIMATE,
    LINK_CHARACTERS,
    LINKS,
    TEXT_CHARACTERS,
    TITLE_CHARACTERS,
    shown,
)
from core.errors import InvalidInput, NotAllowed
from core.orchestrator import overview
from core.orchestrator.backlogs import settle_backlog, settle_epic
from core.orchestrator.commands.topic import Topic, allowed, checked
from core.orchestrator.needing import free_from_needs
from core.orchestrator.views import StoryView
from core.store import needs as needs_table
from core.store import projects, stories
from core.store.database import Transaction

EDITABLE = (StoryState.PROPOSED, StoryState.BACKLOG, StoryState.PLANNED)
REMOVABLE = (StoryState.PROPOSED, StoryState.BACKLOG)


class Backlog(Topic):
    async def add_story(
        self,
        project: str,
        title: str,
        *,
        body: str = "",
        acceptance_criteria: Sequence[str] = (),
        priority: Priority = Priority.NORMAL,
        estimate: int | None = None,
        labels: Sequence[str] = (),
        needs: Sequence[str] = (),
        links: Sequence[str] = (),
        actor: str,
    ) -> Story:
        """`needs`: ids of stories, of whichever project, that must be done first; `links`: URLs."""
        changes = checked_changes(
            title=title,
            body=body,
            acceptance_criteria=acceptance_criteria,
            estimate=estimate,
            labels=labels,
            links=links,
        )

        def add(tx: Transaction) -> Story:
            story = add_story(tx, project, changes, priority=priority, actor=actor)
            needs_table.replace(tx, story.id, needs)
            return story

        return await self._store.write(add)

    async def edit_story(
        self,
        story_id: str,
        *,
        title: str | None = None,
        body: str | None = None,
        acceptance_criteria: tuple[str, ...] | None = None,
        estimate: int | None = None,
        clear_estimate: bool = False,
        labels: tuple[str, ...] | None = None,
        needs: tuple[str, ...] | None = None,
        links: tuple[str, ...] | None = None,
        actor: str,
    ) -> StoryView:
        """Changes what is given. What a story needs can be changed until it is over, the rest before work."""
        changes = checked_changes(
            title=title,
            body=body,
            acceptance_criteria=acceptance_criteria,
            estimate=estimate,
            labels=labels,
            links=links,
        )
        if clear_estimate:
            if estimate is not None:
                raise InvalidInput("An estimate is given and taken away.", hint="Do one of the two.")
            changes["estimate"] = None
        if not changes and needs is None:
            raise InvalidInput("Nothing to change was given.", hint="Name a title, a text, criteria, ...")

        def edit(tx: Transaction) -> StoryView:
            story = edit_story(tx, story_id, changes, needs=needs, actor=actor)
            return overview.story_view(tx.conn, story, self._why)

        return await self._store.write(edit)

    async def prioritize_story(
        self, story_id: str, *, priority: Priority | None = None, place: str | None = None, actor: str
    ) -> StoryView:
        """`place` among the stories of its priority: "top", "bottom" or "before <story id>"."""
        where = " ".join((place or "").lower().split())
        if priority is None and not where:
            raise InvalidInput("Neither a priority nor a place was given.", hint="Give one of them, or both.")

        def prioritize(tx: Transaction) -> StoryView:
            moved = prioritize_story(tx, story_id, priority, where, actor=actor)
            return overview.story_view(tx.conn, moved, self._why)

        return await self._store.write(prioritize)

    async def remove_story(self, story_id: str, reason: str = "", *, actor: str) -> StoryView:
        """Takes a story that nobody works on out of the backlog. It stays readable."""
        reason = checked("reason", reason, TEXT_CHARACTERS, required=False)

        def remove(tx: Transaction) -> StoryView:
            removed = remove_story(tx, story_id, reason, actor=actor)
            return overview.story_view(tx.conn, removed, self._why)

        return await self._store.write(remove)


def add_story(
    tx: Transaction, project: str, changes: dict[str, Any], *, priority: Priority, actor: str
) -> Story:
    """`changes`: as `checked_changes` gives them, with a title at least."""
    found = allowed(tx.conn, project, WorkflowCommand.BACKLOG_ADD_STORY)
    given: dict[str, Any] = {"body": "", "acceptance_criteria": (), **changes}
    story = stories.add(tx, found.name, priority=priority, added_by=actor, **given)
    if found.workflow is WorkflowState.IDLE:
        projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
    return story


def edit_story(
    tx: Transaction,
    story_id: str,
    changes: dict[str, Any],
    *,
    needs: tuple[str, ...] | None = None,
    actor: str,
) -> Story:
    """Sets what differs."""
    story = stories.get(tx.conn, story_id)
    allowed(tx.conn, story.project, WorkflowCommand.BACKLOG_EDIT)
    _may_edit(story, only_needs=not changes)
    fields = [name for name, value in changes.items() if getattr(story, name) != value]
    if fields:
        kept = {name: changes[name] for name in fields}
        story = stories.edit(tx, story.id, states=EDITABLE, **kept)
    if needs is not None:
        before = needs_table.of_story(tx.conn, story.id)
        if needs_table.replace(tx, story.id, needs) != before:
            fields.append("needs")
            free_from_needs(tx, story, actor)
    if fields:
        tell(tx, EventKind.STORY_EDITED, story, actor, {"fields": fields})
    return story


def prioritize_story(
    tx: Transaction, story_id: str, priority: Priority | None, place: str = "", *, actor: str
) -> Story:
    story = stories.get(tx.conn, story_id)
    allowed(tx.conn, story.project, WorkflowCommand.BACKLOG_PRIORITIZE)
    if story.state in OVER:
        raise NotAllowed(f"{story.id} is {story.state}: its priority no longer matters.")
    moved = stories.rank(tx, story.id, priority) if priority is not None else story
    if place:
        _place(tx, moved, place)
        moved = stories.get(tx.conn, story.id)
    if (moved.priority, moved.place) != (story.priority, story.place):
        data = {"priority": str(moved.priority), "place": place}
        tell(tx, EventKind.STORY_PRIORITIZED, moved, actor, data)
    return moved


def remove_story(tx: Transaction, story_id: str, reason: str, *, actor: str) -> Story:
    story = stories.get(tx.conn, story_id)
    allowed(tx.conn, story.project, WorkflowCommand.BACKLOG_REMOVE)
    _may_remove(tx.conn, story)
    removed = stories.move(tx, story.id, story.state, StoryState.REMOVED)
    tell(tx, EventKind.STORY_REMOVED, removed, actor, {"reason": reason})
    settle_epic(tx, removed.epic_id)
    settle_backlog(tx, removed.project, actor)
    return removed


def checked_changes(
    *,
    title: str | None,
    body: str | None,
    acceptance_criteria: Sequence[str] | None,
    estimate: int | None,
    labels: Sequence[str] | None,
    links: Sequence[str] | None,
) -> dict[str, Any]:
    """What is given, as it may stand in a story. Raises InvalidInput for the first thing that may not."""
    changes: dict[str, Any] = {}
    if title is not None:
        changes["title"] = " ".join(checked("title", title, TITLE_CHARACTERS).split())
    if body is not None:
        changes["body"] = checked("text", body, TEXT_CHARACTERS, required=False)
    if acceptance_criteria is not None:
        changes["acceptance_criteria"] = _several(
            "acceptance criteria", "criterion", acceptance_criteria, CRITERIA, CRITERION_CHARACTERS
        )
    if estimate is not None:
        if not 0 <= estimate <= LARGEST_ESTIMATE:
            raise InvalidInput(
                f"{estimate} is no estimate.", hint=f"A whole number from 0 to {LARGEST_ESTIMATE}, in points."
            )
        changes["estimate"] = estimate
    if labels is not None:
        changes["labels"] = _several("labels", "label", labels, LABELS, LABEL_CHARACTERS)
    if links is not None:
        changes["links"] = _several("links", "link", links, LINKS, LINK_CHARACTERS)
        for link in changes["links"]:
            _check_link(link)
    return changes


def _several(what: str, one: str, texts: Sequence[str], most: int, characters: int) -> tuple[str, ...]:
    """Without what is empty or named twice."""
    said = (checked(one, text, characters, required=False) for text in texts)
    found = tuple(dict.fromkeys(text for text in said if text))
    if len(found) > most:
        raise InvalidInput(
            f"A story may have {most} {what}, not {len(found)}.",
            hint="Split it into smaller stories." if one == "criterion" else "Give fewer.",
        )
    return found


def _check_link(link: str) -> None:
    scheme, separator, rest = link.partition("://")
    host = rest.partition("/")[0]
    if scheme.lower() not in ("http", "https") or not separator or not host or len(link.split()) != 1:
        raise InvalidInput(
            f"'{link[:100]}' is no link.", hint="A link begins with https:// or http:// and has no spaces."
        )


def _may_edit(story: Story, *, only_needs: bool) -> None:
    if story.state in EDITABLE or (only_needs and story.state is StoryState.ACTIVE):
        return
    if story.state is StoryState.ACTIVE:
        raise NotAllowed(
            f"{story.id} is at work: only what it needs can be changed now.",
            hint=f"/story steer {story.id} says something to its agent.",
        )
    raise NotAllowed(f"{story.id} is {story.state}: it cannot be changed any more.", hint="Add a new story.")


def _may_remove(conn: sqlite3.Connection, story: Story) -> None:
    if story.state is StoryState.PLANNED:
        raise NotAllowed(
            f"{story.id} is planned for the next sprint.",
            hint="Plan the sprint again without it, then remove it.",
        )
    if story.state is StoryState.ACTIVE:
        raise NotAllowed(f"{story.id} is at work.", hint="/skip_task takes it out of its sprint.")
    if story.state not in REMOVABLE:
        raise NotAllowed(f"{story.id} is {story.state}: there is nothing to remove.")
    if waiting := needs_table.needed_by(conn, story.id):
        names = shown([other.id for other in waiting])
        raise NotAllowed(
            f"{story.id} is needed by {names}.",
            why="Without it they would wait for ever.",
            hint="Take the need away from them first (/backlog edit), or remove them first.",
        )


def _place(tx: Transaction, story: Story, where: str) -> None:
    same = [
        other.id
        for other in stories.of_project(
            tx.conn, story.project, states=[state for state in StoryState if state not in OVER]
        )
        if other.priority is story.priority and other.id != story.id
    ]
    if where == "top":
        index = 0
    elif where == "bottom":
        index = len(same)
    elif where.startswith("before ") and where != "before ":
        index = _before(tx.conn, story, where.removeprefix("before "), same)
    else:
        raise InvalidInput(f"'{where[:100]}' is no place.", hint='Say "top", "bottom" or "before shop-3".')
    stories.arrange(tx, [*same[:index], story.id, *same[index:]])


def _before(conn: sqlite3.Connection, story: Story, name: str, same: list[str]) -> int:
    other = stories.get(conn, name)
    if other.id in same:
        return same.index(other.id)
    if other.id == story.id:
        raise InvalidInput(f"{story.id} cannot stand before itself.", hint="Name another story.")
    if other.project != story.project:
        raise InvalidInput(f"{other.id} is another project's.", hint=f"Name a story of {story.project}.")
    if other.state in OVER:
        raise InvalidInput(f"{other.id} is {other.state}.", hint="Name a story that is still to be done.")
    raise InvalidInput(
        f"{other.id} is {other.priority}, {story.id} {story.priority}.",
        why="The order holds among stories of one priority.",
        hint=f"Give {story.id} the priority {other.priority} too.",
    )


def tell(tx: Transaction, kind: EventKind, story: Story, actor: str, data: dict[str, Any]) -> None:
    tx.emit(kind, project=story.project, story_id=story.id, actor=actor, data={**data, "by": actor})
