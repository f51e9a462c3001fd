"""What an attempt that did not pass left in its worktree, noted: the next one may go on from exactly that.

The note is beside the worktrees, not in the store: it is true of these files alone, and outlives a report
that was lost. One that does not fit what is there any more counts for nothing.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import NamedTuple, Self

from core.domain.lifecycles import Phase


class Left(NamedTuple):
    commit: str  # on which the worktree stands
    phase: Phase
    tree: str  # its files
    parked: bool = False  # the turn was interrupted to make place

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None where there is no note, or one that cannot be read."""
        try:
            note = json.loads(path.read_text())
            return cls(note["commit"], Phase(note["phase"]), note["tree"], bool(note.get("parked")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, path: Path) -> None:
        write_whole(path, json.dumps(self._asdict()))


def write_whole(path: Path, text: str) -> None:
    """The file as it was, or with all of the text."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.write_text(text)
    fresh.replace(path)
