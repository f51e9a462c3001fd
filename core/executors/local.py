"""Workers as processes of this machine, forked from a warm template process.

When the template has died, a worker is started as a plain new process (slower, same behaviour) and a new
template is warmed up meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.executors.contract import Exit
from core.isolation import enter
from core.isolation.fence import Fence
from core.isolation.fences import Fences
from core.rpc import LINE_LIMIT

__all__ = ["Exit", "LocalExecutor", "WorkerHandle"]

logger = logging.getLogger(__name__)

_READY_SECONDS = 60.0  # a plain process would have to import as much on the same machine
_FORK_SECONDS = 10.0
_REPORT_SECONDS = 10.0  # how long a template that lives may take to say how a worker ended
_CALM_SECONDS = 30.0  # a template that dies younger than this is not replaced at once
_ROOT = Path(__file__).resolve().parents[2]
_TAIL_BYTES = 2000

_Started = tuple[int, int, asyncio.Future[int]]  # pid, pidfd, its status as of os.waitpid


class WorkerHandle:
    """A running worker: see core.executors.contract."""

    def __init__(
        self,
        *,
        pid: int,
        pidfd: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        log: Path,
        log_from: int,
        status: asyncio.Future[int],
    ) -> None:
        """What it says stands in `log` from byte `log_from` on."""
        self.pid = pid
        self.start_ticks = _start_ticks(pid)
        self.reader = reader
        self.writer = writer
        self._pidfd = pidfd
        self._log = log
        self._log_from = log_from
        self._status = status  # as of os.waitpid, set by whoever is its parent
        self._ended = asyncio.create_task(self._watch(), name=f"watch worker {pid}")

    async def wait(self) -> Exit:
        """How it ended, once it has."""
        return await asyncio.shield(self._ended)

    def kill(self) -> None:
        """SIGKILL; a worker that has ended already is left alone."""
        self._signal(signal.SIGKILL)

    async def stop(self, grace_seconds: float) -> Exit:
        """TERM, then after `grace_seconds` KILL; 0 kills at once."""
        if grace_seconds > 0 and not self._ended.done():
            self._signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    return await self.wait()
            logger.warning("worker %d did not stop within %g s", self.pid, grace_seconds)
        self.kill()
        return await self.wait()

    def _signal(self, number: int) -> None:
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError, OSError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def _watch(self) -> Exit:
        try:
            await _until_readable(self._pidfd)
        finally:
            os.close(self._pidfd)
        status: int | None = None
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(_REPORT_SECONDS):
                status = await asyncio.shield(self._status)
        self.writer.close()
        if status is None:
            return Exit(detail=self._last_words())
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return Exit(signal=-code, detail=self._last_words() if -code != signal.SIGKILL else "")
        return Exit(code=code, detail=self._last_words() if code else "")

    def _last_words(self) -> str:
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(self._log_from, self._log.stat().st_size - _TAIL_BYTES))
                lines = stream.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:300] if lines else ""


@dataclass(slots=True, eq=False)
class _Template:
    process: subprocess.Popen[bytes]
    control: socket.socket
    ready: asyncio.Future[None]
    starting: dict[int, asyncio.Future[_Started]] = field(default_factory=dict)
    statuses: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    born: float = field(default_factory=time.monotonic)
    dead: bool = False


class LocalExecutor:
    """Starts workers. Use `open`; one event loop only."""

    def __init__(
        self, log_folder: Path, options: Mapping[str, float] | None = None, fences: Fences | None = None
    ) -> None:
        self._logs = log_folder
        self._fences = fences
        self._options = dict(options or {})  # of core.worker.main.run_worker
        self._template: _Template | None = None
        self._numbers = itertools.count(1)
        self._handles: set[WorkerHandle] = set()
        self._waits: set[asyncio.Task[None]] = set()
        self._closing = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, log_folder: Path, *, heartbeat_seconds: float | None = None, fences: Fences | None = None
    ) -> AsyncIterator[LocalExecutor]:
        """An executor whose template warms up in the background; at the end every worker is killed.

        Each worker's standard error is appended to `<log_folder>/worker-<name>.log`. `heartbeat_seconds`
        pass between two of its heartbeats; None leaves that to the worker. With `fences`, a worker and all
        that it starts live inside its project's fence; that must outlive the executor.
        """
        log_folder.mkdir(parents=True, exist_ok=True)
        executor = cls(
            log_folder,
            {} if heartbeat_seconds is None else {"heartbeat_seconds": heartbeat_seconds},
            fences,
        )
        executor._spawn_template()
        try:
            yield executor
        finally:
            await executor._close()

    async def start(self, name: str) -> WorkerHandle:
        """A worker for the project `name`. Raises Unavailable when none can be started."""
        if self._fences is None:
            return await self._start(name, None)
        fence = self._fences.fence(name)
        async with fence.admitting():
            return await self._start(name, fence)

    async def _start(self, name: str, fence: Fence | None) -> WorkerHandle:
        log = self._logs / f"worker-{name.replace('/', '_')}.log"
        entry = {} if fence is None else fence.entry
        ours, theirs = socket.socketpair()
        try:
            with log.open("ab") as errors:
                log_from = errors.seek(0, os.SEEK_END)  # before it can say anything
                pid, pidfd, status = await self._start_process(theirs, errors.fileno(), entry)
        except OSError as error:
            ours.close()
            raise Unavailable(f"The worker of {name} could not be started.", why=str(error)) from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
        handle = WorkerHandle(
            pid=pid,
            pidfd=pidfd,
            reader=reader,
            writer=writer,
            log=log,
            log_from=log_from,
            status=status,
        )
        if fence is not None:
            fence.admit(handle.pid, handle.start_ticks)
        self._handles.add(handle)
        handle._ended.add_done_callback(lambda _: self._handles.discard(handle))
        return handle

    async def _start_process(self, stdio: socket.socket, errors: int, entry: dict[str, Any]) -> _Started:
        template = self._template
        if template is None or template.dead:
            if template is None or time.monotonic() - template.born > _CALM_SECONDS:
                self._spawn_template()
            return self._start_plain(stdio, errors, entry)
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await asyncio.shield(template.ready)
            return await self._fork(template, stdio, errors, entry)
        except (OSError, TimeoutError) as error:
            logger.warning("the template did not start a worker (%s); starting a plain process", error)
            self._template_died(template)
            return self._start_plain(stdio, errors, entry)

    async def _fork(
        self, template: _Template, stdio: socket.socket, errors: int, entry: dict[str, Any]
    ) -> _Started:
        number = next(self._numbers)
        started: asyncio.Future[_Started] = asyncio.get_running_loop().create_future()
        template.starting[number] = started
        try:
            socket.send_fds(
                template.control,
                [json.dumps({"start": number, "options": self._options, "entry": entry}).encode()],
                [stdio.fileno(), stdio.fileno(), errors],
            )
            async with asyncio.timeout(_FORK_SECONDS):
                return await started
        finally:
            template.starting.pop(number, None)

    def _start_plain(self, stdio: socket.socket, errors: int, entry: dict[str, Any]) -> _Started:
        into = [sys.executable, "-I", "-S", enter.__file__, json.dumps(entry), "--"] if entry else []
        process = subprocess.Popen(
            [*into, sys.executable, "-m", "core.worker", json.dumps(self._options)],
            cwd=_ROOT,
            stdin=stdio.fileno(),
            stdout=stdio.fileno(),
            stderr=errors,
            start_new_session=True,
        )
        pidfd = os.pidfd_open(process.pid)
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        wait = asyncio.create_task(_reap(process, status), name=f"reap worker {process.pid}")
        self._waits.add(wait)
        wait.add_done_callback(self._waits.discard)
        return process.pid, pidfd, status

    def _spawn_template(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            with (self._logs / "template.log").open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "core.worker.template", str(theirs.fileno())],
                    cwd=_ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        self._template = template = _Template(process=process, control=ours, ready=loop.create_future())
        template.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        loop.add_reader(ours, self._hear, template)

    def _hear(self, template: _Template) -> None:
        try:
            message, fds, _, _ = socket.recv_fds(template.control, 65536, 1)
        except BlockingIOError:
            return
        except OSError:
            message, fds = b"", []
        if not message:
            self._template_died(template)
            return
        told = json.loads(message)
        if "ready" in told:
            template.ready.set_result(None)
        elif "started" in told:
            status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            template.statuses[told["pid"]] = status
            waiting = template.starting.get(told["started"])
            if waiting is None or waiting.done():  # nobody wants it any more
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(fds[0], signal.SIGKILL)
                os.close(fds[0])
            else:
                waiting.set_result((told["pid"], fds[0], status))
        elif "failed" in told:
            waiting = template.starting.get(told["failed"])
            if waiting is not None and not waiting.done():
                waiting.set_exception(OSError(told["error"]))
        elif "ended" in told:
            ended = template.statuses.pop(told["ended"], None)
            if ended is not None and not ended.done():
                ended.set_result(told["status"])

    def _template_died(self, template: _Template) -> None:
        if template.dead:
            return
        template.dead = True
        asyncio.get_running_loop().remove_reader(template.control)
        template.control.close()
        template.process.kill()  # a stuck one too; workers are no children of ours and run on
        if not self._closing:
            logger.warning("the worker template (pid %d) has ended", template.process.pid)
        error = ConnectionError("the worker template has ended")
        waits: list[asyncio.Future[Any]] = [template.ready, *template.starting.values()]
        for waiting in waits:
            if not waiting.done():
                waiting.set_exception(error)
        for status in template.statuses.values():
            status.cancel()  # its workers run on; how they end is then not known
        reap = asyncio.create_task(_reap(template.process, None), name="reap template")
        self._waits.add(reap)
        reap.add_done_callback(self._waits.discard)

    async def _close(self) -> None:
        self._closing = True
        await asyncio.gather(*(handle.stop(0) for handle in list(self._handles)))
        if self._template is not None:
            self._template_died(self._template)
        await asyncio.gather(*self._waits, return_exceptions=True)


async def _reap(process: subprocess.Popen[bytes], status: asyncio.Future[int] | None) -> None:
    """Waits for a child without a thread."""
    if process.poll() is None:
        pidfd = os.pidfd_open(process.pid)
        try:
            await _until_readable(pidfd)
        finally:
            os.close(pidfd)
    code = process.wait()
    if status is not None and not status.done():
        status.set_result(-code if code < 0 else code << 8)


async def _until_readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(fd, tell)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _start_ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0  # ended already
    return int(text.rpartition(")")[2].split()[19])
