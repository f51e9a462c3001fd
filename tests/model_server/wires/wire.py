"""PURE. What every wire format offers, and what all of them share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from tests.model_server.conversation import Answer, Asked, Usage
from tests.model_server.script import WrongUsage


class RequestError(ValueError):
    """The request is not one of this format; the text says which field."""


class Wire(Protocol):
    """One provider's format. Events are whole SSE events, ready to be sent."""

    name: str
    writes_cache: bool

    def read(self, body: Mapping[str, Any], model: str, stream: bool) -> Asked:
        """The request in neutral words; `model` and `stream` are what the path says of them, if it does."""

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The answer as one JSON body."""

    def events(self, answer: Answer) -> list[bytes]:
        """The answer as a stream; the last event ends it."""

    def told_after(self, answer: Answer, sent: int) -> Usage:
        """The usage that the first `sent` events of the stream have told."""

    def error(self, status: int, message: str) -> dict[str, Any]:
        """The body of an HTTP error."""

    def error_event(self, status: int, message: str) -> bytes:
        """An error in the middle of a stream."""


def event(data: Mapping[str, Any], name: str | None = None) -> bytes:
    """One server-sent event."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return (f"event: {name}\n" if name else "").encode() + b"data: " + text.encode() + b"\n\n"


def told(usage: dict[str, Any], wrong: WrongUsage | None) -> dict[str, Any]:
    """The usage as it is told, with every number in it made wrong."""
    return {key: _bent(value, wrong) for key, value in usage.items()} if wrong else usage


def _bent(value: Any, wrong: WrongUsage | None) -> Any:
    if isinstance(value, dict):
        return {key: _bent(inner, wrong) for key, inner in value.items()}
    if type(value) is not int:
        return value
    bent: dict[WrongUsage | None, Any] = {
        WrongUsage.ZERO: 0,
        WrongUsage.NEGATIVE: -value - 1,
        WrongUsage.TEXT: "many",
        WrongUsage.HUGE: value + 10**15,
        WrongUsage.DOUBLED: value * 2,
    }
    return bent.get(wrong, value)


def listed(body: Mapping[str, Any], name: str) -> list[Any]:
    """A list of mappings from a body; RequestError when it is something else."""
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise RequestError(f"{name}: a list of objects is needed")
    return value


def words(content: Any) -> str:
    """The text of a content field: a string, or parts that have `text`, `content` or `output`."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        for key in ("text", "content", "output"):
            if key in content:
                return words(content[key])
        return ""
    if isinstance(content, list):
        return "\n".join(filter(None, map(words, content)))
    return "" if content is None else str(content)


def arguments_text(arguments: Mapping[str, Any] | str) -> str:
    """Arguments as the text that OpenAI's formats and Anthropic's deltas carry."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def halves(text: str) -> list[str]:
    """A text in two pieces, as a stream splits arguments anywhere."""
    middle = (len(text) + 1) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def turn_of(call_id: Any) -> str | None:
    """The turn that one of our own call ids names (`call_<identity>s<index>_<n>`), else None."""
    return call_id.rpartition("_")[0] if isinstance(call_id, str) and call_id.startswith("call_") else None
