"""One HTTP POST to an address that the operator named, with a bound for all of its time.

Our own client, of asyncio's streams and h11: it can be cancelled at any point, reads no more of an answer
than its head and a little of its words, asks no proxy, and follows no redirect that leads to another origin,
for a body may tell what is not everybody's business.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import h11

from core.monitoring.delivery.answer import Answer, origin_of

SECONDS = 10.0
WORDS_SECONDS = 2.0  # for the words of a refusal, once its status is known
HEAD_BYTES = 32 * 1024
WORDS_BYTES = 2048
REDIRECTS = 3
_KEEPS_THE_BODY = (307, 308)
_SAFE = "/%:@!$&'()*+,;=~-._"


class NoAnswer(Exception):
    """The address did not answer, or not in HTTP. `reason` is for people, without the address's path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    seconds: float = SECONDS,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """The answer of `url`, or of where it redirects to on the same origin; one elsewhere is the answer.

    `trust` is for TLS; None: the authorities that this machine trusts. Raises NoAnswer.
    """
    try:
        async with asyncio.timeout(seconds):
            for _ in range(REDIRECTS + 1):
                answer = await _post_once(url, body, headers, trust)
                further = _further(url, answer)
                if further is None:
                    return answer
                url = further
    except TimeoutError:
        raise NoAnswer(f"{origin_of(url)} did not answer within {seconds:g} s") from None
    raise NoAnswer(f"{origin_of(url)} redirects in a circle")


def _further(url: str, answer: Answer) -> str | None:
    """Where a redirect leads that may be followed with the body."""
    if answer.status not in _KEEPS_THE_BODY or not (place := answer.headers.get("location")):
        return None
    try:
        led = urljoin(url, place)
        return led if _origin(urlsplit(led)) == _origin(urlsplit(url)) else None
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), _port(parts)


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


async def _post_once(
    url: str, body: bytes, headers: Mapping[str, str], trust: ssl.SSLContext | None
) -> Answer:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except UnicodeError:
        raise NoAnswer("the address has a host that cannot be one") from None
    if secure and trust is None:
        trust = await asyncio.to_thread(_trusted)
    writer = None
    try:
        reader, writer = await asyncio.open_connection(
            host, _port(parts), ssl=trust if secure else None, limit=HEAD_BYTES
        )
        wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        writer.write(_request(wire, parts, host, body, headers))
        await writer.drain()
        return await _answer(wire, reader)
    except ssl.SSLCertVerificationError as error:
        raise NoAnswer(
            f"{origin_of(url)} has a certificate that is not trusted: {error.verify_message}"
        ) from error
    except OSError as error:
        raise NoAnswer(
            f"{origin_of(url)} is not reached: {error.strerror or type(error).__name__}"
        ) from error
    except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
        raise NoAnswer(f"{origin_of(url)} does not answer in HTTP: {error}") from error
    finally:
        if writer is not None:
            writer.transport.abort()  # nothing is left to be said, and a close may wait for the other side


def _request(
    wire: h11.Connection, parts: SplitResult, host: str, body: bytes, headers: Mapping[str, str]
) -> bytes:
    named = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        named += f":{parts.port}"
    target = quote(parts.path or "/", safe=_SAFE)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE + "?")
    fields = {"Host": named, "Content-Length": str(len(body)), "Connection": "close", **headers}
    asked = h11.Request(method="POST", target=target, headers=list(fields.items()))
    made = (wire.send(asked), wire.send(h11.Data(data=body)), wire.send(h11.EndOfMessage()))
    return b"".join(each for each in made if each)


async def _answer(wire: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    """The head, which may come after heads that only say to go on waiting, and a few words."""
    while not isinstance(event := await _next(wire, reader), h11.Response):
        if not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("the connection closed before an answer")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
    status = event.status_code
    words = "" if status < 300 else await _words(wire, reader)
    return Answer(status=status, headers=headers, words=words)


async def _words(wire: h11.Connection, reader: asyncio.StreamReader) -> str:
    found = b""
    try:
        async with asyncio.timeout(WORDS_SECONDS):
            while len(found) < WORDS_BYTES and isinstance(event := await _next(wire, reader), h11.Data):
                found += event.data
    except (TimeoutError, OSError, h11.RemoteProtocolError):
        pass  # the status says enough
    return found[:WORDS_BYTES].decode("utf-8", "replace")


async def _next(wire: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    while (event := wire.next_event()) is h11.NEED_DATA:
        wire.receive_data(await reader.read(HEAD_BYTES))
    if isinstance(event, h11.Event):
        return event
    raise h11.RemoteProtocolError("the answer stops in its middle")


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Reads the machine's authorities, which takes a while."""
    return ssl.create_default_context()
