"""How a silent agent's model calls fare, asked of the model gateway: some agents retry without a word.

Small on purpose: the worker has no HTTP library in its memory, and needs one question of one loopback server.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from core.agents.setup import ModelAccess

_ANSWER_BYTES = 64 << 10
_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Of one run. `held`: "" | "budget" | "rate" | "back-off", for `held_seconds` now. `stopped`: "" |
    "quota" | "credit" | "auth": the provider takes no more work with its key, `until` (aware) if it said."""

    calls: int = 0
    in_flight: int = 0
    refused_in_a_row: int = 0
    last_refusal: str = ""
    held: str = ""
    held_seconds: float = 0.0
    stopped: str = ""
    until: datetime | None = None


async def ask(access: ModelAccess) -> Traffic | None:
    """None when the gateway does not answer in 2 s, or not with what it should: nothing is known then."""
    try:
        async with asyncio.timeout(_SECONDS):
            answer = await _get(access)
    except (OSError, TimeoutError, ValueError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200" not in head.partition(b"\r\n")[0]:
        return None
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _read(told) if isinstance(told, dict) else None


async def _get(access: ModelAccess) -> bytes:
    """HTTP/1.0: the answer is not cut into chunks, and ends with the connection."""
    base = urlsplit(access.base_url)
    host, port = base.hostname or "127.0.0.1", base.port or 80
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(
            f"GET {base.path}/_orchard/run HTTP/1.0\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {access.token}\r\n\r\n".encode()
        )
        await writer.drain()
        answer = b""
        while len(answer) < _ANSWER_BYTES and (chunk := await reader.read(_ANSWER_BYTES)):
            answer += chunk
        return answer
    finally:
        writer.close()


def _read(told: dict[str, Any]) -> Traffic:
    def number(key: str) -> float:
        value = told.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else 0

    def text(key: str) -> str:
        value = told.get(key)
        return value if isinstance(value, str) else ""

    return Traffic(
        calls=int(number("calls")),
        in_flight=int(number("in_flight")),
        refused_in_a_row=int(number("refused_in_a_row")),
        last_refusal=text("last_refusal"),
        held=text("held"),
        held_seconds=float(number("held_seconds")),
        stopped=text("stopped"),
        until=_moment(text("until")),
    )


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
