"""The first process of a container: starts one program, and ends everything when its launcher is gone.

    python -I -S init.py LIFELINE

LIFELINE is a unix socket of the launcher, which sends what to run (JSON behind its length in four bytes) and
the program's descriptors. From then on each byte T that comes asks the program to end; when the launcher
closes it, or dies, this process ends, and with it, by the kernel, every process of the container.

Standard library only, of any Python from 3.8, and as little of it as can be. Runs before the program does and
as the same user: what it is told it passes on, and it cannot be traced or killed from inside.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without enums, a third of the start
import _socket
import ctypes
import json
import os
import resource
import select
import sys
from typing import Any

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_MOST_FDS = 250
_NULL = os.makedev(1, 3)
_RESOURCES = {
    "core": resource.RLIMIT_CORE,
    "data": resource.RLIMIT_DATA,
    "nofile": resource.RLIMIT_NOFILE,
    "fsize": resource.RLIMIT_FSIZE,
    "nproc": resource.RLIMIT_NPROC,
}
_ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    lifeline = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    lifeline.connect(arguments[0])
    _prctl(_PR_SET_DUMPABLE, 0)  # nobody inside reads our memory or descriptors
    told, fds = _hear(lifeline)
    wake, poke = os.pipe()
    os.set_blocking(poke, False)
    signal.set_wakeup_fd(poke, warn_on_full_buffer=False)
    asked: list[int] = []
    for number in _ASKED_TO_STOP:
        signal.signal(number, lambda got, _frame: asked.append(got))
    signal.signal(signal.SIGCHLD, lambda _got, _frame: None)
    if told["seccomp"]:
        _filter_calls(bytes.fromhex(told["seccomp"]))
    main_pid = os.fork()
    if main_pid == 0:
        _become(told, fds)
    for fd in set(fds):
        os.close(fd)
    _let_go_of_standard()
    while True:
        ready, _, _ = select.select([wake, lifeline.fileno()], [], [])
        if wake in ready:
            os.read(wake, 4096)
        code = _reap(main_pid)
        if code is not None:
            return code
        if lifeline.fileno() in ready:
            heard = lifeline.recv(1)
            if not heard:
                return 128 + int(signal.SIGKILL)
            asked.append(signal.SIGTERM)
        for _ in range(len(asked)):
            os.kill(main_pid, asked.pop())


def _hear(lifeline: _socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What to run, and the descriptors it gets. Ends this process when the launcher went away."""
    data, ancillary, _, _ = lifeline.recvmsg(4, _socket.CMSG_SPACE(4 * _MOST_FDS))
    fds: list[int] = []
    for _level, _kind, content in ancillary:
        fds += memoryview(content[: len(content) - len(content) % 4]).cast("i")
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        more = lifeline.recv(1 << 16)
        if not more:
            os._exit(128 + int(signal.SIGKILL))
        data += more
    return json.loads(data[4:]), fds


def _become(told: dict[str, Any], fds: list[int]) -> None:
    """In the child: takes its descriptors, limits and folder, and turns into the program. Never returns."""
    argv, environment = told["argv"], told["environment"]
    code = 126
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (*_ASKED_TO_STOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        _take(fds, told["numbers"])
        os.chdir(told["cwd"])
        for name, value in told["limits"]:
            _limit(_RESOURCES[name], value)
        if told["relay"]:
            argv = [sys.executable, "-I", "-S", *told["relay"], "--", _found(argv[0], environment), *argv[1:]]
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - no shell is meant
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        os.write(2, f"container: cannot run {argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(code)


def _take(fds: list[int], numbers: list[int]) -> None:
    """Puts each descriptor at its number, and closes every other."""
    above = max(*numbers, *fds, 2) + 1
    copies = []
    for fd in fds:
        os.dup2(fd, above, inheritable=False)
        copies.append(above)
        above += 1
    for copy, number in zip(copies, numbers):  # noqa: B905 - an older Python has no `strict`
        os.dup2(copy, number)
        if os.fstat(number).st_rdev == _NULL:
            _take_own_null(number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is slow to import
        if int(name) not in numbers:
            try:
                os.close(int(name))
            except OSError:
                continue


def _take_own_null(number: int) -> None:
    """In the place of the machine's: whoever is root by number owns that, and could change its mode."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    os.close(null)


def _let_go_of_standard() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.close(null)


def _limit(which: int, value: int) -> None:
    _soft, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def _found(program: str, environment: dict[str, str]) -> str:
    """As the relay needs it: an absolute path."""
    if "/" in program:
        return os.path.abspath(program)  # noqa: PTH100
    for folder in environment.get("PATH", os.defpath).split(":"):
        place = os.path.join(folder or ".", program)  # noqa: PTH118
        if os.access(place, os.X_OK) and not os.path.isdir(place):  # noqa: PTH112
            return os.path.abspath(place)  # noqa: PTH100
    raise FileNotFoundError(2, "No such file or directory", program)


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
            signalled = os.WIFSIGNALED(status)
            code = 128 + os.WTERMSIG(status) if signalled else os.WEXITSTATUS(status)


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter_calls(program: bytes) -> None:
    """For this process and all that it starts, for good."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    held = ctypes.create_string_buffer(program, len(program))
    wanted = _Program(len(program) // 8, ctypes.cast(held, ctypes.c_void_p).value)
    _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(wanted))


def _prctl(option: int, value: int, address: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) for word in (value, address, 0, 0)]
    if libc.prctl(option, *words) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


if __name__ == "__main__":
    # Straight out: as this process goes, so does all of the container.
    os._exit(main(sys.argv[1:]))
