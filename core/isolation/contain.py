"""Runs one program and lets nothing of it outlive: the launcher of isolation level `process`.

    python -I -S contain.py [--parent=PID] [--lifeline=FD] [--core=N --data=N ...] -- PROGRAM ...

It is the child subreaper of everything that PROGRAM starts, so daemons that leave their session, group and
parent end up here. When PROGRAM ends, on TERM, INT or HUP, when the parent dies, or when the lifeline's other
end closes, it stops and kills every descendant until none is left, and exits with PROGRAM's code (128 + n
when signal n ended it).

Standard library only, and as little of it as can be: it starts with every agent and every test run.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without enums, a third of the start
import ctypes
import os
import resource
import select
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RESOURCES = {
    "core": resource.RLIMIT_CORE,
    "data": resource.RLIMIT_DATA,
    "nofile": resource.RLIMIT_NOFILE,
    "fsize": resource.RLIMIT_FSIZE,
}


def main(arguments: list[str]) -> int:
    split = arguments.index("--")
    options = dict(option.removeprefix("--").split("=", 1) for option in arguments[:split])
    command = arguments[split + 1 :]
    lifeline = int(options.pop("lifeline", "-1"))
    parent = int(options.pop("parent", "0"))
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if parent and os.getppid() != parent:
        return 128 + int(signal.SIGTERM)  # the parent died before it could be watched

    wake, poke = os.pipe()
    os.set_blocking(poke, False)
    signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    asked: list[int] = []
    for number in _ASKED_TO_STOP:
        signal.signal(number, lambda got, _frame: asked.append(got))
    signal.signal(signal.SIGCHLD, lambda _got, _frame: None)

    keeper = os.getpid()
    main_pid = os.fork()
    if main_pid == 0:
        if lifeline >= 0:
            os.set_inheritable(lifeline, False)
        _become(command, options, keeper)
    _let_go_of_files({wake, poke, lifeline})

    ready = [wake, lifeline] if lifeline >= 0 else [wake]
    code: int | None = None
    while code is None and not asked:
        woken, _, _ = select.select(ready, [], [])
        if wake in woken:
            os.read(wake, 4096)
        code = _reap(main_pid)
        if lifeline in woken and not os.read(lifeline, 1):
            break
    ended = kill_descendants(main_pid)
    return code if code is not None else ended if ended is not None else 128 + int(signal.SIGKILL)


def _become(command: list[str], limits: dict[str, str], parent: int) -> None:
    """In the child: take the limits on and turn into the program. Never returns."""
    code = 126
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)
        os.setsid()  # a program that signals its own group must not hit its keeper
        signal.set_wakeup_fd(-1)
        for number in (*_ASKED_TO_STOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for name, value in limits.items():
            _limit(_RESOURCES[name], int(value))
        os.execvpe(command[0], command, _given_environment())  # noqa: S606 - no shell is meant
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        os.write(2, f"contain: cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(code)


def _given_environment() -> dict[bytes, bytes]:
    """As this process was started with: Python itself adds LC_CTYPE where no locale is set."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
        entries = [entry.partition(b"=") for entry in file.read().split(b"\0") if entry]
    return {name: value for name, _, value in entries}


def _limit(which: int, value: int) -> None:
    _soft, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def _let_go_of_files(kept: set[int]) -> None:
    """Pipes must close when the program closes them, not when its keeper ends."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is slow to import
        number = int(name)
        if number > 2 and number not in kept:
            try:
                os.close(number)
            except OSError:
                continue


def _reap(main_pid: int) -> int | None:
    """Collects whatever has ended. The exit code of `main_pid` when it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == main_pid:
            code = exit_code_of(status)


def exit_code_of(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def kill_descendants(main_pid: int) -> int | None:
    """Returns when this process has no descendant left: the code of `main_pid` if it ended here."""
    code = None
    pause_seconds = 0.001
    while True:
        _freeze(os.getpid())
        for pid in descendants(os.getpid()):
            send(pid, signal.SIGKILL)
        ended = _reap(main_pid)
        code = ended if code is None else code
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return code
        time.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, 0.1)


def _freeze(root: int) -> None:
    """Stops all descendants before any is killed: what is stopped forks no more, so the walk ends."""
    stopped: set[int] = set()
    for _ in range(100):
        fresh = [pid for pid in descendants(root) if pid not in stopped]
        if not fresh:
            return
        for pid in fresh:
            send(pid, signal.SIGSTOP)
            stopped.add(pid)


def send(pid: int, number: int) -> None:
    """A signal to a process that may be gone by now."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def descendants(root: int) -> list[int]:
    """All processes below `root` that are not zombies. (What a zombie leaves behind is its subreaper's.)"""
    try:
        return _listed_descendants(root)
    except OSError:
        return _searched_descendants(root)


def _listed_descendants(root: int) -> list[int]:
    """From the kernel's own lists, in microseconds: fast enough to catch programs that replace themselves."""
    with open(f"/proc/{root}/task/{root}/children"):  # noqa: PTH123 - not every kernel has it
        pass
    found: list[int] = []
    queue = [root]
    while queue:
        below = _listed_children(queue.pop())
        found += below
        queue += below
    return [pid for pid in found if (fields := stat_fields(pid)) is not None and fields[0] not in ("Z", "X")]


def _listed_children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{thread}/children") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    except OSError:
        return found  # it ended while we looked
    return found


def _searched_descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    zombies: set[int] = set()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        fields = stat_fields(int(name))
        if fields is None:
            continue
        children.setdefault(int(fields[1]), []).append(int(name))
        if fields[0] in ("Z", "X"):
            zombies.add(int(name))
    found: list[int] = []
    queue = [root]
    while queue:
        for pid in children.get(queue.pop(), ()):
            found.append(pid)
            queue.append(pid)
    return [pid for pid in found if pid not in zombies]


def stat_fields(pid: int) -> list[str] | None:
    """/proc/<pid>/stat from field 3, the state, on (index 19: start time); None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return None


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
