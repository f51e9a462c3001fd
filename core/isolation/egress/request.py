"""PURE: what a program asks an HTTP proxy for, read strictly (RFC 9112): what two readers could read in two
ways is refused, so that nothing is smuggled past the rules inside of something allowed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import InvalidInput
from core.isolation.egress.rules import Address, normal_host, parse_port

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(r"[0-9]{1,18}")
_MOST_HEADERS = 128
# Of one connection only (RFC 9110, 7.6.1), or ours to say.
_OURS = frozenset(
    {
        "connection", "content-length", "host", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    host: str | Address
    port: int
    tunnel: bool  # CONNECT; else `head` is what the host is sent
    head: bytes = b""
    body_bytes: int | None = 0  # None: chunked


def parse_request(head: bytes) -> Request:
    """Of everything up to and with the empty line. Raises InvalidInput."""
    lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    if any(_CONTROL.search(line) for line in lines):
        raise InvalidInput("The request's head holds control characters.")
    words = lines[0].split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise InvalidInput("That is no request of HTTP/1.")
    method, target, version = words
    headers = _parse_headers(lines[1:])
    if method == "CONNECT":
        host, port = _parse_authority(target)
        if port is None:
            raise InvalidInput("CONNECT asks for a host and a port.")
        return Request(host=host, port=port, tunnel=True)
    host, given_port, path = _parse_target(target)
    port = given_port or 80
    body, framing = _framing(headers, version)
    dropped = _OURS | _named_in_connection(headers)
    passed = [f"{name}: {value}" for name, value in headers if name.lower() not in dropped]
    authority = f"[{host}]" if not isinstance(host, str) and host.version == 6 else str(host)
    own = [f"Host: {authority}" if port == 80 else f"Host: {authority}:{port}", *framing, "Connection: close"]
    text = "\r\n".join([f"{method} {path} {version}", *own, *passed, "", ""])
    return Request(host=host, port=port, tunnel=False, head=text.encode("latin-1"), body_bytes=body)


def _parse_headers(lines: list[str]) -> list[tuple[str, str]]:
    if len(lines) > _MOST_HEADERS:
        raise InvalidInput(f"The request has more than {_MOST_HEADERS} header lines.")
    found = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):  # also a folded line, and a blank before the colon
            raise InvalidInput("The request has a header line that is none.")
        found.append((name, value.strip(" \t")))
    return found


def _parse_target(target: str) -> tuple[str | Address, int | None, str]:
    if not target.lower().startswith("http://"):
        raise InvalidInput(
            "A proxy is asked for a whole http:// address.", hint="For https use CONNECT, as clients do."
        )
    rest = target[len("http://") :]
    if "#" in rest or "\\" in rest:
        raise InvalidInput("The request's address holds a '#' or a backslash.")
    ends = [place for place in (rest.find("/"), rest.find("?")) if place >= 0]
    split = min(ends, default=len(rest))
    host, port = _parse_authority(rest[:split])
    path = rest[split:]
    return host, port, path if path.startswith("/") else f"/{path}"


def _parse_authority(text: str) -> tuple[str | Address, int | None]:
    if "@" in text:
        raise InvalidInput("The request's address holds a user name.")
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise InvalidInput("The request's address cannot be read.")
        return normal_host(host + bracket), parse_port(port) if colon else None
    host, colon, port = text.partition(":")
    return normal_host(host), parse_port(port) if colon else None


def _framing(headers: list[tuple[str, str]], version: str) -> tuple[int | None, list[str]]:
    """How long the body is, and the header line that says so."""
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    codings = [value.lower() for name, value in headers if name.lower() == "transfer-encoding"]
    if codings:
        if lengths or codings != ["chunked"] or version != "HTTP/1.1":
            raise InvalidInput("The request says in two ways, or in an unknown one, how long it is.")
        return None, ["Transfer-Encoding: chunked"]
    if not lengths:
        return 0, []
    if len(lengths) > 1 or not _DIGITS.fullmatch(lengths[0]):
        raise InvalidInput("The request does not say clearly how long it is.")
    return int(lengths[0]), [f"Content-Length: {int(lengths[0])}"]


def _named_in_connection(headers: list[tuple[str, str]]) -> frozenset[str]:
    values = [value for name, value in headers if name.lower() == "connection"]
    return frozenset(option.strip().lower() for value in values for option in value.split(","))


_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")


def parse_chunk_size(line: bytes) -> int:
    """Of one chunk of a chunked body. Raises InvalidInput, also for extensions, which nobody needs."""
    found = _CHUNK_SIZE.fullmatch(line)
    if not found:
        raise InvalidInput("A chunk of the request's body does not say how long it is.")
    return int(found[1], 16)
