"""A provider's answer, or a complaint of ours, on its way to the agent."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from core.gateway.complaint import Complaint
from core.gateway.upstream import Lost
from core.gateway.wire import WireFormat

_RIGHT_BEHIND_SECONDS = 0.02
_NOT_PASSED_ON = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "trailer", "te", "proxy-connection",
     "content-length", "set-cookie", "date", "server", "alt-svc", "strict-transport-security"}
)  # fmt: skip


class Together(web.StreamResponse):
    _send_headers_immediately = False


async def ahead_of(answer: aiohttp.ClientResponse) -> bytes:
    """The first piece of an answer, if it comes right behind its headers."""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_RIGHT_BEHIND_SECONDS):
            return await answer.content.readany()
    return b""


async def limited(answer: aiohttp.ClientResponse, idle_seconds: float, most_bytes: int) -> bytes:
    """The whole of an answer that is no stream; it is closed. Raises Lost."""
    found = bytearray()
    try:
        async with asyncio.timeout(idle_seconds) as limit:
            while piece := await answer.content.readany():
                found += piece
                if len(found) > most_bytes:
                    break
                limit.reschedule(asyncio.get_running_loop().time() + idle_seconds)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        answer.close()
        complaint = Complaint(status=502, message="The provider broke off its answer.", retry_after=1)
        raise Lost(complaint) from error
    if len(found) > most_bytes:
        answer.close()
        raise Lost(Complaint(status=502, message=f"The provider's answer is longer than {most_bytes} bytes."))
    return bytes(found)


def passed_on(answer: aiohttp.ClientResponse) -> CIMultiDict[str]:
    kept = CIMultiDict(
        (name, each) for name, each in answer.headers.items() if name.lower() not in _NOT_PASSED_ON
    )
    for name in answer.headers.get("connection", "").split(","):
        kept.popall(name.strip(), None)
    return kept


def complaining(complaint: Complaint, speaks: WireFormat) -> web.Response:
    return web.Response(
        status=complaint.status,
        headers=complaint.headers(),
        body=complaint.body(speaks),
        content_type="application/json",
    )
