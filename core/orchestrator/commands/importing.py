"""Taking over what another tool kept in a project's `.orch-state`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from core.agents.confined import read_text
from core.domain import wording
from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowCommand, WorkflowFact, WorkflowState
from core.domain.needs import why_not_needed
from core.domain.story import EpicState, Story, StoryState
from core.errors import InvalidInput, NotFound, OrchardError
from core.orchestrator.commands.topic import Topic, allowed, find
from core.orchestrator.views import ImportView
from core.projects.foreignstate import (
    ForeignEpic,
    ForeignSprint,
    ForeignState,
    ForeignStory,
    is_own,
    read_state,
)
from core.projects.orchstate import BACKLOG, CYCLES, FOLDER, SPRINTS, STATUS
from core.store import epics, needs, projects, sprints, stories
from core.store.database import Transaction

FILES_LIMIT = 2000
_TAKEN = "imported"


class Importing(Topic):
    async def import_state(self, project: str, *, dry_run: bool = False, actor: str) -> ImportView:
        """Epics, stories and finished sprints of `.orch-state`, once: what came before is passed over.

        The other tool's files are moved to `.orch-state/imported/<n>/`, so that Orchard's own picture can
        stand in their place. `dry_run` only says what would come. Raises NotFound when nothing is there,
        InvalidInput for files that are no JSON; then nothing is changed.
        """
        found = await self._store.read(lambda conn: find(conn, project))
        documents = await asyncio.to_thread(_read, found.path)
        foreign = {path: document for path, document in documents.items() if not is_own(document)}
        if not foreign:
            raise NotFound(
                f"{found.path / FOLDER} holds no other tool's state.",
                why="Every file there is Orchard's own." if documents else "There is no such file.",
                hint=f"What is read: {FOLDER}/{BACKLOG} and {FOLDER}/{SPRINTS}/*.json.",
            )
        state = read_state(foreign)
        if dry_run:
            known = await self._store.read(lambda conn: frozenset(stories.of_origins(conn, found.name)))
            return _view(_Fresh.of(state, known), project=found.name, kept="")
        fresh = await self._store.write(lambda tx: _take_over(tx, found.name, state, actor))
        kept = await asyncio.to_thread(_set_aside, found.path, tuple(foreign))
        return _view(fresh, project=found.name, kept=str(kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fresh:
    """What has not come before; epics and sprints only where such a story is theirs."""

    stories: tuple[ForeignStory, ...]
    epics: tuple[ForeignEpic, ...]
    sprints: tuple[ForeignSprint, ...]
    known: int  # stories that had come before
    notes: tuple[str, ...]

    @classmethod
    def of(cls, state: ForeignState, origins: Collection[str]) -> Self:
        fresh = tuple(each for each in state.stories if _origin(each.key) not in origins)
        epics_of = {each.epic for each in fresh}
        sprints_of = {each.sprint for each in fresh if each.done}
        return cls(
            stories=fresh,
            epics=tuple(epic for epic in state.epics if epic.key in epics_of),
            sprints=tuple(sprint for sprint in state.sprints if sprint.key in sprints_of),
            known=len(state.stories) - len(fresh),
            notes=state.notes,
        )


def _take_over(tx: Transaction, project: str, state: ForeignState, actor: str) -> _Fresh:
    """All of it in one transaction."""
    found = allowed(tx.conn, project, WorkflowCommand.BACKLOG_ADD_STORY)
    ids = stories.of_origins(tx.conn, found.name)
    fresh = _Fresh.of(state, ids)
    epic_ids = {
        epic.key: epics.add(
            tx, found.name, _text(epic.text, wording.TEXT_CHARACTERS) or epic.key, actor, EpicState.SETTLED
        ).id
        for epic in fresh.epics
    }
    sprint_ids = {
        sprint.key: sprints.record(
            tx,
            found.name,
            goal=_text(sprint.goal, 500),
            started_at=sprint.started_at,
            ended_at=sprint.ended_at,
            retrospective=_text(sprint.retrospective, wording.TEXT_CHARACTERS),
        ).id
        for sprint in fresh.sprints
    }
    for each in fresh.stories:
        epic, sprint = epic_ids.get(each.epic or ""), sprint_ids.get(each.sprint or "")
        ids[_origin(each.key)] = _add(tx, found.name, each, epic=epic, sprint=sprint, actor=actor).id
    notes = list(fresh.notes)
    for each in fresh.stories:
        wanted = [stories.get(tx.conn, ids[_origin(key)]) for key in each.needs]
        never = [word for story in wanted if (word := why_not_needed(story))]
        notes += [f"{word}: {each.title[:100]} came without that need" for word in never]
        needs.replace(tx, ids[_origin(each.key)], [story.id for story in wanted if not why_not_needed(story)])
    if found.workflow is WorkflowState.IDLE and not all(each.done for each in fresh.stories):
        projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
    tx.emit(EventKind.STATE_IMPORTED, project=found.name, actor=actor, data={"stories": len(fresh.stories)})
    return replace(fresh, notes=tuple(notes))


def _add(
    tx: Transaction, project: str, each: ForeignStory, *, epic: str | None, sprint: str | None, actor: str
) -> Story:
    return stories.add(
        tx,
        project,
        title=_text(each.title, wording.TITLE_CHARACTERS) or each.key[: wording.TITLE_CHARACTERS],
        body=_text(each.body, wording.TEXT_CHARACTERS),
        acceptance_criteria=tuple(
            _text(text, wording.CRITERION_CHARACTERS) for text in each.acceptance_criteria[: wording.CRITERIA]
        ),
        priority=each.priority,
        added_by=actor,
        estimate=each.estimate,
        labels=tuple(_text(label, wording.LABEL_CHARACTERS) for label in each.labels[: wording.LABELS]),
        epic_id=epic,
        origin=_origin(each.key),
        state=StoryState.DONE if each.done else StoryState.BACKLOG,
        sprint_id=sprint if each.done else None,
    )


def _text(text: str, limit: int) -> str:
    return wording.cleaned(text)[:limit]


def _origin(key: str) -> str:
    return f"orch-state:{key}"


def _view(fresh: _Fresh, *, project: str, kept: str) -> ImportView:
    return ImportView(
        project=project,
        waiting=tuple(each.title for each in fresh.stories if not each.done),
        done=sum(each.done for each in fresh.stories),
        known=fresh.known,
        epics=len(fresh.epics),
        sprints=len(fresh.sprints),
        notes=fresh.notes,
        kept=kept,
    )


def _read(root: Path) -> Mapping[str, Any]:
    """The JSON files that matter, parsed. Raises InvalidInput, naming the file, for one that is none."""
    names = [BACKLOG]
    for folder in (SPRINTS, CYCLES):
        names += [f"{folder}/{path.name}" for path in sorted((root / FOLDER / folder).glob("*.json"))]
    found: dict[str, Any] = {}
    for name in [*names[:FILES_LIMIT], STATUS]:
        try:
            found[name] = json.loads(read_text(root, f"{FOLDER}/{name}"))
        except (NotFound, FileNotFoundError):
            continue
        except (ValueError, RecursionError) as error:
            raise InvalidInput(
                f"{root / FOLDER / name} is no JSON.", why=str(error), hint="Mend it or move it away."
            ) from error
        except OSError as error:
            raise OrchardError(f"{root / FOLDER / name} cannot be read.", why=str(error)) from error
    return found


def _set_aside(root: Path, names: tuple[str, ...]) -> Path:
    """Moves the files to a new folder of their own; after a crash the next import moves what is left."""
    folder = root / FOLDER / _TAKEN
    number = 1
    while (folder / str(number)).exists():
        number += 1
    place = folder / str(number)
    for name in names:
        if os.path.lexists(root / FOLDER / name):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (root / FOLDER / name).rename(place / name)
    return place
