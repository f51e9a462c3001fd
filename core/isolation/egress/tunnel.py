"""Unix sockets that are served on the event loop, and bytes carried between two connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from core.errors import InvalidInput

logger = logging.getLogger(__name__)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Count = Callable[[int], None]
Opening = Callable[[], Awaitable[bytes]]

CHUNK_BYTES = 1 << 16
_LONGEST_PATH_BYTES = 107  # sockaddr_un


@asynccontextmanager
async def serve_unix(path: Path, serve: Serve, *, most: int, limit_bytes: int) -> AsyncIterator[None]:
    """Serves each connection to `path` until the end of the block, then cuts those that are open.

    Only this user may connect. At `most` connections further ones are closed at once. `limit_bytes` is the
    longest head that a reader takes. A socket that an ended process left at `path` is replaced. Raises
    InvalidInput for a path that is too long for a socket or that something else stands at.
    """
    if len(bytes(path)) > _LONGEST_PATH_BYTES:
        raise InvalidInput(
            f"{path} is too long for a socket.",
            why=f"The kernel takes {_LONGEST_PATH_BYTES} bytes.",
            hint="Use a shorter state folder.",
        )
    if path.is_socket():
        path.unlink()
    elif path.exists():
        raise InvalidInput(f"{path} is in the way of a socket.", hint="Move it away.")
    tasks: set[asyncio.Task[None]] = set()

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(tasks) >= most:
            writer.transport.abort()
            return
        task = asyncio.create_task(_serve_one(serve, reader, writer), name=f"connection to {path.name}")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_unix_server(welcome, path, limit=limit_bytes, backlog=256)
    try:
        path.chmod(0o600)
        yield
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _serve_one(serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await serve(reader, writer)
    except OSError:
        pass  # the other side is gone
    except Exception:  # one connection's trouble is not the others'
        logger.exception("a connection out of a sandbox failed")
    finally:
        await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """What is still to be sent has a second to go."""
    writer.close()
    try:
        async with asyncio.timeout(1.0):
            await writer.wait_closed()
    except OSError:
        writer.transport.abort()


async def carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Count, most: int | None = None
) -> None:
    """To the end of what `reader` gives, or `most` bytes; `count` hears of each piece."""
    left = CHUNK_BYTES if most is None else most
    while left and (data := await reader.read(min(left, CHUNK_BYTES))):
        count(len(data))
        writer.write(data)
        await writer.drain()
        if most is not None:
            left -= len(data)


def still_moving(alive: asyncio.Timeout, idle_seconds: float, count: Count) -> Count:
    """As `count`, and each piece puts the time-out off."""
    loop = asyncio.get_running_loop()

    def moved(size: int) -> None:
        alive.reschedule(loop.time() + idle_seconds)
        count(size)

    return moved


async def join(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    *,
    idle_seconds: float,
    sent: Count,
    received: Count,
    opening: Opening | None = None,
) -> None:
    """Carries both ways until both have said all, one is gone, or nothing moved for `idle_seconds`.

    `opening` reads what `near` says first and gives what of it is sent on; what it raises, but OSError, ends
    both ways and comes out in an ExceptionGroup.
    """

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Count) -> None:
        moved = still_moving(alive, idle_seconds, count)
        if reader is near[0] and opening is not None:
            first = await opening()
            moved(len(first))
            writer.write(first)
            await writer.drain()
        await carry(reader, writer, moved)
        with suppress(OSError):
            writer.write_eof()

    try:
        async with asyncio.timeout(idle_seconds) as alive, asyncio.TaskGroup() as group:
            group.create_task(one_way(near[0], far[1], sent), name="carry out")
            group.create_task(one_way(far[0], near[1], received), name="carry in")
    except* OSError:  # TimeoutError is one
        pass


@asynccontextmanager
async def open_passage(
    path: Path, host: str, port: int, *, most: int = 256, idle_seconds: float = 900.0
) -> AsyncIterator[None]:
    """`path` leads to `host`:`port` and nowhere else, such as to the model gateway on our loopback."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far = await asyncio.open_connection(host, port, limit=CHUNK_BYTES)
        try:
            await join((reader, writer), far, idle_seconds=idle_seconds, sent=_ignore, received=_ignore)
        finally:
            await close(far[1])

    async with serve_unix(path, serve, most=most, limit_bytes=CHUNK_BYTES):
        yield


def _ignore(_size: int) -> None:
    return
