"""Taking over what another tool kept in a project's `.orch-state`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.agents.confined import read_text
from core.domain import wording
from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowCommand, WorkflowFact, WorkflowState
from core.domain.story import EpicState, Story, StoryState
from core.errors import InvalidInput, NotFound, OrchardError
from core.orchestrator.commands.topic import Topic, allowed, find
from core.orchestrator.views import ImportView
from core.projects.foreignstate import ForeignState, ForeignStory, is_own, read_state
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
            return await self._store.read(
                lambda conn: _view(
                    state, project=found.name, known=frozenset(stories.of_origins(conn, found.name)), kept=""
                )
            )
        taken = await self._store.write(lambda tx: _take_over(tx, found.name, state, actor))
        kept = await asyncio.to_thread(_set_aside, found.path, tuple(foreign))
        return _view(state, project=found.name, known=taken, kept=str(kept))


def _take_over(tx: Transaction, project: str, state: ForeignState, actor: str) -> frozenset[str]:
    """In one transaction; returns the origins that were there before."""
    found = allowed(tx.conn, project, WorkflowCommand.BACKLOG_ADD_STORY)
    ids = stories.of_origins(tx.conn, found.name)
    known = frozenset(ids)
    epic_ids = {
        epic.key: epics.add(
            tx, found.name, epic.text[: wording.TEXT_CHARACTERS], asked_by=actor, state=EpicState.SETTLED
        ).id
        for epic in state.epics
        if any(each.epic == epic.key and _origin(each) not in known for each in state.stories)
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
        for sprint in state.sprints
        if any(
            each.sprint == sprint.key and each.done and _origin(each) not in known for each in state.stories
        )
    }
    for each in state.stories:
        if _origin(each) not in known:
            epic, sprint = epic_ids.get(each.epic or ""), sprint_ids.get(each.sprint or "")
            ids[_origin(each)] = _add(tx, found.name, each, epic=epic, sprint=sprint, actor=actor).id
    for each in state.stories:
        if _origin(each) not in known and (wanted := [ids[_prefixed(key)] for key in each.needs]):
            needs.replace(tx, ids[_origin(each)], wanted)
    waiting = any(not each.done and _origin(each) not in known for each in state.stories)
    if waiting and found.workflow is WorkflowState.IDLE:
        projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
    tx.emit(
        EventKind.STATE_IMPORTED,
        project=found.name,
        actor=actor,
        data={"stories": sum(_origin(each) not in known for each in state.stories)},
    )
    return known


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
        origin=_origin(each),
        state=StoryState.DONE if each.done else StoryState.BACKLOG,
        sprint_id=sprint if each.done else None,
    )


def _text(text: str, limit: int) -> str:
    return wording.cleaned(text)[:limit]


def _origin(story: ForeignStory) -> str:
    return _prefixed(story.key)


def _prefixed(key: str) -> str:
    return f"orch-state:{key}"


def _view(state: ForeignState, *, project: str, known: frozenset[str], kept: str) -> ImportView:
    fresh = [each for each in state.stories if _origin(each) not in known]
    return ImportView(
        project=project,
        waiting=tuple(each.title for each in fresh if not each.done),
        done=sum(each.done for each in fresh),
        known=len(state.stories) - len(fresh),
        epics=sum(any(each.epic == epic.key for each in fresh) for epic in state.epics),
        sprints=sum(
            any(each.sprint == sprint.key and each.done for each in fresh) for sprint in state.sprints
        ),
        notes=state.notes,
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
    """Moves the files to a folder of their own; done again after a crash, it goes on where it was."""
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
