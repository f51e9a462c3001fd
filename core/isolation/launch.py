"""Starts what `plan` planned, and ends it without leaving anything behind.

    launch()  a ContainedProcess to talk to             run()  start, feed, collect, end: a Completed

Both must be called on a thread that outlives the program: the kernel ties a child's life to the thread that
started it. If this whole process is killed, the contained tree dies with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from core.errors import InvalidInput, Unavailable
from core.isolation.contain import descendants, send, stat_fields
from core.isolation.output import BoundedOutput
from core.isolation.plan import PARENT, Launch, Level, Sandbox, plan_launch
from core.isolation.streams import PipeReader, connect_reader, connect_writer, until_readable

PIPE = subprocess.PIPE
STDOUT = subprocess.STDOUT
DEVNULL = subprocess.DEVNULL

_MARK = "ORCHARD_CONTAINED"  # in the environment of all that a launch starts: finds what slipped away
_GONE_SECONDS = 15.0  # a killed tree is gone in milliseconds; longer means a process the kernel cannot end
_START_SECONDS = 20.0
_SCORE = 500  # half of the memory there is, on top of what it really uses: see proc_pid_oom_score_adj(5)
# What an agent must not be able to plant for a person's later use of the folder.
_GUARDED = (".git/hooks", ".git/config", ".mcp.json", ".claude/commands", ".claude/settings.json", ".envrc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """`exit_code` is 128 + n after signal n, None when it was ended for being too slow or printing too much.

    `output` is standard output and error as they came, or their first 32 KiB and last 64 KiB.
    """

    exit_code: int | None
    timed_out: bool
    flooded: bool
    seconds: float
    output: bytes
    output_bytes: int  # how much was printed in all


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
        return _exit_code(self._popen.returncode)

    @property
    def root(self) -> tuple[int, int]:
        """Pid and start ticks of the process that all of it ends with: the sandbox's first, else our child.

        When we are killed while our child still makes the sandbox, that first process may go on without it.
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
        code = _exit_code(self._popen.wait())
        assert code is not None
        return code

    async def _nothing_left(self) -> None:
        """A PID namespace's first process is only gone when all others are."""
        if self._init_fd is not None:
            async with asyncio.timeout(_GONE_SECONDS):
                await until_readable(os.dup(self._init_fd))
        elif self._popen.returncode is not None and self._popen.returncode < 0:
            await self._sweep()  # the keeper was killed before it could clean up

    async def _sweep(self) -> None:
        pause_seconds = 0.005
        deadline = time.monotonic() + _GONE_SECONDS
        while left := _marked(self._mark):
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for pid in left:
                    send(pid, number)
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{len(left)} processes of {self._launch.command[0]} cannot be ended.",
                    why=f"Process {left[0]} does not react to KILL; it may wait for a network drive.",
                    hint="Mend or unmount that drive, or restart the machine.",
                )
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, 0.2)

    async def _meet_init(self) -> None:
        """Learns the pid of the sandbox's first process from bubblewrap's status."""
        assert self._status is not None
        async with asyncio.timeout(_START_SECONDS):
            line = await self._status.reader.readline()
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


async def launch(
    launch: Launch,
    *,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
    limit: int = 50 << 20,
) -> ContainedProcess:
    """Starts it. `stdin`, `stdout`, `stderr` are as in subprocess, but None is /dev/null, never inherited.

    `pass_fds` keep their numbers inside. `limit` is the longest line, in bytes, that the readers take.
    Raises InvalidInput for a folder that is not there, Unavailable when the launcher cannot be started.
    """
    settled = _settle(launch)
    if settled.level is Level.CONTAINER:
        from core.isolation.container_launch import launch_container

        return await launch_container(
            settled, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, limit=limit
        )
    mark = secrets.token_hex(16)
    told, tell = os.pipe()  # process: our end is the lifeline; filesystem: bubblewrap's status comes out
    at_process = settled.level is Level.PROCESS
    theirs = told if at_process else tell
    ours = tell if at_process else told
    filters = [_seccomp_file(settled.seccomp)] if settled.seccomp else []
    try:
        with _ended_before_us():
            popen = subprocess.Popen(  # noqa: ASYNC220 - returns after exec, below a millisecond
                _with_channel(settled, theirs, filters),
                stdin=DEVNULL if stdin is None else stdin,
                stdout=DEVNULL if stdout is None else stdout,
                stderr=DEVNULL if stderr is None else stderr,
                cwd=settled.cwd if at_process else "/",
                env={**settled.environment, _MARK: mark},
                pass_fds=(*pass_fds, theirs, *filters),
                start_new_session=True,
            )
    except OSError as error:
        os.close(ours)
        raise Unavailable(
            f"{settled.argv[0]} could not be started.", why=str(error), hint="Run `orchard doctor`."
        ) from error
    finally:
        for fd in (theirs, *filters):
            os.close(fd)
    process = ContainedProcess(popen, settled, mark)
    try:
        await _connect(process, popen, ours, limit)
    except BaseException:
        taken = (process.stdin, process._out, process._err)
        for pipe, by in zip((popen.stdin, popen.stdout, popen.stderr), taken, strict=True):
            if pipe is not None and by is None:  # nobody else will close it
                pipe.close()
        await process.kill_tree()
        raise
    return process


@contextmanager
def _ended_before_us() -> Iterator[None]:
    """What is started meanwhile is what the kernel ends when memory is full, rather than this process: a
    worker can tell that its agent was ended, but not the other way round.

    The score is inherited, and is put back at once: lowering it to where it was asks for no right.
    """
    before = _change_score(_SCORE)
    try:
        yield
    finally:
        if before is not None:
            _change_score(before)


def _change_score(score: int) -> int | None:
    """What it was; None when it cannot be changed."""
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:  # noqa: PTH123
            before = int(file.read())
            file.write(b"%d" % score)
    except OSError:
        return None
    return before


async def _connect(process: ContainedProcess, popen: subprocess.Popen[bytes], ours: int, limit: int) -> None:
    if process._launch.level is Level.PROCESS:
        process._lifeline = ours
    else:
        process._status = await connect_reader(os.fdopen(ours, "rb", 0), 1 << 16)
    if popen.stdout is not None:
        process._out = await connect_reader(popen.stdout, limit)
    if popen.stderr is not None:
        process._err = await connect_reader(popen.stderr, limit)
    if popen.stdin is not None:
        process.stdin = await connect_writer(popen.stdin)
    if process._status is not None:
        await process._meet_init()


async def run(
    launch_plan: Launch,
    *,
    timeout_seconds: float,
    output_limit_bytes: int = 256 << 20,
    stdin: bytes | None = None,
    pass_fds: Sequence[int] = (),
    on_start: Callable[[ContainedProcess], Awaitable[None]] | None = None,
) -> Completed:
    """Runs it to its end, or ends it after `timeout_seconds` or more than `output_limit_bytes` of output.

    Memory stays bounded whatever is printed. Nothing of the tree is left when this returns or raises.
    """
    began = time.monotonic()
    process = await launch(
        launch_plan,
        stdin=None if stdin is None else PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        pass_fds=pass_fds,
        limit=1 << 16,
    )
    output = BoundedOutput()
    exit_code: int | None = None
    timed_out = flooded = False
    try:
        if on_start is not None:
            await on_start(process)
        async with asyncio.timeout(max(0.0, timeout_seconds - (time.monotonic() - began))):
            async with asyncio.TaskGroup() as group:
                if stdin is not None:
                    group.create_task(_feed(process, stdin), name="feed stdin")
                ending = group.create_task(process.wait_gone(), name="wait for the end")
                flooded = not await _collect(process, output, output_limit_bytes)
                if flooded:
                    process.begin_kill()
        exit_code = None if flooded else ending.result()
        await process.check_began(output.text().decode(errors="replace"))
    except TimeoutError:
        timed_out = True
    finally:
        await process.kill_tree()
    return Completed(
        exit_code=exit_code,
        timed_out=timed_out,
        flooded=flooded,
        seconds=time.monotonic() - began,
        output=output.text(),
        output_bytes=output.total,
    )


async def _feed(process: ContainedProcess, data: bytes) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(data)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it does not want to hear it all
    finally:
        process.stdin.close()


async def _collect(process: ContainedProcess, output: BoundedOutput, limit_bytes: int) -> bool:
    """Until the end of output. False when there was more than the limit."""
    assert process.stdout is not None
    while chunk := await process.stdout.read(1 << 16):
        output.add(chunk)
        if output.total > limit_bytes:
            return False
    return True


def _seccomp_file(program: bytes) -> int:
    """A descriptor that bubblewrap reads the filter from, and closes."""
    fd = os.memfd_create("seccomp")
    os.write(fd, program)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _with_channel(launch: Launch, fd: int, filters: Sequence[int]) -> list[str]:
    """The argv with the numbers of the pipe that ties it to us and of the seccomp filter's file."""
    argv = list(launch.argv)
    if launch.level is Level.PROCESS:
        argv[argv.index("--", 4) : argv.index("--", 4)] = [f"--parent={os.getpid()}", f"--lifeline={fd}"]
    else:
        if launch.machine.own_user is not None:
            argv[argv.index(PARENT)] = str(os.getpid())
        first = argv.index(str(launch.machine.bubblewrap)) + 1
        argv[first:first] = ["--json-status-fd", str(fd)]
        for number in filters:
            argv[first:first] = ["--seccomp", str(number)]
    return argv


def _settle(launch: Launch) -> Launch:
    """Plans again with what the disk says: real paths, and only those read-only paths that exist.

    A mount laid on a symbolic link protects what it points to, so links are followed here.
    """
    box = launch.sandbox
    needed = (*(mount.source for mount in box.mounts), *(door.socket for door in box.doors))
    for path in (box.cwd, box.home, *box.writable, *needed):
        if not path.exists():
            raise InvalidInput(f"{path} is not there, and the sandbox needs it.")
    if launch.level is Level.PROCESS:
        return launch
    settled = replace(
        box,
        cwd=box.cwd.resolve(),
        home=box.home.resolve(),
        writable=tuple(path.resolve() for path in box.writable),
        read_only=tuple(path.resolve() for path in (*box.read_only, *_guarded(box)) if path.exists()),
        mounts=tuple(replace(mount, source=mount.source.resolve()) for mount in box.mounts),
        doors=tuple(replace(door, socket=door.socket.resolve()) for door in box.doors),
    )
    return plan_launch(launch.command, settled, launch.machine)


def _guarded(box: Sandbox) -> list[Path]:
    explicit = {path.resolve() for path in box.writable}
    found: list[Path] = []
    for path in box.writable:
        git = path / ".git"
        names = (".git", *_GUARDED[2:]) if git.is_file() else _GUARDED
        found += [path / name for name in names if (path / name).resolve() not in explicit]
    return found


def _exit_code(code: int | None) -> int | None:
    return code if code is None or code >= 0 else 128 - code


def _children(pid: int) -> list[int]:
    """Direct children, by parent; the walk is as cheap as reading one table."""
    return [child for child in descendants(pid) if (fields := stat_fields(child)) and int(fields[1]) == pid]


def _marked(mark: str) -> list[int]:
    """All processes whose environment holds the mark. Zombies have none."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - a thousand Path objects for nothing
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            text = Path("/proc", entry, "environ").read_bytes()
        except OSError:
            continue
        if wanted in text:
            found.append(int(entry))
    return found
