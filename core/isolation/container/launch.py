"""Starts a container, and ends it without leaving anything behind. Called by `launch`.

The program's streams are handed to the container's first process as descriptors, so nothing of what it
says goes through the engine. That process lives as long as we hold the other end of its lifeline.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from core.errors import InvalidInput, Unavailable
from core.isolation.contain import descendants, send, stat_fields
from core.isolation.container.engine import client_environment, remove_container
from core.isolation.container.plan import Container, with_lifeline
from core.isolation.launch import DEVNULL, PIPE, STDOUT, ContainedProcess
from core.isolation.plan import Launch, container_letter, plan_launch
from core.isolation.streams import connect_reader, connect_writer

_START_SECONDS = 60.0
_END_SECONDS = 15.0
_MOST_FDS = 250
_SAID_BYTES = 4000


class ContainerProcess(ContainedProcess):
    """The engine's client is our child; what counts is the container's first process."""

    def __init__(self, popen: subprocess.Popen[bytes], launched: Launch, name: str, said: IO[bytes]) -> None:
        super().__init__(popen, launched, name)
        assert launched.machine.container is not None
        self._container: Container = launched.machine.container
        self.name = name
        self._said = said
        self._hold: socket.socket | None = None
        self._met = False

    async def meet(self, listener: socket.socket, letter: bytes, fds: Sequence[int]) -> None:
        """Waits for the container's first process and tells it what to run, or for the client's end.

        Raises Unavailable when neither happens in a minute.
        """
        accepting = asyncio.create_task(self._accept(listener), name="meet container")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await asyncio.wait((accepting, self._ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise Unavailable(
                "The container did not start within a minute.",
                why=self._client_said(),
                hint="Run `orchard doctor`.",
            ) from None
        finally:
            if not accepting.done():
                accepting.cancel()
                await asyncio.wait((accepting,))
        if accepting.cancelled():
            return
        hold = accepting.result()
        self._know_init(hold)
        try:
            sent = socket.send_fds(hold, [letter], list(fds))
            if rest := letter[sent:]:  # to send nothing is an error, too, once the program has ended
                await asyncio.get_running_loop().sock_sendall(hold, rest)
            self._met = True
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise

    async def _accept(self, listener: socket.socket) -> socket.socket:
        """Held from the moment in which it is there: the container waits for as long as nobody closes it."""
        self._hold, _ = await asyncio.get_running_loop().sock_accept(listener)
        return self._hold

    def _know_init(self, hold: socket.socket) -> None:
        size = struct.calcsize("3i")
        pid, _, _ = struct.unpack("3i", hold.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
        if pid <= 0:
            return  # the engine runs in another machine
        with suppress(ProcessLookupError, PermissionError):
            self._init_fd = os.pidfd_open(pid)
            if fields := stat_fields(pid):
                self._init, self._init_ticks = pid, int(fields[19])

    async def wait_gone(self) -> int:
        code = await asyncio.shield(self._ended)
        if self._popen.returncode < 0 and not self._killed:  # somebody ended the client alone
            self._cut()
            await self._nothing_left()
            await remove_container(self._container, self.name)
        await self._nothing_left()
        return code

    async def check_began(self, said: str = "") -> None:
        if self._met or self._killed:
            return
        raise Unavailable(
            "The container could not be started.",
            why=self._client_said() or f"It ended before {self._launch.command[0]} began.",
            hint="Run `orchard doctor`, or configure another level of isolation.",
        )

    def terminate(self) -> None:
        if self._hold is not None and self._popen.returncode is None:
            with suppress(OSError):
                self._hold.send(b"T")

    def begin_kill(self) -> None:
        if self._popen.returncode is None:
            self._killed = True
        self._cut()

    def _cut(self) -> None:
        """The kernel ends all of the container with its first process. The client then removes it."""
        if self._init_fd is not None:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    async def kill_tree(self) -> None:
        """As for any program; the container's record and its file system are gone then, too."""
        self.begin_kill()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await asyncio.shield(self._ended)
        except TimeoutError:
            for pid in (*descendants(self.pid), self.pid):
                send(pid, signal.SIGKILL)
            await asyncio.shield(self._ended)
        if self._popen.returncode < 0:
            await remove_container(self._container, self.name)
        await self._nothing_left()
        await self.close()

    async def close(self) -> None:
        if self._hold is not None:
            self._hold.close()
            self._hold = None
        self._said.close()
        await super().close()

    async def _sweep(self) -> None:
        """Nothing can have left the container."""

    def _client_said(self) -> str:
        if self._said.closed:
            return ""
        self._said.seek(0)
        return self._said.read(_SAID_BYTES).decode(errors="replace").strip()


async def launch_container(
    settled: Launch,
    *,
    stdin: int | IO[bytes] | None,
    stdout: int | IO[bytes] | None,
    stderr: int | IO[bytes] | None,
    pass_fds: Sequence[int],
    limit: int,
) -> ContainerProcess:
    """Of a launch whose paths are real; see `launch` for the rest. Raises Unavailable, InvalidInput."""
    if len(pass_fds) > _MOST_FDS - 3:
        raise InvalidInput(f"A container takes at most {_MOST_FDS - 3} descriptors; given: {len(pass_fds)}.")
    settled = _with_user(settled)
    name = f"orchard-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchard-lifeline-")))
        listener = stack.enter_context(
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        )
        streams = _Streams(stdin, stdout, stderr)
        stack.callback(streams.close_theirs)
        said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        process: ContainerProcess | None = None
        try:
            listener.bind(str(folder / "s"))
            (folder / "s").chmod(0o666)  # whoever it runs as; others cannot enter the folder
            listener.listen(1)
            popen = subprocess.Popen(  # noqa: ASYNC220 - returns after exec, below a millisecond
                with_lifeline(settled.argv, name, folder / "s"),
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=said,
                cwd="/",
                env=client_environment(),
                start_new_session=True,
            )
            process = ContainerProcess(popen, settled, name, said)
            numbers = [0, 1, 2, *pass_fds]
            text = json.dumps({**container_letter(settled), "numbers": numbers}).encode()
            await streams.connect(process, limit)
            await process.meet(listener, len(text).to_bytes(4, "big") + text, [*streams.theirs, *pass_fds])
        except BaseException as error:
            listener.close()  # a container that waits there ends
            streams.close_ours()
            if process is not None:
                await process.kill_tree()
            else:
                said.close()
            if isinstance(error, OSError):
                raise Unavailable(
                    f"{settled.argv[0]} could not be started.", why=str(error), hint="Run `orchard doctor`."
                ) from error
            raise
        return process


def _with_user(settled: Launch) -> Launch:
    """Programs run as who owns their folder, so that what they write is his; a rootless engine's are ours."""
    box, container = settled.sandbox, settled.machine.container
    if box.user is not None or container is None or container.rootless:
        return settled
    owner = box.cwd.stat()
    return plan_launch(settled.command, replace(box, user=(owner.st_uid, owner.st_gid)), settled.machine)


class _Streams:
    """The program's standard streams: `theirs` are its ends, ours become the process's readers and writer."""

    def __init__(
        self, stdin: int | IO[bytes] | None, stdout: int | IO[bytes] | None, stderr: int | IO[bytes] | None
    ) -> None:
        self._opened: list[int] = []  # to be closed once they were handed over
        self._ours: dict[str, int] = {}
        self.theirs: list[int] = []
        try:
            for which, wanted in (("in", stdin), ("out", stdout), ("err", stderr)):
                self.theirs.append(self._open(which, wanted))
        except BaseException:
            self.close_theirs()
            self.close_ours()
            raise

    def _open(self, which: str, wanted: int | IO[bytes] | None) -> int:
        if wanted is None or wanted == DEVNULL:
            self._opened.append(os.open(os.devnull, os.O_RDWR))
        elif wanted == PIPE:
            reading, writing = os.pipe()
            self._ours[which] = writing if which == "in" else reading
            self._opened.append(reading if which == "in" else writing)
        elif wanted == STDOUT:
            return self.theirs[1]
        else:
            return wanted if isinstance(wanted, int) else wanted.fileno()
        return self._opened[-1]

    async def connect(self, process: ContainerProcess, limit: int) -> None:
        if "out" in self._ours:
            process._out = await connect_reader(os.fdopen(self._ours.pop("out"), "rb", 0), limit)
        if "err" in self._ours:
            process._err = await connect_reader(os.fdopen(self._ours.pop("err"), "rb", 0), limit)
        if "in" in self._ours:
            process.stdin = await connect_writer(os.fdopen(self._ours.pop("in"), "wb", 0))

    def close_theirs(self) -> None:
        while self._opened:
            os.close(self._opened.pop())

    def close_ours(self) -> None:
        while self._ours:
            os.close(self._ours.popitem()[1])
