"""One REST exchange as it went over the wire, for whoever watches (the tests' checker)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer.

    `template` is the path as Discord's OpenAPI description writes it, None when there is no such
    route; `request_body` is the parsed JSON or multipart `payload_json`, None without a body;
    `response_body` is the parsed JSON answer, a string when it is no JSON, None without a body.
    `fault` names a fault that was planned and happened instead of, or after, the real answer.
    """

    method: str
    template: str | None
    path: str
    path_params: Mapping[str, str]
    query: Mapping[str, str]
    content_type: str
    request_body: Any
    files: tuple[str, ...]
    status: int
    response_headers: Mapping[str, str]
    response_body: Any
    fault: str | None = None


OnExchange = Callable[[Exchange], None]
