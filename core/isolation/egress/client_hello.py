"""PURE: the first thing that a TLS client says, read as far as the host that it names (RFC 8446, 4.1.2 and
5.1; RFC 6066, 3). What two readers could read in two ways is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import InvalidInput

UNRECOGNISED_NAME = bytes((21, 3, 3, 0, 2, 2, 112))  # a fatal alert; clients show its name

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_LONGEST_RECORD = 1 << 14
_SERVER_NAME = 0
_HIDING = frozenset({0xFE0D, 0xFFCE})  # encrypted ClientHello (RFC 9849), and its older draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """`name` as the client wrote it, empty without one. `hides`: there is, or seems to be, another inside."""

    name: str = ""
    hides: bool = False


def begins_tls(data: bytes | bytearray) -> bool:
    """Of the first bytes, at least one: whether a TLS server would take them for the start of a hello."""
    return data[0] == _HANDSHAKE and (len(data) < 2 or data[1] == 3)


class HelloReader:
    """Takes what a client says in any pieces. Linear in its length, however it is cut; never keeps more than
    `most_bytes` and one piece."""

    def __init__(self, most_bytes: int = 32768) -> None:
        self._most = most_bytes
        self._taken = 0
        self._raw = bytearray()  # of a record that is not whole
        self._message = bytearray()

    def feed(self, data: bytes) -> Hello | None:
        """None while it is not whole. Raises InvalidInput for what is no hello, or a longer one."""
        self._raw += data
        while len(self._raw) >= 5:
            kind, major = self._raw[0], self._raw[1]
            size = int.from_bytes(self._raw[3:5], "big")
            if kind != _HANDSHAKE or major != 3 or not 0 < size <= _LONGEST_RECORD:
                raise InvalidInput("The TLS client's first record is none.")
            if self._taken + 5 + size > self._most:
                raise InvalidInput(f"The TLS client's first message is longer than {self._most} bytes.")
            if len(self._raw) < 5 + size:
                return None
            self._message += self._raw[5 : 5 + size]
            del self._raw[: 5 + size]
            self._taken += 5 + size
            if (hello := self._whole()) is not None:
                return hello
        return None

    def _whole(self) -> Hello | None:
        if self._message[0] != _CLIENT_HELLO:
            raise InvalidInput("The TLS client's first message is no hello.")
        if len(self._message) < 4:
            return None
        end = 4 + int.from_bytes(self._message[1:4], "big")
        if end > self._most:
            raise InvalidInput(f"The TLS client's first message is longer than {self._most} bytes.")
        if len(self._message) < end:
            return None
        if len(self._message) > end:
            raise InvalidInput("The TLS client says more than a hello at once.")
        return _read(_Fields(bytes(self._message[4:])))


class _Fields:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise InvalidInput("The TLS client's hello ends too soon.")
        found, self._at = self._data[self._at : end], end
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_bytes: int) -> bytes:
        return self.take(self.number(length_bytes))


def _read(fields: _Fields) -> Hello:
    fields.take(2 + 32)  # the version of old, random
    fields.vector(1)  # session
    fields.vector(2)  # cipher suites
    fields.vector(1)  # compressions
    if not fields:
        return Hello()
    extensions = _Fields(fields.vector(2))
    if fields:
        raise InvalidInput("The TLS client's hello holds more than it says.")
    name, seen = "", set()
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind in seen:
            raise InvalidInput("The TLS client's hello says something twice.")
        seen.add(kind)
        if kind == _SERVER_NAME:
            name = _name_in(content)
    return Hello(name=name, hides=not seen.isdisjoint(_HIDING))


def _name_in(content: bytes) -> str:
    outer = _Fields(content)
    names = _Fields(outer.vector(2))
    kind, name = names.number(1), names.vector(2)
    if outer or names or kind != 0 or not name or not name.isascii():
        raise InvalidInput("The TLS client's hello names more than one host, or none.")
    return name.decode("ascii")
