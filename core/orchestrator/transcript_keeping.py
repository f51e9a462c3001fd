"""What becomes of transcripts after their turns: their words are indexed, and in time they are removed.

Both go on in the background, a little at a time, and both can be ended anywhere: a file is removed before its
row says so, and what the row does not say yet is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path

from core.agents.redaction import Redactor
from core.agents.transcript import read_transcript
from core.clock import Clock
from core.errors import OrchardError
from core.orchestrator.session_turns import transcripts_folder
from core.store import agent_sessions
from core.store.agent_sessions import Kept, SessionTurn
from core.store.database import Store
from core.store.transcript_index import TranscriptIndex

log = logging.getLogger(__name__)

_INDEXED_A_TICK = 50
_PRUNED_A_TICK = 500
_PRUNE_SECONDS = 3600.0
_DAY_SECONDS = 86400.0
_ENDINGS = (".jsonl", ".stderr")


class TranscriptKeeping:
    """`tick` is called on a timer; one at a time."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        state_path: Path,
        retention_days: Callable[[], int],
        redactor: Callable[[], Redactor] = Redactor,
    ) -> None:
        self._store = store
        self._clock = clock
        self._folder = transcripts_folder(state_path)
        self._retention_days = retention_days
        self._redactor = redactor
        self.index = TranscriptIndex(state_path)
        self._place: int | None = None  # the last turn that is indexed; None: not looked up yet
        self._next_prune = 0.0  # monotonic
        self._at_work = asyncio.Lock()

    async def tick(self) -> None:
        async with self._at_work:
            for step in (self._index, self._prune_in_time):
                try:
                    await step()
                except OrchardError as error:
                    self._place = None
                    log.warning("transcripts: %s", error)
                except Exception:  # edge: one that cannot be done keeps nothing else from being done
                    self._place = None
                    log.exception("keeping transcripts failed, incident %s", secrets.token_hex(4))

    async def settle(self) -> None:
        """Waits for a tick that is under way."""
        async with self._at_work:
            return

    async def _index(self) -> None:
        if self._place is None:
            self._place = await asyncio.to_thread(self.index.place)
        place = self._place
        turns = await self._store.read(
            lambda conn: agent_sessions.turns(conn, after=place, limit=_INDEXED_A_TICK)
        )
        for turn in turns:
            await asyncio.to_thread(self._take_in, turn)
            self._place = turn.seq

    def _take_in(self, turn: SessionTurn) -> None:
        text = None
        if turn.transcript_state is Kept.KEPT:
            try:
                text = read_transcript(self._folder / turn.transcript, self._redactor())
            except OSError as error:
                log.info("the transcript of %s cannot be indexed: %s", turn.turn_id, error)
        self.index.add(turn.turn_id, turn.project, text, seq=turn.seq)

    async def _prune_in_time(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_prune:
            return
        if await self.prune() < _PRUNED_A_TICK:
            self._next_prune = now + _PRUNE_SECONDS

    async def prune(self) -> int:
        """Removes what is older than it is kept; how many turns' transcripts. Nothing of a story not over."""
        days = self._retention_days()
        before = self._clock.now() - timedelta(days=days)
        old = await self._store.read(lambda conn: agent_sessions.prunable(conn, before, limit=_PRUNED_A_TICK))
        if old:
            ids = [turn.turn_id for turn in old]
            await asyncio.to_thread(self._remove, old)
            await asyncio.to_thread(self.index.forget, ids)
            await self._store.write(lambda tx: agent_sessions.mark_pruned(tx, ids))
            log.info("removed the transcripts of %d turns: they are kept for %d days", len(old), days)
        at_work = await self._store.read(agent_sessions.running)
        await asyncio.to_thread(_sweep, self._folder, at_work, time.time() - days * _DAY_SECONDS)
        return len(old)

    def _remove(self, turns: Collection[SessionTurn]) -> None:
        root = self._folder.resolve()
        for turn in turns:
            path = self._folder / turn.transcript
            if not path.parent.resolve().is_relative_to(root):
                continue  # whoever wrote that row: nothing of it is ours
            path.unlink(missing_ok=True)
            path.with_suffix(".stderr").unlink(missing_ok=True)


def _sweep(folder: Path, at_work: Collection[str], before: float) -> None:
    """Files that belong to no row: of turns that ended with their worker, or of an older Orchard."""
    with contextlib.suppress(OSError):
        for project in os.scandir(folder):
            if not project.is_dir(follow_symlinks=False):
                continue
            for story in os.scandir(project.path):
                if story.name not in at_work and story.is_dir(follow_symlinks=False):
                    _sweep_story(Path(story.path), before)


def _sweep_story(folder: Path, before: float) -> None:
    left = False
    for entry in os.scandir(folder):
        if entry.name.endswith(_ENDINGS) and entry.stat(follow_symlinks=False).st_mtime < before:
            with contextlib.suppress(OSError):
                Path(entry.path).unlink()
        else:
            left = True
    if not left:
        with contextlib.suppress(OSError):
            folder.rmdir()
