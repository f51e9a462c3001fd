"""What a turn may go on from: what is told of the turns before it, and of the stories linked to its own.

Transcripts are read when they are needed only: most sessions are taken up again, and need none of it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from core.agents.digest import ReadTurn, digest
from core.agents.prompts import Linked, earlier_session
from core.agents.redaction import Redactor, secrets_in
from core.walking import walk
from core.worker.contract import PastTurn, PhaseJob

logger = logging.getLogger(__name__)

_READ_BYTES = 4 << 20  # of the end of each transcript
_LINKED_SHOWN = 4_000  # characters of each linked story
_HOME_BYTES = 512 << 20  # of another story's agent's HOME, to be copied for a session that is branched off


class Past:
    def __init__(self, job: PhaseJob) -> None:
        self._job = job
        self._folder = job.project.state_path / "transcripts"
        token = (job.model.token,) if job.model else ()
        self.redactor = Redactor((*job.secrets, *secrets_in(job.agent.environment), *token))

    async def seed(self) -> str:
        """For a session that is not taken up again: what was before this turn, as a prompt tells it; "" where
        there was nothing."""
        record = await asyncio.to_thread(self._record, self._job.past)
        if not record:
            return ""
        source = self._job.past[-1].story_id
        return earlier_session(record, of="" if source == self._job.story.id else source)

    async def linked(self) -> tuple[Linked, ...]:
        """In the order in which people linked them. One that left nothing to tell is left out."""
        found = []
        for story in self._job.linked:
            record = await asyncio.to_thread(self._record, story.turns, _LINKED_SHOWN)
            if record:
                title = " ".join(story.title.split())
                found.append(
                    Linked(
                        project=story.project,
                        story_id=story.story_id,
                        day=f"{story.turns[-1].ended_at:%Y-%m-%d}",
                        record=f"{story.story_id}: {title}\n\n{record}",
                        own_project=story.project == self._job.project.name,
                    )
                )
        return tuple(found)

    def _record(self, turns: Sequence[PastTurn], limit: int | None = None) -> str:
        read = []
        for turn in turns:
            heading = (
                f"{turn.phase}, attempt {turn.attempt}, by {turn.agent}, {turn.ended_at:%Y-%m-%d %H:%M} UTC"
                f"{', cut off in the middle' if turn.outcome == 'cut' else ''}"
            )
            if jsonl := _end_of(self._folder, turn.transcript):
                read.append(ReadTurn(heading=heading, jsonl=jsonl))
        return self.redactor.text(digest(read) if limit is None else digest(read, limit))


def _end_of(folder: Path, name: str) -> str:
    """A transcript's last lines; "" where it cannot be read, or is none of ours."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return ""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _READ_BYTES))
            return file.read(_READ_BYTES).decode("utf-8", "replace")
    except OSError as error:
        logger.warning("the transcript %s cannot be read: %s", name, error)
        return ""


def bring_home(source: Path, target: Path) -> bool:
    """Copies an agent's HOME for a session that is branched off, where the target is none yet.

    Files, folders and links only, as they are; False where there is nothing to copy, or too much.
    """
    if target.exists() or not source.is_dir():
        return False
    size = 0
    for folder, _, names in walk(source):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - of many
            except OSError:
                continue
            if size > _HOME_BYTES:
                return False

    def odd(folder: str, names: list[str]) -> list[str]:
        """Sockets and pipes: what cannot be copied, or would never end."""
        found = []
        for name in names:
            try:
                mode = (Path(folder) / name).lstat().st_mode
            except OSError:
                found.append(name)
                continue
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
                found.append(name)
        return found

    try:
        shutil.copytree(source, target, symlinks=True, ignore=odd)
    except (OSError, shutil.Error) as error:  # an agent may be at work in it
        logger.info("the HOME %s was not copied whole: %s", source, error)
    return True
