"""JSON-RPC lines between an agent's stdin and stdout and the `acp` library, on our own terms.

The library's reader ends for good at a line that is JSON but no object, starts a task for every
update, and refuses updates it does not know. So this transport reads, bounds, checks and writes
down every line itself; session updates go straight to the listener as plain data, in order, and
only what the library can handle is passed on to it.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from core.agents.transcript import Transcript

_METHOD_NOT_FOUND = -32601
_HANDLED = frozenset({"session/request_permission", "fs/write_text_file", "fs/read_text_file"})
_STOP_REASONS = frozenset({"end_turn", "max_tokens", "max_turn_requests", "refusal", "cancelled"})
_OPTION_KINDS = frozenset({"allow_once", "allow_always", "reject_once", "reject_always"})
_MALFORMED_LIMIT = 10_000
_DEEPEST = 100  # levels of a message
_UNANSWERED_LIMIT = 1_000
_DEAF_SECONDS = 5.0
_DEAF = "it asks and does not read the answers"
_BREATH = 256  # messages after which other tasks get their turn, however fast the agent talks

Listener = Callable[[Any], Awaitable[None]]


class Wire:
    """The library's `Transport`: send, receive (None at the end), close.

    `flooded` says that reading was given up because of too much output or too much nonsense.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        transcript: Transcript,
        on_update: Listener,
        on_heard: Callable[[], None],
        output_limit_bytes: int,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._transcript = transcript
        self._on_update = on_update
        self._on_heard = on_heard
        self._room = output_limit_bytes
        self._sending = asyncio.Lock()
        self._since_breath = 0
        self._unanswered = 0  # requests that the library has been given and not answered yet
        self.malformed = 0
        self.flooded = ""
        self.error: Exception | None = None  # raised by the listener: a fault of ours, not the agent's

    async def send(self, message: dict[str, Any]) -> None:
        """Write one message; a request raises ConnectionError when the agent is gone, an answer does not."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self._transcript.add("out", message)
        try:
            async with self._sending:
                self._writer.write(line)
                await self._writer.drain()
            self._unanswered -= "method" not in message and self._unanswered > 0
        except (ConnectionError, RuntimeError) as gone:
            if "method" in message:
                raise ConnectionError("the agent no longer reads") from gone

    async def receive(self) -> dict[str, Any] | None:
        """The next message for the library, or None at the end of the agent's output."""
        try:
            while not self.flooded:
                line = await self._line()
                if line is None:
                    break
                message = self._parse(line)
                if message is not None and (wanted := await self._sort(message)) is not None:
                    return wanted
        except ConnectionError:
            pass  # the pipe broke: the same as its end
        return None

    async def close(self) -> None:
        self._writer.close()

    async def _line(self) -> bytes | None:
        """One line; None at the end. A line longer than the reader's limit is skipped and counted."""
        self._since_breath += 1
        if self._since_breath >= _BREATH:
            self._since_breath = 0
            await asyncio.sleep(0)
        skipping = False
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                line = end.partial
                if not line:
                    return None
            except asyncio.LimitOverrunError as long:
                self._count(len(await self._reader.readexactly(max(long.consumed, 1))))
                skipping = True
                if self.flooded:
                    return None
                continue
            self._count(len(line))
            if not skipping:
                return line
            skipping = False
            self._bad("a line longer than the limit")

    def _count(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            self.flooded = "it printed too much"

    def _bad(self, what: str) -> None:
        self.malformed += 1
        if self.malformed <= 20:
            self._transcript.add("note", f"not understood: {what}")
        if self.malformed >= _MALFORMED_LIMIT:
            self.flooded = "most of what it printed was no protocol message"

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        if not line.strip():
            return None
        try:
            message = json.loads(line, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError):
            self._bad(line[:200].decode(errors="replace"))
            return None
        if not _is_message(message) or _is_too_deep(line, message):
            self._bad(line[:200].decode(errors="replace"))
            return None
        if b"\\ud" in line or b"\\uD" in line:
            message = _writable(message)
        self._transcript.add("in", message)
        return _mended(message)

    async def _sort(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Hand updates on, answer what nobody handles; what is left is the library's."""
        self._on_heard()
        method = message.get("method")
        if method is None:
            return message
        if method == "session/update":
            try:
                await self._on_update(message.get("params"))
            except Exception as error:
                self.error = error
                raise
            if "id" not in message:
                return None
        elif "id" not in message:
            return None  # a notification of some extension
        elif method in _HANDLED:
            self._unanswered += 1
            if self._unanswered <= _UNANSWERED_LIMIT:
                return message
            self.flooded = _DEAF
        if self.flooded:
            return None
        refusal = {"code": _METHOD_NOT_FOUND, "message": "Method not found", "data": {"method": method}}
        try:
            async with asyncio.timeout(_DEAF_SECONDS):  # nothing is read meanwhile
                await self.send({"jsonrpc": "2.0", "id": message["id"], "error": refusal})
        except TimeoutError:
            self.flooded = _DEAF
        return None


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _finite(word: str) -> float:
    if not math.isfinite(number := float(word)):
        raise ValueError(f"{word[:20]} is too large")
    return number


def _is_too_deep(line: bytes, message: dict[str, Any]) -> bool:
    """What Python could read it may be unable to write again, some calls further down."""
    if line.count(b"[") + line.count(b"{") <= _DEEPEST:
        return False
    level: list[Any] = [message]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _writable(value: Any) -> Any:
    """Halves of surrogate pairs, which JSON can hold and UTF-8 cannot, as question marks."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    return [_writable(inner) for inner in value] if isinstance(value, list) else value


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or isinstance(message.get("id"), (list, dict)):
        return False
    method = message.get("method")
    if method is None:
        return "id" in message and ("result" in message or "error" in message)
    return isinstance(method, str)


def _mended(message: dict[str, Any]) -> dict[str, Any]:
    """Small departures from the protocol that must not cost a turn, put right."""
    if "error" in message and "method" not in message and not isinstance(message["error"], dict):
        message["error"] = {"code": -32603, "message": str(message["error"])}
    result = message.get("result")
    if isinstance(result, dict) and str(result.get("stopReason", "end_turn")) not in _STOP_REASONS:
        result["stopReason"] = "end_turn"  # a later protocol's reason; the files are judged anyway
    params = message.get("params")
    if message.get("method") == "session/request_permission" and isinstance(params, dict):
        options = params.get("options")
        if isinstance(options, list):
            params["options"] = [
                {"name": str(option["optionId"]), **option}
                for option in options
                if isinstance(option, dict)
                and "optionId" in option
                and str(option.get("kind")) in _OPTION_KINDS
            ]
    return message
