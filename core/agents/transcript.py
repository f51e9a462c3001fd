"""What was said on the wire, as JSON lines. Bounded: a chatty agent cannot fill the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from core.agents.reading import readable
from core.agents.redaction import Redactor
from core.clock import Clock

_PIECES = frozenset({"agent_message_chunk", "agent_thought_chunk", "user_message_chunk"})
_READ_BYTES = 32 << 20  # of a file that many turns were appended to, its end


class Transcript:
    """One line a message: `{"at", "way": "in" | "out" | "note", "message"}`, without what is secret.

    A message whose text is longer than `line_limit` characters is kept as its head, in `cut`; a prompt that
    Orchard sends is kept whole up to `prompt_limit`. After `size_limit` characters one last note says so and
    the rest is only counted. An agent's text comes in pieces: the end of one that could be the beginning of
    a secret is written with the next.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        redactor: Redactor | None = None,
        line_limit: int = 64 << 10,
        prompt_limit: int = 1 << 20,
        size_limit: int = 16 << 20,
    ) -> None:
        self._path = path
        self._clock = clock
        self._redactor = redactor or Redactor()
        self._line_limit = line_limit
        self._prompt_limit = prompt_limit
        self._room = size_limit
        self._file: TextIO | None = None
        self._stream = self._redactor.stream()
        self._speaking: dict[str, Any] | None = None  # the last piece of text, whose end may be kept back
        self.dropped = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._file = os.fdopen(opened, "a", encoding="utf-8", errors="replace")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._end_speech()
            if self.dropped:
                self._put({"way": "note", "message": f"{self.dropped} more messages were not kept"})
            self._file.close()
            self._file = None

    def add(self, way: str, message: Any) -> None:
        """Write one message down; never raises for what it holds."""
        if self._file is None or self.dropped:
            self.dropped += 1
            return
        text = _spoken(message) if way == "in" else None
        if text is None:
            self._end_speech()
            self._keep(way, message, secret=True)
            return
        if self._speaking is None or _speaker(self._speaking) != _speaker(message):
            self._end_speech()
        self._speaking = message
        if said := self._stream.add(text):
            self._keep(way, _saying(message, said))

    def _end_speech(self) -> None:
        speaking, self._speaking = self._speaking, None
        if speaking is not None and (said := self._stream.end()):
            self._keep("in", _saying(speaking, said))

    def _keep(self, way: str, message: Any, *, secret: bool = False) -> None:
        """`secret`: it may hold something that is."""
        if self.dropped:
            self.dropped += 1
            return
        body = message if isinstance(message, str) else _json(message)
        if secret and self._redactor.may_hold(body):
            message = self._redactor.value(message)
            body = message if isinstance(message, str) else _json(message)
        limit = self._line_limit
        if way == "out" and isinstance(message, dict) and message.get("method") == "session/prompt":
            limit = max(limit, self._prompt_limit)
        entry: dict[str, Any] = {"at": self._clock.now().isoformat(), "way": way}
        if len(body) > limit:
            entry |= {"cut": body[:limit], "characters": len(body)}
        else:
            entry["message"] = message
        self._room -= min(len(body), limit)
        if self._room < 0:
            self.dropped = 1
            return
        self._put(entry)

    def _put(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(_json(entry) + "\n")
            self._file.flush()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _spoken(message: Any) -> str | None:
    """The text of a piece of an agent's words; None for every other message."""
    try:
        update = message["params"]["update"]
        text = update["content"]["text"]
        return text if update["sessionUpdate"] in _PIECES and isinstance(text, str) else None
    except (KeyError, TypeError):
        return None


def _speaker(message: Mapping[str, Any]) -> tuple[Any, Any]:
    params = message["params"]
    return params.get("sessionId"), params["update"]["sessionUpdate"]


def _saying(message: Mapping[str, Any], text: str) -> dict[str, Any]:
    params = message["params"]
    update = params["update"]
    content = {**update["content"], "text": text}
    return {**message, "params": {**params, "update": {**update, "content": content}}}


def read_prompt(path: Path) -> str:
    """The first prompt that a transcript holds, as it was sent but for what is secret; "" where it has none.

    Raises OSError.
    """
    with path.open("rb") as file:
        for line in file.read(_READ_BYTES).split(b"\n"):
            if b"session/prompt" not in line:
                continue
            try:
                entry = json.loads(line)
                blocks = entry["message"]["params"]["prompt"]
                return "".join(str(block.get("text", "")) for block in blocks)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
    return ""


def last_transcript(folder: Path) -> Path | None:
    """The newest of a story's transcripts; None when there is none."""
    try:
        found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*.jsonl")]
    except OSError:
        return None
    return max(found)[1] if found else None


def read_transcript(path: Path, redactor: Redactor | None = None) -> str:
    """As people read it, below its file's name: the end of it, when it is long.

    Without what is secret: it may have been written before a secret was known.
    """
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_BYTES))
        said = file.read().decode("utf-8", "replace")
    return f"# {path.stem}\n\n{(redactor or Redactor()).text(readable(said))}"
