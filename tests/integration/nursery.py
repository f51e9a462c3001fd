"""Worker templates for tests that are not about them, forked from one process that has their imports: to
import them again for each Orchard takes longer than most tests do. What is forked then runs the template's
own program, from its start.

    python -m tests.integration.nursery FD     serves one test process until that ends
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core.executors import local
from core.worker import template

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 60.0  # for its imports, on a busy machine
_STARTS = [sys.executable, "-m", "core.worker.template"]


class Born:
    """What core.executors.local needs of a Popen. It is the nursery's child, which nobody has to wait for."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def poll(self) -> int:
        """Asked only after `kill`: waits here until it is gone, since others can wait for a child only."""
        return self.wait()

    def wait(self) -> int:
        ended, _, _ = select.select([self._pidfd], [], [], _SECONDS)
        assert ended, f"the killed template {self.pid} lives"
        return -signal.SIGKILL

    def __del__(self) -> None:
        os.close(self._pidfd)


class Nursery:
    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_SECONDS)
        with theirs:
            number = theirs.fileno()
            argv = [sys.executable, "-m", __name__, str(number)]
            self._process = subprocess.Popen(
                argv, cwd=_ROOT, stdin=subprocess.DEVNULL, pass_fds=[number], start_new_session=True
            )

    def start(self, control: int, log: int) -> Born:
        socket.send_fds(self._socket, [json.dumps(dict(os.environ)).encode()], [control, log])
        told, (pidfd,), _, _ = socket.recv_fds(self._socket, 64, 1)
        return Born(int(told), pidfd)


@cache
def _nursery() -> Nursery:
    return Nursery()


class _Programs:
    """The module `subprocess`, but for the start of a template."""

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, argv: list[str], **options: Any) -> Any:
        if argv[:-1] == _STARTS:
            return _nursery().start(int(argv[-1]), options["stdout"].fileno())
        return subprocess.Popen(argv, **options)


@contextlib.contextmanager
def forked_templates() -> Iterator[None]:
    """Orchards that are opened inside take their templates from the nursery."""
    with patch.object(local, "subprocess", _Programs()):
        yield


def main(number: int) -> None:
    server = socket.socket(fileno=number)
    server.set_inheritable(False)
    for name in template._WARM:
        importlib.import_module(name)
    from core.worker.main import warm_up

    warm_up()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    while True:
        environment, fds, _, _ = socket.recv_fds(server, 1 << 20, 2)
        if not environment:
            return
        pid = os.fork()
        if pid == 0:
            server.close()
            _become_template(json.loads(environment), *fds)
        pidfd = os.pidfd_open(pid)
        socket.send_fds(server, [str(pid).encode()], [pidfd])
        for fd in (pidfd, *fds):
            os.close(fd)


def _become_template(environment: dict[str, str], control: int, log: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.environ.clear()
        os.environ.update(environment)
        for target in (1, 2):
            os.dup2(log, target)
        os.close(log)
        code = template.main(["template", str(control)])
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
