"""Where workers run. A worker is a program that speaks JSON-RPC lines; an executor starts one and says how
it ended.

What a handle promises:

    before it is ready   `start` returns as soon as the process is there; what is written waits in its
    stream while it runs        `reader` and `writer` are its standard output and input; its standard error
    is a log file after it ended       `reader` is at its end, `wait` has returned; the handle may be
    forgotten when we are killed   its standard input ends, and it ends itself and all that it started
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a worker ended. Both None: it ended, and nobody saw how."""

    code: int | None = None
    signal: int | None = None
    detail: str = ""  # the last words of its log, when it did not end well

    def __str__(self) -> str:
        if self.signal is not None:
            try:
                name = signal.Signals(self.signal).name
            except ValueError:
                name = f"signal {self.signal}"
            text = f"killed by {name}"
        elif self.code is not None:
            text = f"exit code {self.code}"
        else:
            text = "ended, cause unknown"
        return f"{text}: {self.detail}" if self.detail else text


class WorkerHandle(Protocol):
    """One running worker. `start_ticks` with `pid` is its identity (/proc/<pid>/stat, field 22)."""

    @property
    def pid(self) -> int: ...
    @property
    def start_ticks(self) -> int: ...
    @property
    def reader(self) -> asyncio.StreamReader: ...
    @property
    def writer(self) -> asyncio.StreamWriter: ...

    async def wait(self) -> Exit:
        """Returns once it has ended; as often as asked, by as many as ask."""
        ...

    def kill(self) -> None:
        """Ends it now; a worker that has ended already is left alone."""
        ...

    async def stop(self, grace_seconds: float) -> Exit:
        """Asks it to end (TERM), and ends it after `grace_seconds`. 0: at once."""
        ...


class Executor(Protocol):
    async def start(self, name: str) -> WorkerHandle:
        """A new worker for the project `name`. Raises Unavailable when none can be started."""
        ...
