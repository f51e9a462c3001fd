"""The repository that is made to check an agent in, and what its turns leave there."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import Unavailable

STORY = "check-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    top: Path

    @property
    def repository(self) -> Path:
        return self.top / "repository"

    @property
    def worktree(self) -> Path:
        return self.top / "worktree"

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def transcripts(self) -> Path:
        return self.top / "transcripts"

    def transcript(self, turn: str) -> Path:
        return self.transcripts / f"{turn}.jsonl"

    @classmethod
    async def make(cls, top: Path) -> Place:
        place = cls(top=top)
        for each in (place.repository, place.home):
            each.mkdir()
        (place.repository / "README.md").write_text("# A repository made to check an agent\n")
        await place.git("init", "-q", "-b", "main")
        await place.git("add", "README.md")
        await place.git(
            "-c", "user.name=Orchard", "-c", "user.email=orchard@localhost", "commit", "-q", "-m", "One"
        )
        await place.git("worktree", "add", "-q", "-b", f"orchard/{STORY}", str(place.worktree))
        return place

    async def git(self, *words: str) -> str:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home)}
        environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        process = await asyncio.create_subprocess_exec(
            "git", *words,
            cwd=self.repository,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise Unavailable(
                f"git could not make a repository for the check: {said.decode(errors='replace').strip()}"
            )
        return said.decode(errors="replace")

    def read(self, name: str) -> str | None:
        """What a file of the worktree holds; None when it cannot be read."""
        try:
            return (self.worktree / name).read_text("utf-8", errors="replace")
        except OSError:
            return None

    def first_answer_seconds(self, turn: str) -> float | None:
        """From our first message to the agent's first; None when it said nothing."""
        entries = _entries(self.transcript(turn))
        out = next((entry for entry in entries if entry["way"] == "out"), None)
        came = next((entry for entry in entries if entry["way"] == "in"), None)
        if out is None or came is None:
            return None
        at = [datetime.fromisoformat(str(entry["at"])) for entry in (out, came)]
        return max((at[1] - at[0]).total_seconds(), 0.0)

    def how_taken_up(self, turn: str) -> str:
        """By which request of ours a turn got its session."""
        asked = []
        for entry in _entries(self.transcript(turn)):
            message = entry.get("message")
            if entry["way"] == "out" and isinstance(message, dict):
                asked.append(message.get("method"))
        return next(
            (f"session/{how}" for how in ("resume", "load") if f"session/{how}" in asked), "session/new"
        )


def _entries(transcript: Path) -> list[Mapping[str, object]]:
    try:
        return [json.loads(line) for line in transcript.read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        return []
