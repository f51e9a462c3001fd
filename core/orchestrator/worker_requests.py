"""What people ask of a project's worker beside the phases: a word to a turn, a run of the tests, a folder."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from core.domain.lifecycles import Phase
from core.domain.story import Hold
from core.errors import LostRace, NotAllowed, OrchardError, Unavailable
from core.orchestrator.jobs import brief_of
from core.orchestrator.setups import Setups
from core.orchestrator.supervisor import Supervisor
from core.rpc import PeerGone, RpcError, decode
from core.store import cycles, stories
from core.store.database import Store, Transaction
from core.worker.contract import (
    OpenedWorktree,
    OpenWorktree,
    ProjectSetup,
    Steer,
    Steered,
    SuiteJob,
    SuiteReport,
)

T = TypeVar("T")

_STEER_SECONDS = 30.0
_STOP_SECONDS = 30.0
_QUIET_SECONDS = 60.0  # a turn's stop ladder takes up to 9 s by default


class WorkerRequests:
    """`quiet` waits until nothing works for a story, so many seconds at most, and says whether that is so."""

    def __init__(
        self,
        store: Store,
        supervisor: Supervisor,
        setups: Setups,
        *,
        quiet: Callable[[str, float], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._setups = setups
        self._quiet = quiet

    async def steer(self, project: str, story_id: str, text: str) -> bool:
        """Whether a running turn got the text."""
        steer = Steer(story_id=story_id, text=text)
        with contextlib.suppress(OrchardError, TimeoutError):
            answer = await self._supervisor.call_if_running(project, "steer", steer, timeout=_STEER_SECONDS)
            return answer is not None and decode(Steered, answer).reached
        return False

    async def run_tests(self, project: str, story_id: str | None) -> SuiteReport:
        """The whole suite, of the main branch or of a story as it is now. Raises OrchardError."""
        cycle = await self._store.read(lambda conn: cycles.get(conn, story_id)) if story_id else None
        job = SuiteJob(
            project=self._setups.project(project),
            story_id=story_id,
            head_commit=cycle.head_commit if cycle else None,
        )
        return await self._ask(SuiteReport, project, "run_tests", job, f"The tests of {story_id or project}")

    async def stop_tests(self, project: str, story_id: str | None) -> bool:
        """Whether such a run was there to be stopped; it then ends by itself, with an error that says so."""
        asked = {"story_id": story_id}
        answer = await self._supervisor.call_if_running(project, "cancel_tests", asked, timeout=_STOP_SECONDS)
        return bool(answer and answer["running"])

    async def open_worktree(self, project: str, story_id: str) -> Path:
        """The folder of a story that a person has taken, on its branch. Raises OrchardError."""
        if not await self._quiet(story_id, _QUIET_SECONDS):
            raise Unavailable(
                f"What runs for {story_id} has not ended yet.",
                why="It was told to stop, and takes its time.",
                hint="Ask again in a minute.",
            )
        setup = self._setups.project(project)
        job = await self._store.read(lambda conn: _open_job(conn, setup, story_id))
        opened = await self._ask(OpenedWorktree, project, "open_worktree", job, f"The folder of {story_id}")

        def stands(tx: Transaction) -> None:
            cycle = cycles.get(tx.conn, story_id)
            if cycle is None or (cycle.base_commit, cycle.head_commit) != (job.base_commit, job.head_commit):
                raise LostRace(f"{story_id} moved on.", hint="Ask again.")
            if cycle.hold is not Hold.TAKEN:
                raise LostRace(f"{story_id} was handed back meanwhile.", hint="Take it over again.")
            if cycle.base_commit is None:  # what the person does is judged against what it was made from
                base = opened.base_commit
                cycles.patch(tx, story_id, state=cycle.state, base_commit=base, head_commit=base)

        await self._store.write(stands)
        return opened.path

    async def _ask(self, kind: type[T], project: str, method: str, job: object, what: str) -> T:
        owner = await self._supervisor.ensure(project)
        try:
            return await self._supervisor.request(kind, owner, method, job)
        except (PeerGone, RpcError) as error:
            raise Unavailable(
                f"{what} could not be had.", why=str(error), hint="Ask again; the worker's log holds more."
            ) from error


def _open_job(conn: sqlite3.Connection, setup: ProjectSetup, story_id: str) -> OpenWorktree:
    story, cycle = stories.get(conn, story_id), cycles.get(conn, story_id)
    if cycle is None or cycle.state.phase is None:
        raise NotAllowed(f"{story_id} is over: it has no folder any more.")
    return OpenWorktree(
        project=setup,
        story=brief_of(story, cycle),
        phase=Phase(cycle.state.value),
        base_commit=cycle.base_commit,
        head_commit=cycle.head_commit,
    )
