"""Programs of ours for tests that are not about how they start, forked from one process with their imports:
to import them again for each of hundreds takes longer than most tests do. What is forked then runs the
program from its start, with arguments, environment, folder and files of its own.

    main      is that process; it serves one test process, and what that has forked, until it ends
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core.executors import local
from core.worker import template

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60.0  # for its imports, on a busy machine
_STARTS_TEMPLATE = [sys.executable, "-m", "core.worker.template"]
_OTHERS = 900  # above the numbers of the files that a program is given
_KEPT = ("HOME", "LANG", "LC_ALL", "PATH")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wish:
    """A program to be. `files` are the numbers that it has its files by, the standard streams first."""

    argv: list[str]  # `-m MODULE`, or a file, and arguments
    environment: dict[str, str]
    folder: str
    files: list[int]
    session: bool
    warm: list[str]  # modules that are to be there


class Forked(subprocess.Popen[Any]):
    """As subprocess.Popen([sys.executable, ...]), for `-m MODULE` or a file. It is the nursery's child."""

    _pidfd: int = -1

    def __init__(self, argv: Sequence[str], warm: Sequence[str], **options: Any) -> None:
        self._warm = list(warm)
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            super().__init__(argv, **options)
        except BaseException:
            self._let_go()
            raise

    def _execute_child(self, args: Any, executable: Any, *rest: Any) -> None:
        pass_fds, folder, environment = rest[2:5]
        ends = rest[8:14]  # of the pipes: ours and its own, of each stream
        streams = [own if own >= 0 else number for number, own in enumerate((ends[0], ends[3], ends[5]))]
        try:
            wish = _Wish(
                argv=list(args[1:]),
                environment=dict(os.environ if environment is None else environment),
                folder=os.fspath(folder or Path.cwd()),
                files=[0, 1, 2, *pass_fds],
                session=rest[19],
                warm=self._warm,
            )
            self._line.settimeout(_SECONDS)
            self._line.connect(_nursery().address)
            text = json.dumps({name: getattr(wish, name) for name in _Wish.__slots__})
            socket.send_fds(self._line, [text.encode()], [*streams, *pass_fds])
            told, (self._pidfd,), _, _ = socket.recv_fds(self._line, 64, 1)
            self.pid = int(told)
            self._child_created = True
        finally:
            self._close_pipe_fds(*ends)  # type: ignore[attr-defined]

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            ready, _, _ = select.select([self._line], [], [], timeout and max(0.0, timeout))
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            try:
                self.returncode = os.waitstatus_to_exitcode(int(self._line.recv(64)))
            finally:
                self._let_go()
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, sig)

    def _let_go(self) -> None:
        self._line.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def __del__(self) -> None:
        try:
            super().__del__()  # which warns of one that still runs: an error in tests
        finally:
            self._let_go()


class _Template(Forked):
    def poll(self) -> int:
        """Asked only after `kill`. Waits until it is gone: only a child's pid stays until it is asked for."""
        return self.wait(_SECONDS)


class Nursery:
    def __init__(self) -> None:
        name = f"orchard-nursery-{os.getpid()}-{time.monotonic_ns()}"
        self.address = f"\0{name}"  # of no file
        life, self._life = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
            server.bind(self.address)
            server.listen(64)
            code = "from tests.integration.nursery import main; main()"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, name, str(server.fileno()), str(life)],
                cwd=_ROOT,
                env={name: os.environ[name] for name in _KEPT if name in os.environ}
                | {"OPENBLAS_NUM_THREADS": "1"},  # what is forked should have no threads
                stdin=subprocess.DEVNULL,
                pass_fds=[server.fileno(), life],
                start_new_session=True,
            )
        os.close(life)

    def close(self) -> None:
        """It goes with us, once the last has gone that it forked."""
        os.close(self._life)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Adoptive:
    """The nursery of a program that came out of it."""

    address: str


_adoptive: _Adoptive | None = None


@cache
def _own() -> Nursery:
    nursery = Nursery()
    atexit.register(nursery.close)
    return nursery


def _nursery() -> Nursery | _Adoptive:
    return _adoptive or _own()


class _Programs:
    """The module `subprocess`, but for the start of a template."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, argv: list[str], **options: Any) -> Any:
        if argv[:-1] == _STARTS_TEMPLATE:
            return _Template(argv, [*template._WARM, f"{__name__}:warm_up"], **options)
        return subprocess.Popen(argv, **options)


@contextlib.contextmanager
def forked_templates() -> Iterator[None]:
    """Orchards that are opened inside take their templates from the nursery."""
    with patch.object(local, "subprocess", _Programs()):
        yield


# --- the nursery


@cache
def warm_up() -> None:
    from core.worker.main import warm_up

    warm_up()


def read_shipped_settings() -> None:
    """The files of settings that come with the program: half of a short command's time, and read once."""
    from config.loader import load

    with tempfile.TemporaryDirectory() as nothing:
        load(Path(nothing), environ={})


@cache
def _warm(name: str) -> None:
    module, _, function = name.partition(":")
    found = importlib.import_module(module)
    if function:
        getattr(found, function)()
    gc.collect()
    gc.freeze()


def main() -> None:
    """NAME SOCKET LIFE: serves, until LIFE ends; in a fork of it, is what was wished for."""
    global _adoptive
    name, server, life = sys.argv[1:]
    _adoptive = _Adoptive(address=f"\0{name}")
    if (born := _serve(socket.socket(fileno=int(server)), int(life))) is not None:
        _be(*born)


def _serve(server: socket.socket, life: int) -> tuple[_Wish, list[int]] | None:
    lines: dict[int, tuple[int, socket.socket]] = {}  # by pidfd
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        selector.register(life, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == life:
                    return None
                if key.fd in lines:
                    selector.unregister(key.fd)
                    pid, line = lines.pop(key.fd)
                    _, status = os.waitpid(pid, 0)
                    os.close(key.fd)
                    with line, contextlib.suppress(OSError):  # nobody may want to know
                        line.send(str(status).encode())
                    continue
                line, _ = server.accept()
                text, fds, _, _ = socket.recv_fds(line, 1 << 20, 32)
                if not text:
                    line.close()
                    continue
                wish = _Wish(**json.loads(text))
                for name in wish.warm:
                    _warm(name)
                if (pid := os.fork()) == 0:
                    for each in (server, line, *(one for _, one in lines.values())):
                        each.detach()
                    return wish, fds
                pidfd = os.pidfd_open(pid)
                lines[pidfd] = pid, line
                selector.register(pidfd, selectors.EVENT_READ)
                with contextlib.suppress(OSError):
                    socket.send_fds(line, [str(pid).encode()], [pidfd])
                for fd in fds:
                    os.close(fd)


def _be(wish: _Wish, fds: list[int]) -> None:
    """Becomes the program, and ends as that ends."""
    if wish.session:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` has it ignored
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OTHERS) for fd in fds]
    os.closerange(3, _OTHERS)
    for number, fd in zip(wish.files, high, strict=True):
        os.dup2(fd, number)
        os.close(fd)
    if wish.session and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # its keys are signals
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        fresh = open(  # noqa: SIM115 - for good
            number,
            "w" if number else "r",
            buffering=1 if name == "stderr" or os.isatty(number) else -1,
            encoding="utf-8",
            errors="backslashreplace" if name == "stderr" else "strict",
            closefd=False,
        )
        setattr(sys, name, fresh)
        setattr(sys, f"__{name}__", fresh)
    os.environ.clear()
    os.environ.update(wish.environment)
    time.tzset()
    os.chdir(wish.folder)
    try:
        if wish.argv[0] == "-m":
            sys.argv = wish.argv[1:]
            runpy.run_module(wish.argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [word for word in wish.argv if word != "-P"]
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        _end(ended.code or 0)
        raise
    _end(0)


def _end(code: int) -> None:
    """Ends as the interpreter does, without taking all of its memory apart, which costs a third of a short
    command. Comes back when something is left to be said of the end."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
