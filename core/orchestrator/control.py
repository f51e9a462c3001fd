"""The running Orchard, spoken to from another process: `Commands` as JSON-RPC on a unix socket.

Types come from the methods' own annotations, so a method added to `Commands` is served and typed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import inspect
import os
import tempfile
import typing
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from core.errors import InvalidInput, Unavailable
from core.orchestrator.commands import Commands
from core.rpc import Peer, PeerGone

_PATIENCE_SECONDS = 120.0
# A suite takes as long as its settings let it; an agent is fetched over a slow line.
_SLOW = {"run_tests": 4 * 3600.0, "install_agent": 3600.0, "check_agent": 3600.0}
_UNIX_PATH_LIMIT = 100  # sun_path holds 108 bytes with its end on Linux


def socket_path(state_path: Path) -> Path:
    """`control.sock` in the state folder; in a private temporary folder when that name would be too long."""
    path = state_path / "control.sock"
    if len(os.fsencode(path)) <= _UNIX_PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(state_path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"orchard-{os.getuid()}" / f"{digest}.sock"


def _methods() -> dict[str, Callable[..., Awaitable[Any]]]:
    return {
        name: method
        for name, method in inspect.getmembers(Commands, inspect.iscoroutinefunction)
        if not name.startswith("_")
    }


_METHODS = _methods()


@functools.cache
def _adapters(name: str) -> dict[str, TypeAdapter[Any]]:
    """Of a method's parameters, and its "return". Made when it is first used: all of them take 50 ms."""
    return {key: TypeAdapter(hint) for key, hint in typing.get_type_hints(_METHODS[name]).items()}


def _named(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON by name."""
    bound = inspect.signature(_METHODS[name]).bind(None, *args, **kwargs).arguments
    return {
        key: _adapters(name)[key].dump_python(value, mode="json")
        for key, value in bound.items()
        if key != "self"
    }


@asynccontextmanager
async def serve_control(commands: Commands, path: Path) -> AsyncIterator[None]:
    """Answers on the socket until the block ends. Only this user may connect."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    peers: set[asyncio.Task[None]] = set()

    def handler(name: str) -> Callable[[dict[str, Any]], Awaitable[Any]]:
        async def handle(params: dict[str, Any]) -> Any:
            adapters = _adapters(name)
            if unknown := set(params) - set(adapters):
                raise InvalidInput(f"{name} has no parameter {', '.join(sorted(unknown))}.")
            arguments = {key: adapters[key].validate_python(value) for key, value in params.items()}
            result = await getattr(commands, name)(**arguments)
            return adapters["return"].dump_python(result, mode="json")

        return handle

    handlers = {name: handler(name) for name in _METHODS}

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        peers.add(task)
        try:
            await Peer(reader, writer, handlers).run()
        finally:
            peers.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_unix_server(connected, path, limit=64 << 20)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        for task in list(peers):
            task.cancel()
        await asyncio.gather(*peers, return_exceptions=True)
        path.unlink(missing_ok=True)


class RemoteCommands:
    """The methods of `Commands`, carried out by the running Orchard."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name not in _METHODS:
            raise AttributeError(name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            try:
                patience = _SLOW.get(name, _PATIENCE_SECONDS)
                raw = await self._peer.call(name, _named(name, args, kwargs), patience)
            except PeerGone:
                raise Unavailable(
                    "Orchard stopped before it answered.", hint="Start it: orchard run."
                ) from None
            return _adapters(name)["return"].validate_python(raw)

        return call


@asynccontextmanager
async def connect(path: Path) -> AsyncIterator[Commands]:
    """The running Orchard's commands. Raises Unavailable when none listens there."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=64 << 20)
    except (FileNotFoundError, ConnectionRefusedError):
        raise Unavailable("Orchard is not running here.", hint="Start it: orchard run.") from None
    peer = Peer(reader, writer, {})
    reading = asyncio.create_task(peer.run(), name="control: read")
    try:
        yield typing.cast(Commands, RemoteCommands(peer))
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
