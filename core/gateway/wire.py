"""The four wire formats: their paths, and where a key stands in a request. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.gateway.answer import Format
from core.gateway.anthropic import AnthropicMessages
from core.gateway.chat import OpenAIChat
from core.gateway.gemini import GeminiContent
from core.gateway.responses import OpenAIResponses

Headers = Iterable[tuple[str, str]]


class WireFormat(StrEnum):
    ANTHROPIC = "anthropic"  # Messages
    RESPONSES = "responses"  # OpenAI's newer API
    CHAT = "chat"  # OpenAI's older API, spoken by many others
    GEMINI = "gemini"  # generateContent


READERS: dict[WireFormat, Format] = {
    WireFormat.ANTHROPIC: AnthropicMessages(),
    WireFormat.RESPONSES: OpenAIResponses(),
    WireFormat.CHAT: OpenAIChat(),
    WireFormat.GEMINI: GeminiContent(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`metered`: the call takes tokens that are paid for. `model`: where the path names it, and else ""."""

    format: WireFormat
    metered: bool
    model: str = ""


_VERSION = r"(?:/v1)?"  # some base addresses end in it and some do not
_MODEL = r"(?:models|tunedModels)/(?P<model>[A-Za-z0-9][A-Za-z0-9._@-]{0,127})"
_PATHS: tuple[tuple[WireFormat, str, bool, re.Pattern[str]], ...] = tuple(
    (wire_format, method, metered, re.compile(path))
    for wire_format, method, metered, path in (
        (WireFormat.ANTHROPIC, "POST", True, r"/v1/messages"),
        (WireFormat.ANTHROPIC, "POST", False, r"/v1/messages/count_tokens"),
        (WireFormat.RESPONSES, "POST", True, rf"{_VERSION}/responses(?:/compact)?"),
        (WireFormat.CHAT, "POST", True, rf"{_VERSION}/chat/completions"),
        (
            WireFormat.GEMINI,
            "POST",
            True,
            rf"/v1(?:beta|alpha)?/{_MODEL}:(?:generateContent|streamGenerateContent)",
        ),
        (WireFormat.GEMINI, "POST", False, rf"/v1(?:beta|alpha)?/{_MODEL}:countTokens"),
    )
)
_LISTS = re.compile(r"(?:/v1(?:beta|alpha)?)?/models(?:/[A-Za-z0-9][A-Za-z0-9._@-]{0,127})?")


def route_of(method: str, path: str) -> Route | None:
    """Where `path` (without its query) leads; None for what no agent needs, which is not passed on."""
    for wire_format, wanted, metered, pattern in _PATHS:
        match = pattern.fullmatch(path)
        if match and method == wanted:
            return Route(format=wire_format, metered=metered, model=match.groupdict().get("model") or "")
    return None


def lists_models(method: str, path: str) -> bool:
    """Whether a request only asks which models there are: the same paths with all four formats."""
    return method == "GET" and _LISTS.fullmatch(path) is not None


# Every header that may carry a key or a login: none of an agent's own goes to a provider.
CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"}
)
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
# The gateway says these itself; a packed answer could not be read along.
_OURS = frozenset({"host", "content-length", "accept-encoding", "expect"})
_KEY_IN_QUERY = frozenset({"key", "access_token", "api_key"})
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.$-]{1,64}")
_NAME = {WireFormat.ANTHROPIC: "x-api-key", WireFormat.GEMINI: "x-goog-api-key"}
_TOKEN_ORDER = ("x-api-key", "x-goog-api-key", "api-key", "authorization")


def placeholder_of(headers: Headers, query: str = "") -> str | None:
    """What the agent was given in place of a key, in whichever place it put it; None without one."""
    given = {name.lower(): value.strip() for name, value in headers}
    for name in _TOKEN_ORDER:
        value = given.get(name, "")
        if name == "authorization":
            scheme, _, value = value.partition(" ")
            value = value.strip() if scheme.lower() == "bearer" else ""
        if value:
            return value
    named = (each.partition("=") for each in query.split("&"))
    return next((value for name, _, value in named if name.lower() in _KEY_IN_QUERY and value), None)


def with_key(wire_format: WireFormat, headers: Headers, key: str) -> list[tuple[str, str]]:
    """The headers to send on: without any credential of the agent, with the real `key`.

    Raises ValueError for a key that cannot stand in a header.
    """
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(
            f"The key for {wire_format} is empty or holds what no header may. Set it again, on one line."
        )
    pairs = list(headers)
    named = {
        each.strip().lower()
        for name, value in pairs
        if name.lower() == "connection"
        for each in value.split(",")
    }
    dropped = CREDENTIALS | _HOP_BY_HOP | _OURS | named
    kept = [(name, value) for name, value in pairs if name.lower() not in dropped]
    name = _NAME.get(wire_format)
    kept.append((name, key) if name else ("Authorization", f"Bearer {key}"))
    kept.append(("Accept-Encoding", "identity"))
    return kept


def without_key(query: str) -> str:
    """A query string without the parameters that carry a key, nor any whose name is written in escapes."""
    named = [(each.partition("=")[0], each) for each in query.split("&")]
    kept = [each for name, each in named if _PLAIN_NAME.fullmatch(name) and name.lower() not in _KEY_IN_QUERY]
    return "&".join(kept)
