"""Starts what `plan` planned, and ends it without leaving anything behind.

    launch()  a ContainedProcess to talk to             run()  start, feed, collect, end: a Completed

Both must be called on a thread that outlives the program: the kernel ties a child's life to the thread that
started it. If this whole process is killed, the contained tree dies with it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from core.errors import InvalidInput, Unavailable
from core.isolation.orphans import MARK, new_mark
from core.isolation.output import BoundedOutput
from core.isolation.own_user import OwnUser
from core.isolation.plan import Launch, Level, Sandbox, plan_launch
from core.isolation.process import ContainedProcess
from core.isolation.streams import connect_reader, connect_writer

__all__ = ["DEVNULL", "PIPE", "STDOUT", "Completed", "ContainedProcess", "launch", "run"]

PIPE = subprocess.PIPE
STDOUT = subprocess.STDOUT
DEVNULL = subprocess.DEVNULL

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
        from core.isolation.container.launch import launch_container

        return await launch_container(
            settled, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, limit=limit
        )
    mark = new_mark()
    told, tell = os.pipe()  # process: our end is the lifeline; filesystem: bubblewrap's status comes out
    at_process = settled.level is Level.PROCESS
    theirs = told if at_process else tell
    ours = tell if at_process else told
    filters: list[int] = []
    try:
        if settled.seccomp:
            filters.append(_seccomp_file(settled.seccomp))
        own_user = _own_user(settled, (*pass_fds, theirs))
        with _ended_before_us():
            popen = subprocess.Popen(  # noqa: ASYNC220 - returns after exec, in a millisecond or three
                _with_channel(settled, theirs, filters),
                stdin=DEVNULL if stdin is None else stdin,
                stdout=DEVNULL if stdout is None else stdout,
                stderr=DEVNULL if stderr is None else stderr,
                cwd=settled.cwd if at_process else "/",
                env={**settled.environment, MARK: mark},
                pass_fds=(*pass_fds, theirs, *filters),
                start_new_session=True,
                executable=None if own_user is None else own_user.executable,
                preexec_fn=own_user,
            )
    except BaseException as error:
        os.close(ours)
        if not isinstance(error, OSError | subprocess.SubprocessError):
            raise
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


def _own_user(launch: Launch, given: Sequence[int]) -> OwnUser | None:
    who = launch.becoming
    return (
        None if who is None else OwnUser(who.uid, who.place, who.sources, launch.argv[0], (0, 1, 2, *given))
    )


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
        argv[1:1] = ["--json-status-fd", str(fd)]
        for number in filters:
            argv[1:1] = ["--seccomp", str(number)]
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
        writable=tuple(path.resolve() for path in (*box.writable, *_git_folders(box))),
        read_only=tuple(path.resolve() for path in (*box.read_only, *_guarded(box)) if path.exists()),
        mounts=tuple(replace(mount, source=mount.source.resolve()) for mount in box.mounts),
        doors=tuple(replace(door, socket=door.socket.resolve()) for door in box.doors),
    )
    return plan_launch(launch.command, settled, launch.machine)


def _git_folders(box: Sandbox) -> list[Path]:
    """Those in its folders, to be mounts of their own: a mount cannot be moved, so that nobody puts another
    `.git` in its place, with hooks. (What is guarded below would move with it.)"""
    found = [(path, path / ".git") for path in box.writable]
    return [
        git
        for path, git in found
        if git.is_dir()
        and not git.is_symlink()
        and not any(git.is_relative_to(kept) and kept.is_relative_to(path) for kept in box.read_only)
    ]


def _guarded(box: Sandbox) -> list[Path]:
    explicit = {path.resolve() for path in box.writable}
    found: list[Path] = []
    for path in box.writable:
        git = path / ".git"
        names = (".git", *_GUARDED[2:]) if git.is_file() else _GUARDED
        found += [path / name for name in names if (path / name).resolve() not in explicit]
    return found
