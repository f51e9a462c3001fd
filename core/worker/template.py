"""A warm process that has imported all that a worker needs, and forks workers on request.

Importing takes most of a second and tens of megabytes; a fork takes milliseconds and shares the memory.
It does nothing else, so that it has nothing to go wrong: no threads, no event loop, no state.

    control plane -> template   {"start": n, "options": {...}, "entry": {...}} with three file descriptors:
                                stdin, stdout, stderr; the options are those of core.worker.main.run_worker,
                                the entry is what core.isolation.enter does first
    template -> control plane   {"ready": pid}, {"started": n, "pid": p} with a pidfd,
                                {"failed": n, "error": text}, {"ended": p, "status": s} (s as of os.waitpid)

The packets go over a SOCK_SEQPACKET socket whose number is the only argument. When it ends, the control
plane is gone: workers see the end of their input and stop by themselves; what has not after a while is
killed.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from core.isolation import enter

# Everything that a phase will import, so that no worker imports it again for itself.
_WARM = (
    "acp",
    "asyncio",
    "concurrent.futures.thread",
    "core.worker.main",
    "defusedxml.ElementTree",
    "encodings.idna",
    "logging.handlers",
    "pydantic",
    "xml.etree.ElementTree",
)
_LAST_GRACE_SECONDS = 20.0  # workers end within moments of their input's end; this is for one that hangs
_CHUNK = 65536


def main(argv: list[str]) -> int:
    control = socket.socket(fileno=int(argv[1]))
    control.set_inheritable(False)
    for name in _WARM:
        importlib.import_module(name)
    from core.worker.main import run_worker, warm_up

    warm_up()
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the control plane, which then stops us
    gc.collect()
    gc.freeze()  # a worker's collector never touches, and so never copies, the shared pages
    children: set[int] = set()
    _tell(control, {"ready": os.getpid()})
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if wake in ready:
                _drain(wake)
                _reap(control, children)
            if control.fileno() in ready:
                request, fds = _receive(control)
                if request is None:
                    break
                if "start" in request and len(fds) == 3:
                    pid = _fork(control, int(request["start"]), fds)
                    if pid == 0:
                        selector.close()
                        os.close(wake)
                        os.close(waker)
                        _become_worker(fds)
                        _run(run_worker, request.get("entry", {}), request.get("options", {}))
                    children.add(pid)
                for fd in fds:
                    os.close(fd)
    control.close()
    return _last(children)


def _fork(control: socket.socket, number: int, fds: list[int]) -> int:
    try:
        pid = os.fork()
    except OSError as error:
        _tell(control, {"failed": number, "error": str(error)})
        return -1
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        control.close()
        return 0
    # Opened before anybody can reap the child, so it can name no other process.
    pidfd = os.pidfd_open(pid)
    try:
        _tell(control, {"started": number, "pid": pid}, [pidfd])
    finally:
        os.close(pidfd)
    return pid


def _become_worker(fds: list[int]) -> None:
    os.setsid()
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    for fd in fds:
        if fd > 2:
            os.close(fd)


def _run(run_worker: Callable[..., NoReturn], entry: dict[str, Any], options: dict[str, Any]) -> NoReturn:
    try:
        enter.take(entry)
        run_worker(**options)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # which the worker has made discreet
    finally:
        sys.stderr.flush()
        os._exit(1)  # it ends by itself otherwise; nothing of the template's is to be torn down in a worker


def _receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    try:
        message, fds, _, _ = socket.recv_fds(control, _CHUNK, 3)
    except ConnectionError:
        return None, []
    for fd in fds:
        os.set_inheritable(fd, False)
    if not message:
        return None, fds
    return json.loads(message), fds


def _tell(control: socket.socket, message: dict[str, object], fds: list[int] | None = None) -> None:
    with suppress(ConnectionError):  # its end is seen by the next read
        socket.send_fds(control, [json.dumps(message).encode()], fds or [])


def _drain(wake: int) -> None:
    with suppress(BlockingIOError):
        while os.read(wake, _CHUNK):
            pass


def _reap(control: socket.socket | None, children: set[int]) -> None:
    for pid in list(children):
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            found, status = pid, 0
        if found == pid:
            children.discard(pid)
            if control is not None:
                _tell(control, {"ended": pid, "status": status})


def _last(children: set[int]) -> int:
    deadline = time.monotonic() + _LAST_GRACE_SECONDS
    while children and time.monotonic() < deadline:
        _reap(None, children)
        time.sleep(0.02)
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
