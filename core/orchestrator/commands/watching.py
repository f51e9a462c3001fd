"""Looking at stories at work, and running a project's tests; nothing here moves a story."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path

from pydantic import TypeAdapter

from core.agents.transcript import last_transcript, read_transcript
from core.domain.event import Event, EventKind
from core.domain.lifecycles import CycleState
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator import overview
from core.orchestrator.commands.secrets import redactor_of
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.overlaps import overlaps
from core.orchestrator.views import ChangesView, CyclesView, RunView
from core.store import cycles, events, merges, sprints, stories
from core.store.database import Transaction
from core.worker.contract import SuiteReport
from core.worker.git import Repository
from core.worker.unjudged import unjudged

log = logging.getLogger(__name__)

_REPORT = TypeAdapter(SuiteReport)
_LOG_AT_MOST = 1000
_DIFF_BYTES = 400_000


class Watching(Topic):
    async def cycles(self, project: str) -> CyclesView:
        """The stories of the sprint that is not over, those at work first, with what they get in each other's
        way by, and the order in which they are merged."""

        def look(conn: sqlite3.Connection) -> CyclesView:
            name = find(conn, project).name
            sprint = sprints.current(conn, name)
            chosen = sprints.stories(conn, sprint.id) if sprint else ()
            views = overview.story_views(conn, chosen, self._why)
            return CyclesView(
                project=name,
                stories=tuple(sorted(views, key=lambda view: view.cycle is None)),
                overlaps=overlaps(conn, name),
                merging=_merging(conn, name),
            )

        return await self._store.read(look)

    async def story_log(self, story_id: str, *, limit: int = 200) -> tuple[Event, ...]:
        """The last `limit` events of a story, oldest first."""

        def look(conn: sqlite3.Connection) -> tuple[Event, ...]:
            story = stories.get(conn, story_id)
            return events.latest(conn, story_id=story.id, limit=max(1, min(limit, _LOG_AT_MOST)))

        return await self._store.read(look)

    async def transcript(self, story_id: str) -> str:
        """What was said in the last turn of a story, as text; the end of it, when it is very long."""
        story = await self._store.read(lambda conn: stories.get(conn, story_id))
        folder = self._registry.configuration.state_path / "transcripts" / story.project / story.id
        path = await asyncio.to_thread(last_transcript, folder)
        if path is None:
            raise NotFound(
                f"No agent has worked on {story.id} yet.",
                hint="There is a transcript when its first turn has begun.",
            )
        return await asyncio.to_thread(lambda: read_transcript(path, redactor_of(self._registry)))

    async def changes(self, story_id: str) -> ChangesView:
        """What the last passed gate's commit changed since the story's base. Raises GitFailed where its
        commits are gone."""
        cycle = await self._store.read(lambda conn: cycles.get(conn, stories.get(conn, story_id).id))
        if cycle is None or cycle.base_commit is None or cycle.head_commit is None:
            base = None if cycle is None else cycle.base_commit
            return ChangesView(story_id=story_id.strip().lower(), base=base, commit=None, text="")
        repository = await Repository.open(await self._checkout(cycle.project))
        text = await repository.diff(cycle.base_commit, cycle.head_commit, limit_bytes=_DIFF_BYTES)
        return ChangesView(
            story_id=cycle.story_id,
            base=cycle.base_commit,
            commit=cycle.head_commit,
            text=await self._redacted(text),
        )

    async def changes_now(self, story_id: str) -> ChangesView | None:
        """What its files hold now, committed or not, as a difference from the story's base. None
        where nothing is at work or was left: no folder, or its cycle is over. Raises OrchardError when they
        cannot be read in time."""
        cycle = await self._store.read(lambda conn: cycles.get(conn, stories.get(conn, story_id).id))
        if cycle is None or cycle.base_commit is None or cycle.state.phase is None:
            return None
        checkout = await self._checkout(cycle.project)
        state_path = self._registry.configuration.state_path
        async with self._file_looks:
            found = await unjudged(checkout, state_path, cycle.project, cycle.story_id, cycle.base_commit)
        if found is None:
            return None
        return ChangesView(
            story_id=cycle.story_id,
            base=cycle.base_commit,
            commit=None,
            text=await self._redacted(found.text),
            left_out=tuple([await self._redacted(each) for each in found.left_out]),
        )

    async def _checkout(self, project: str) -> Path:
        return (await self._store.read(lambda conn: find(conn, project))).path

    async def _redacted(self, text: str) -> str:
        return await asyncio.to_thread(lambda: redactor_of(self._registry).cut_text(text))

    async def run_tests(self, project: str, story_id: str | None = None, *, actor: str) -> RunView:
        """Runs the whole suite, of the main branch or of a story's folder as it is now. Judges nothing."""
        engine = self._running("Tests are run")
        name, story = await self._store.read(lambda conn: _meant(conn, project, story_id))
        report = await engine.run_tests(name, story)

        def tell(tx: Transaction) -> None:
            data = {**_REPORT.dump_python(report, mode="json"), "by": actor}
            tx.emit(EventKind.TESTS_RAN, project=name, story_id=story, actor=actor, data=data)

        await self._store.write(tell)
        return RunView(project=name, report=report)

    async def stop_tests(self, project: str, story_id: str | None = None, *, actor: str) -> None:
        """Ends a run of `run_tests`; whoever asked for it gets an answer that says so."""
        engine = self._running("Tests are run")
        name, story = await self._store.read(lambda conn: _meant(conn, project, story_id))
        if not await engine.stop_tests(name, story):
            raise NotAllowed(
                f"No tests of {story or name} run now.",
                hint="A gate's run ends with its story's phase.",
            )
        log.info("%s stopped the tests of %s", actor, story or name)


def _meant(conn: sqlite3.Connection, project: str, story_id: str | None) -> tuple[str, str | None]:
    name = find(conn, project).name
    if story_id is None:
        return name, None
    story = stories.get(conn, story_id)
    if story.project != name:
        raise InvalidInput(
            f"{story.id} belongs to {story.project}, not {name}.", hint="Name its own project."
        )
    return name, story.id


def _merging(conn: sqlite3.Connection, project: str) -> tuple[str, ...]:
    """Those being merged, then those whose turn comes."""
    now = [merge.story_id for merge in merges.open_of(conn, project)]
    waiting = [
        cycle.story_id
        for cycle in cycles.runnable(conn, project)
        if cycle.state is CycleState.COMMIT and cycle.story_id not in now
    ]
    return (*now, *waiting)
