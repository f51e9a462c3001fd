"""A request's body, read whole before anything is done: bounded in size and time."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import Message, Receive, Scope

from bot.web.problem import Problem

_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_SECONDS = 5.0
_DRAIN_PAUSE_SECONDS = 1.0  # without a byte


class Unfit(Exception):
    """The body is not taken; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Gone(Exception):
    """The client left."""


async def read_body(
    scope: Scope, receive: Receive, *, most: int, seconds: float, setting: str = "web.max_body_kb"
) -> bytes:
    """At most `most` bytes, which `setting` sets, within `seconds`. Raises Unfit, Gone."""
    headers = [
        (name, value) for name, value in scope["headers"] if name.startswith((b"content-l", b"transfer"))
    ]
    lengths = [value for name, value in headers if name == b"content-length"]
    chunked = [value for name, value in headers if name == b"transfer-encoding"]
    if not lengths and not chunked:
        return b""
    if (lengths and chunked) or len(lengths) > 1 or (lengths and not lengths[0].isdigit()):
        raise Unfit(_said(400, "The request does not say how long it is.", "Its headers contradict."))
    if lengths and int(lengths[0]) > most:
        raise Unfit(_too_large(most, setting))
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise Unfit(_too_large(most, setting))
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise Unfit(_said(408, "The request was too slow.", f"It took over {seconds:g} seconds.")) from None


async def drain(scope: Scope, receive: Receive) -> None:
    """Throws away what a refused client is still sending: were the connection closed over it, the refusal
    would be thrown away with it (RFC 9112, 9.6). Ends when the body does, when the client leaves or pauses,
    and at bounds of time and size."""
    names = {name for name, _ in scope["headers"]}
    if not names & {b"content-length", b"transfer-encoding"} or b"expect" in names:
        return  # there is no body, or it only comes when it is asked for
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while size < _DRAIN_BYTES:
                async with asyncio.timeout(_DRAIN_PAUSE_SECONDS):
                    message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return


def replay(body: bytes, receive: Receive) -> Receive:
    """As if it were read now; then whatever comes, such as that the client leaves."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(most: int, setting: str) -> Problem:
    return _said(
        413,
        "The request is too large.",
        f"At most {most} bytes are taken.",
        f"{setting} sets the bound.",
    )


def busy() -> Problem:
    """Too much is being read already."""
    return _said(429, "Too much is sent at once.", "Others' large requests are being read.", "Try again.")


def _said(status: int, message: str, why: str, hint: str = "") -> Problem:
    slug = {400: "bad_request", 408: "too_slow", 413: "too_large", 429: "busy"}[status]
    return Problem(
        status=status, slug=slug, message=message, why=why, hint=hint, headers={"Connection": "close"}
    )
