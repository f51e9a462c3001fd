"""The way to the network for one sandbox: an HTTP proxy on a unix socket that obeys an allow-list.

A name is resolved here, outside, once for each connection, and only after a rule has named it; what it
resolved to is judged too, and connected to by number: a name server cannot answer otherwise a second time.
What a TLS client says first in a tunnel is read, and nothing of it is sent on before the host that it names
there is judged as well. Nothing is decrypted.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path

from core.errors import InvalidInput
from core.isolation.egress.client_hello import UNRECOGNISED_NAME, Hello, HelloReader, begins_tls
from core.isolation.egress.request import Request, parse_chunk_size, parse_request
from core.isolation.egress.rules import Address, Egress, Verdict, parse_address
from core.isolation.egress.tunnel import CHUNK_BYTES, Count, carry, close, join, serve_unix, still_moving

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Resolve = Callable[[str], Awaitable[Sequence[str]]]  # a host's addresses; OSError when it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """`host` is empty when the request could not be read; `hint` says what would allow it."""

    host: str
    port: int
    why: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    connections: int = 256
    head_bytes: int = 32768
    head_seconds: float = 15.0  # to say what is wanted
    connect_seconds: float = 20.0  # with the name's resolution
    idle_seconds: float = 600.0
    quiet_seconds: float = 60.0  # a denial is told once in that time
    only_tls: tuple[int, ...] = (443,)  # ports


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Since the start, without what the proxy itself says. `hosts`: bytes both ways, of the first 200; the
    others' stand under ''."""

    connections: int = 0
    denied: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    hosts: dict[str, int] = field(default_factory=dict)


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.status, self.why, self.hint = status, why, hint


_MOST_HOSTS = 200
_MOST_TOLD = 256


class EgressProxy:
    """Use `open`. `egress` may be replaced at any time; connections that are open stay."""

    def __init__(
        self, egress: Egress, told: Callable[[Denial], None], resolve: Resolve, bounds: Bounds
    ) -> None:
        self.egress = egress
        self.traffic = Traffic()
        self._tell = told
        self._resolve = resolve
        self._bounds = bounds
        self._told: dict[Denial, float] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        egress: Egress,
        told: Callable[[Denial], None],
        *,
        resolve: Resolve | None = None,
        bounds: Bounds | None = None,
    ) -> AsyncIterator[EgressProxy]:
        """Serves on the unix socket `path` to the end of the block; errors as in `serve_unix`.

        `told` hears of each denial on the event loop; it must not raise or wait.
        """
        proxy = cls(egress, told, resolve or resolve_here, bounds or Bounds())
        most, limit = proxy._bounds.connections, proxy._bounds.head_bytes
        async with serve_unix(path, proxy._serve, most=most, limit_bytes=limit):
            yield proxy

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.connections += 1
        try:
            request = await self._hear(reader)
            if request is None:
                return
            far = await self._reach(request)
        except _Refused as refused:
            self.traffic.denied += refused.status is not HTTPStatus.BAD_GATEWAY
            writer.write(_answer(refused))
            await writer.drain()
            return
        try:
            await self._carry(request, (reader, writer), far)
        finally:
            await close(far[1])

    async def _hear(self, reader: asyncio.StreamReader) -> Request | None:
        """None when it went away before it said what it wants."""
        try:
            async with asyncio.timeout(self._bounds.head_seconds):
                return parse_request(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            return None
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "The request did not come.") from None
        except asyncio.LimitOverrunError:
            why = f"The request's head is longer than {self._bounds.head_bytes} bytes."
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, why) from None
        except InvalidInput as error:
            self._report(Denial(host="", port=0, why=error.message, hint=error.hint))
            raise _Refused(HTTPStatus.BAD_REQUEST, error.message, error.hint) from error

    async def _reach(self, request: Request) -> Stream:
        """A connection to one of the addresses that are allowed. Raises _Refused."""
        self._must(self.egress.judge(request.host, request.port), request)
        try:
            async with asyncio.timeout(self._bounds.connect_seconds):
                return await _connect_one(await self._addresses(request), request.port)
        except (OSError, InvalidInput) as error:  # TimeoutError is one
            why = f"{request.host} cannot be reached: {error or 'it took too long'}"
            raise _Refused(HTTPStatus.BAD_GATEWAY, why) from error

    async def _addresses(self, request: Request) -> list[Address]:
        if not isinstance(request.host, str):
            return [request.host]
        found = [parse_address(text) for text in await self._resolve(request.host)]
        verdicts = {
            address: self.egress.judge_address(address, request.port, own=_is_own(address))
            for address in found
        }
        allowed = [address for address, verdict in verdicts.items() if verdict.allowed]
        if not allowed and verdicts:
            self._must(next(iter(verdicts.values())), request)
        return allowed

    def _must(self, verdict: Verdict, request: Request) -> None:
        if not verdict.allowed:
            self._report(
                Denial(host=str(request.host), port=request.port, why=verdict.why, hint=verdict.hint)
            )
            raise _Refused(HTTPStatus.FORBIDDEN, verdict.why, verdict.hint)

    def _report(self, denial: Denial) -> None:
        """Once a while for each, and never for more than some: programs ask again and again."""
        now = asyncio.get_running_loop().time()
        quiet = self._bounds.quiet_seconds
        self._told = {each: at for each, at in self._told.items() if at > now - quiet}
        if denial not in self._told and len(self._told) < _MOST_TOLD:
            self._told[denial] = now
            self._tell(denial)

    async def _carry(self, request: Request, near: Stream, far: Stream) -> None:
        sent, received = self._counters(str(request.host))
        idle = self._bounds.idle_seconds
        if request.tunnel:
            near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            raw = self.egress.is_raw(request.host, request.port)
            opening = None if raw else partial(self._hear_hello, request, near[0])
            try:
                await join(near, far, idle_seconds=idle, sent=sent, received=received, opening=opening)
            except* _Refused:
                self.traffic.denied += 1
                near[1].write(UNRECOGNISED_NAME)
            return
        far[1].write(request.head)
        sent(len(request.head))
        try:
            async with asyncio.timeout(idle) as alive, asyncio.TaskGroup() as group:
                out, back = still_moving(alive, idle, sent), still_moving(alive, idle, received)
                body = group.create_task(_send_body(request, near[0], far[1], out), name="send body")
                await carry(far[0], near[1], back)
                body.cancel()  # it has been answered before all was said
        except* (OSError, InvalidInput, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one side is gone, idle, or spoke nonsense: the connection ends

    async def _hear_hello(self, request: Request, reader: asyncio.StreamReader) -> bytes:
        """What a tunnel's client says first, once it may be sent on. Raises _Refused.

        On a port for TLS that is a hello, within a time; on others it may be anything, and the host may be
        the first to speak (SSH, SMTP).
        """
        must = request.port in self._bounds.only_tls
        heard, hello = bytearray(), HelloReader(self._bounds.head_bytes)
        loop, patience_seconds = asyncio.get_running_loop(), self._bounds.head_seconds
        try:
            async with asyncio.timeout(patience_seconds if must else None) as patience:
                while data := await reader.read(CHUNK_BYTES):
                    if not heard:
                        patience.reschedule(loop.time() + patience_seconds)
                    heard += data
                    if not begins_tls(heard):
                        if must:
                            self._must(self.egress.judge_hello(None, request.host, request.port), request)
                        break
                    if (found := hello.feed(data)) is not None:
                        self._must_name(found, request)
                        break
        except TimeoutError:
            why = f"The TLS client of {request.host} did not say what it wants."
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, why) from None
        except InvalidInput as error:
            self._must(Verdict(allowed=False, why=error.message), request)
        return bytes(heard)  # also what it said before it went away amid a hello: nobody can answer that

    def _must_name(self, hello: Hello, request: Request) -> None:
        self._must(
            self.egress.judge_hello(hello.name, request.host, request.port, hides=hello.hides), request
        )

    def _counters(self, host: str) -> tuple[Count, Count]:
        traffic = self.traffic
        key = host if host in traffic.hosts or len(traffic.hosts) < _MOST_HOSTS else ""

        def sent(size: int) -> None:
            traffic.sent_bytes += size
            traffic.hosts[key] = traffic.hosts.get(key, 0) + size

        def received(size: int) -> None:
            traffic.received_bytes += size
            traffic.hosts[key] = traffic.hosts.get(key, 0) + size

        return sent, received


async def resolve_here(host: str) -> Sequence[str]:
    """By this machine's own resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _is_own(address: Address) -> bool:
    """Whether it is one of this machine's. Asks the routing table; nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as trial:
            trial.connect((str(address), 9))
            return parse_address(str(trial.getsockname()[0])) == address
    except OSError:
        return False  # nor can it be connected to


async def _connect_one(addresses: Sequence[Address], port: int) -> Stream:
    trouble: OSError | None = None
    for address in addresses:
        try:
            return await asyncio.open_connection(str(address), port, limit=CHUNK_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            trouble = error
    raise trouble or OSError("it has no address")


async def _send_body(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Count
) -> None:
    """Exactly the body, whatever else was said: that could only be another request."""
    if request.body_bytes is not None:
        await carry(reader, writer, count, most=request.body_bytes)
        return
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = parse_chunk_size(line)
        writer.write(line)
        await carry(reader, writer, count, most=size)
        if await reader.readexactly(2) != b"\r\n":  # behind the last chunk: there are no trailers
            raise InvalidInput("A chunk of the request's body is longer than it says.")
        writer.write(b"\r\n")
        count(len(line) + 2)
    await writer.drain()


def _answer(refused: _Refused) -> bytes:
    body = f"Orchard: {refused.why} {refused.hint}".strip().encode("utf-8", "replace") + b"\n"
    status = refused.status
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
