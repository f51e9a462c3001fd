"""A program that was started in a sandbox, with everything that it starts: to talk to, and to end whole."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from contextlib import suppress

from core.errors import Unavailable
from core.isolation.contain import descendants, send, stat_fields
from core.isolation.orphans import marked
from core.isolation.sandbox import Launch, Level
from core.isolation.streams import PipeReader, until_readable

_GONE_SECONDS = 15.0  # a killed tree is gone in milliseconds; longer means a process the kernel cannot end
_START_SECONDS = 20.0


class ContainedProcess:
    """A running program with everything it starts. End it with `kill_tree`, also after it ended by itself."""

    def __init__(self, popen: subprocess.Popen[bytes], launched: Launch, mark: str) -> None:
        self._popen = popen
        self._launch = launched
        self._mark = mark
        self._ended: asyncio.Task[int] = asyncio.create_task(self._reap(), name=f"reap {popen.pid}")
        self._init: int | None = None  # first process of the sandbox's PID namespace: pid here
        self._init_fd: int | None = None
        self._init_ticks = 0
        self._status: PipeReader | None = None
        self._status_rest: bytes | None = None
        self._killed = False
        self._lifeline: int | None = None
        self._out: PipeReader | None = None
        self._err: PipeReader | None = None
        self.pid = popen.pid
        fields = stat_fields(popen.pid)
        self.start_ticks = int(fields[19]) if fields else 0
        self.group = popen.pid
        self.stdin: asyncio.StreamWriter | None = None

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        return self._out.reader if self._out else None

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        return self._err.reader if self._err else None

    @property
    def returncode(self) -> int | None:
        """None while it runs; 128 + n when signal n ended it."""
        return exit_code_of(self._popen.returncode)

    @property
    def root(self) -> tuple[int, int]:
        """Pid and start ticks of the process that all of it ends with: the sandbox's first, else our child.

        When we are killed while our child still makes the sandbox, that first process may go on without it,
        until somebody calls `end_orphans`.
        """
        return (self.pid, self.start_ticks) if self._init is None else (self._init, self._init_ticks)

    async def wait(self) -> int:
        """The exit code, once nothing of the tree is left.

        Raises Unavailable when the sandbox itself could not be made (the reason is on its standard error).
        """
        code = await self.wait_gone()
        await self.check_began()
        return code

    async def wait_gone(self) -> int:
        """As `wait`, without judging whether the sandbox could be made."""
        code = await asyncio.shield(self._ended)
        await self._nothing_left()
        return code

    async def check_began(self, said: str = "") -> None:
        """Of an ended program: raises Unavailable when its sandbox could not be made. `said`: its output."""
        if self._status is None or self._killed or self._popen.returncode != 1:
            return
        if self._status_rest is None:
            async with asyncio.timeout(_GONE_SECONDS):
                self._status_rest = await self._status.read_all()
        if b'"exit-code"' not in self._status_rest:  # bubblewrap reports it of what it could start
            raise Unavailable(
                "The sandbox could not be made.",
                why=said.strip() or f"bubblewrap ended before {self._launch.command[0]} began.",
                hint="Run `orchard doctor`.",
            )

    def terminate(self) -> None:
        """Asks the program itself (not its keeper) to end, with TERM."""
        keeper = self.pid if self._launch.level is Level.PROCESS else self._init
        if keeper is not None and self._popen.returncode is None:
            for pid in _children(keeper):
                send(pid, signal.SIGTERM)

    async def kill_tree(self) -> None:
        """Ends the program and all that it started, also what left its session and parent. Twice is fine.

        Raises Unavailable when something is left (a process that the kernel cannot end).
        """
        self.begin_kill()
        try:
            async with asyncio.timeout(_GONE_SECONDS):
                await asyncio.shield(self._ended)
        except TimeoutError:
            for pid in (*descendants(self.pid), self.pid):
                send(pid, signal.SIGKILL)
            await asyncio.shield(self._ended)
        await self._nothing_left()
        if self._init_fd is None:
            await self._sweep()
        await self.close()

    async def close(self) -> None:
        """Lets go of pipes; for a program that has ended."""
        if self.stdin is not None:
            self.stdin.close()
        for pipe in (self._out, self._err, self._status):
            if pipe is not None:
                await pipe.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._init_fd is not None:
            os.close(self._init_fd)
            self._init_fd = None

    def begin_kill(self) -> None:
        """Sends the signals of `kill_tree` without waiting for their effect."""
        if self._popen.returncode is not None:
            return
        self._killed = True
        if self._launch.level is Level.PROCESS:
            send(self.pid, signal.SIGCONT)
            send(self.pid, signal.SIGTERM)  # contain kills its descendants, then ends
            return
        if self._init_fd is not None:
            with suppress(ProcessLookupError):  # the kernel ends the whole namespace with it
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)
        send(self.pid, signal.SIGKILL)

    async def _reap(self) -> int:
        await until_readable(os.pidfd_open(self.pid))
        code = exit_code_of(self._popen.wait())
        assert code is not None
        return code

    async def _nothing_left(self) -> None:
        """A PID namespace's first process is only gone when all others are."""
        if self._init_fd is not None:
            try:
                async with asyncio.timeout(_GONE_SECONDS):
                    await until_readable(os.dup(self._init_fd))
            except TimeoutError:
                raise _immortal(f"The sandbox of {self._launch.command[0]}", self._init) from None
        elif self._popen.returncode is not None and self._popen.returncode < 0:
            await self._sweep()  # the keeper was killed before it could clean up

    async def _sweep(self) -> None:
        pause_seconds = 0.005
        deadline = time.monotonic() + _GONE_SECONDS
        while left := marked(self._mark):
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in left:
                    send(pid, number)
            if time.monotonic() > deadline:
                raise _immortal(f"{len(left)} processes of {self._launch.command[0]}", left[0])
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, 0.2)

    async def _meet_init(self) -> None:
        """Learns the pid of the sandbox's first process from bubblewrap's status."""
        assert self._status is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await self._status.reader.readline()
        except TimeoutError:
            raise Unavailable(
                f"The sandbox of {self._launch.command[0]} did not start within {_START_SECONDS:g} s.",
                why="bubblewrap says nothing of its first process.",
                hint="Run `orchard doctor`.",
            ) from None
        if not line:
            return
        pid = int(json.loads(line)["child-pid"])
        try:
            self._init_fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        fields = stat_fields(pid)
        if fields:
            self._init, self._init_ticks = pid, int(fields[19])


def _immortal(what: str, pid: int | None) -> Unavailable:
    return Unavailable(
        f"{what} cannot be ended.",
        why=f"Process {pid} does not react to KILL; it may wait for a network drive.",
        hint="Mend or unmount that drive, or restart the machine.",
    )


def exit_code_of(code: int | None) -> int | None:
    return code if code is None or code >= 0 else 128 - code


def _children(pid: int) -> list[int]:
    """Direct children, by parent; the walk is as cheap as reading one table."""
    return [child for child in descendants(pid) if (fields := stat_fields(child)) and int(fields[1]) == pid]
