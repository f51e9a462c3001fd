"""Asking NiceGUI's application from inside of ours."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Scope

_KEPT = (
    "type",
    "asgi",
    "http_version",
    "method",
    "scheme",
    "path",
    "raw_path",
    "query_string",
    "client",
    "server",
    "extensions",
    "subprotocols",
)


@dataclass(slots=True)
class Answer:
    status: int = 500
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""


async def ask(app: ASGIApp, scope: Scope) -> Answer:
    """The whole answer to a request without a body."""
    answer, told, parts = Answer(), asyncio.Event(), list[bytes]()

    async def receive() -> Message:
        if told.is_set():
            await asyncio.Event().wait()  # whoever waits for the client to go is cancelled at the end
        told.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], tuple(message["headers"])
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(inner(scope), receive, send)
    answer.body = b"".join(parts)
    return answer


def inner(scope: Scope) -> Scope:
    """Without what our own routes left in it, nor a prefix of paths, which anybody could make up."""
    kept = {name: scope[name] for name in _KEPT if name in scope}
    headers = [one for one in scope["headers"] if one[0] != b"x-forwarded-prefix"]
    return {**kept, "headers": headers, "root_path": "", "state": dict(scope["state"])}
