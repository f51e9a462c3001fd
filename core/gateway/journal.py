"""The journal: what the gateway writes of its calls before it forwards them, and what is left of it later.

A line is in the kernel's hands once it is written, so it outlives a process that is killed (not a power cut).
Files are numbered; a process begins a new one, and another one when that has grown.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.gateway.calls import MeteredCall, Stage, line_of, read_line

log = logging.getLogger(__name__)

_SEGMENT = re.compile(r"calls-(\d{8})\.jsonl")
_GROWN_BYTES = 4 << 20
_READ_BYTES = 4 << 20


def segments(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(path for path in folder.iterdir() if _SEGMENT.fullmatch(path.name))


class JournalWriter:
    """Of the gateway's process."""

    def __init__(self, folder: Path, *, grown_bytes: int = _GROWN_BYTES) -> None:
        """Raises OSError."""
        self._folder = folder
        self._grown = grown_bytes
        self._owed: list[bytes] = []  # lines of ended calls that could not be written yet
        self._torn = False
        self._fd = self._open()
        self.on_ended: Callable[[], None] = lambda: None

    def begun(self, call: MeteredCall) -> None:
        """Raises OSError: then the call must not be sent."""
        self.settle()
        self._write(line_of(Stage.BEGUN, call))

    def told(self, call: MeteredCall) -> None:
        self._owe(line_of(Stage.TOLD, call))

    def ended(self, call: MeteredCall) -> None:
        """A line that cannot be written now is kept, and written before any other."""
        self._owe(line_of(Stage.ENDED, call))
        self.on_ended()
        if self._size > self._grown and not self._owed:
            try:
                fd = self._open()
            except OSError as error:
                log.warning("the journal cannot begin a new file: %s", error)
                return
            os.close(self._fd)
            self._fd = fd

    def settle(self) -> None:
        """Writes what is owed. Raises OSError when it still cannot."""
        while self._owed:
            self._write(self._owed[0])
            del self._owed[0]

    def close(self) -> None:
        try:
            self.settle()
        except OSError as error:
            log.error("%d calls could not be written to the journal: %s", len(self._owed), error)
        os.close(self._fd)

    def _owe(self, line: bytes) -> None:
        self._owed.append(line)
        try:
            self.settle()
        except OSError as error:
            log.error("the journal cannot be written: %s; no more calls are sent until it can", error)

    def _write(self, line: bytes) -> None:
        data = b"\n" + line if self._torn else line
        written = os.write(self._fd, data)
        self._size += written
        self._torn = written < len(data)  # a full disk: the reader leaves the torn line out
        if self._torn:
            raise OSError("the disk is full")

    def _open(self) -> int:
        found = segments(self._folder)
        number = int(found[-1].name[6:14]) + 1 if found else 1
        path = self._folder / f"calls-{number:08}.jsonl"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = 0
        return fd


@dataclass(slots=True, kw_only=True)
class _Read:
    path: Path
    offset: int = 0
    open: set[str] = field(default_factory=set)  # calls that began here and have not ended


class JournalReader:
    """Of the control plane: gives each ended call once, unless the last `taken` was never said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, _Read] = {}
        self._open: dict[str, MeteredCall] = {}
        self._ended: list[MeteredCall] = []

    def ended(self) -> tuple[MeteredCall, ...]:
        """Reads on; all calls that have ended and were not said to be taken. Raises OSError."""
        for path in segments(self._folder):
            self._read.setdefault(path, _Read(path=path))
        for each in self._read.values():
            while self._step(each):
                pass
        return tuple(self._ended)

    def left(self) -> tuple[MeteredCall, ...]:
        """As `ended`, once no process writes any more: calls without an end count as they were last known."""
        self.ended()
        self._ended += self._open.values()
        self._open.clear()
        for each in self._read.values():
            each.open.clear()
        return tuple(self._ended)

    def taken(self, calls: tuple[MeteredCall, ...], *, over: bool = False) -> None:
        """These are recorded. Files with nothing more to say go; `over`: also the newest, which is written
        to no longer."""
        ids = {call.call_id for call in calls}
        self._ended = [call for call in self._ended if call.call_id not in ids]
        if self._ended:
            return
        newest = max(self._read, default=None)
        for path, each in list(self._read.items()):
            if not each.open and (over or path != newest):
                path.unlink(missing_ok=True)
                del self._read[path]

    def _step(self, each: _Read) -> bool:
        with each.path.open("rb") as file:
            file.seek(each.offset)
            data = file.read(_READ_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take(each, line)
        each.offset += len(whole)
        return len(data) == _READ_BYTES and bool(whole)

    def _take(self, each: _Read, line: bytes) -> None:
        found = read_line(line)
        if found is None:
            if line.strip():
                log.warning("%s: a line cannot be read and is left out: %r", each.path, line[:80])
            return
        stage, call = found
        if stage is Stage.BEGUN:
            each.open.add(call.call_id)
            self._open[call.call_id] = call
        elif stage is Stage.TOLD:
            if call.call_id in self._open:
                self._open[call.call_id] = call
        else:
            self._open.pop(call.call_id, None)
            for other in self._read.values():
                other.open.discard(call.call_id)
            self._ended.append(call)
