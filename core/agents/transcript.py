"""What was said on the wire, as JSON lines. Bounded: a chatty agent cannot fill the disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from core.agents.reading import readable
from core.clock import Clock

_READ_BYTES = 32 << 20  # of a file that many turns were appended to, its end


class Transcript:
    """One line a message: `{"at", "way": "in" | "out" | "note", "message"}`.

    A message whose text is longer than `line_limit` characters is kept as its head, in `cut`. After
    `size_limit` characters one last note says so and the rest is only counted.
    """

    def __init__(
        self, path: Path, clock: Clock, *, line_limit: int = 64 << 10, size_limit: int = 16 << 20
    ) -> None:
        self._path = path
        self._clock = clock
        self._line_limit = line_limit
        self._room = size_limit
        self._file: TextIO | None = None
        self.dropped = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", encoding="utf-8", errors="replace")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            if self.dropped:
                self._put({"way": "note", "message": f"{self.dropped} more messages were not kept"})
            self._file.close()
            self._file = None

    def add(self, way: str, message: Any) -> None:
        """Write one message down; never raises for what it holds."""
        if self._file is None or self.dropped:
            self.dropped += 1
            return
        body = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
        entry: dict[str, Any] = {"at": self._clock.now().isoformat(), "way": way}
        if len(body) > self._line_limit:
            entry |= {"cut": body[: self._line_limit], "characters": len(body)}
        else:
            entry["message"] = message
        self._room -= min(len(body), self._line_limit)
        if self._room < 0:
            self.dropped = 1
            return
        self._put(entry)

    def _put(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")
            self._file.flush()


def last_transcript(folder: Path) -> Path | None:
    """The newest of a story's transcripts; None when there is none."""
    try:
        found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*.jsonl")]
    except OSError:
        return None
    return max(found)[1] if found else None


def read_transcript(path: Path) -> str:
    """As people read it, below its file's name: the end of it, when it is long."""
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_BYTES))
        said = file.read().decode("utf-8", "replace")
    return f"# {path.stem}\n\n{readable(said)}"
