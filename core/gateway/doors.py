"""Where the gateway listens, and the lock that keeps two of them apart. Both outlive its process."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from pathlib import Path

from core.errors import Unavailable
from core.gateway import child

_BACKLOG = 4096
_OLD_LIFE_SECONDS = 2.0


def bind(
    stack: contextlib.ExitStack | contextlib.AsyncExitStack, path: Path, port: int
) -> tuple[socket.socket, ...]:
    """On 127.0.0.1 and at `path`, in this order, until the stack closes. Raises Unavailable."""
    try:
        tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("127.0.0.1", port))
        tcp.listen(_BACKLOG)
        unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        path.unlink(missing_ok=True)
        unix.bind(os.fspath(path))
        path.chmod(0o600)
        unix.listen(_BACKLOG)
    except OSError as error:
        raise Unavailable(
            f"The model gateway cannot listen on port {port} of 127.0.0.1 and at {path}.",
            why=str(error),
            hint="Set global.model_gateway.port to 0, which takes any free one.",
        ) from error
    stack.callback(path.unlink, missing_ok=True)
    for each in (tcp, unix):
        each.setblocking(False)
    return tcp, unix


async def lock(path: Path) -> int:
    """Held by this process and the gateway's: one of an earlier life, which outlived its control plane, has
    ended when it is ours; one that does not end is ended. Raises Unavailable."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for seconds in (_OLD_LIFE_SECONDS, _OLD_LIFE_SECONDS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not _taken(fd):  # noqa: ASYNC110 - a lock of the kernel tells nobody
                        await asyncio.sleep(0.02)
                    return fd
            child.end_noted(fd)
        raise Unavailable(
            "An old model gateway still runs.", hint=f"End whichever process holds {path} open."
        )
    except BaseException:
        os.close(fd)
        raise


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
