"""What all routes of the API have in common: entity tags, and answers that are given once."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, TypeAdapter

from bot.web.once import Replay, once_of
from bot.web.problem import Changed
from bot.web.visitors import house_of
from core.errors import InvalidInput
from core.orchestrator.commands import Commands
from core.store.bound import After, Before
from core.store.transaction import Transaction

API = "/api"
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LONGEST = 2000  # characters of a list of tags


class Body(BaseModel):
    """What is sent: nothing unknown, nothing bent into shape."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ApiRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except Replay as known:
                return known.response
            except Exception:
                if (once := once_of(request)) is not None:
                    await once.keeper.failed(once)
                raise
            except BaseException:  # the end of the process: as after a crash
                if (once := once_of(request)) is not None:
                    once.keeper.under_way.discard((once.who, once.key))
                raise
            tagged(request, response)
            if (once := once_of(request)) is not None:
                await once.keeper.done(once, response)
            return conditional(request, response)

        return answer


def router(tag: str) -> APIRouter:
    return APIRouter(
        prefix=API,
        tags=[tag],
        route_class=ApiRoute,
        generate_unique_id_function=lambda route: f"{tag}_{route.name}",
    )


IF_MATCH = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "An ETag: nothing is changed unless it is still that (412).",
            "schema": {"type": "string", "maxLength": 200, "pattern": r'^(\*|"[!#-~]{1,64}")$'},
        }
    ]
}
"""Of a route whose change `changing` ties to what is there now."""


def tag_of(body: bytes) -> str:
    """A strong entity tag (RFC 9110, 8.8.3)."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def tag(value: object) -> str:
    """Of what a GET of it would be answered with."""
    return tag_of(as_json(value))


def as_json(value: object) -> bytes:
    """As FastAPI writes it."""
    kind: Any = type(value)
    return _adapter(kind).dump_json(value)


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def tagged(request: Request, response: Response) -> None:
    """What is read has the tag of its bytes; streams have none."""
    body = getattr(response, "body", None)
    if request.method in ("GET", "HEAD") and response.status_code == 200 and body is not None:
        response.headers.setdefault("etag", tag_of(bytes(body)))


def conditional(request: Request, response: Response) -> Response:
    """304 for whoever has it already (If-None-Match)."""
    said, tag = request.headers.get("if-none-match"), response.headers.get("etag")
    if said is None or tag is None or request.method not in ("GET", "HEAD") or response.status_code != 200:
        return response
    if said.strip() == "*" or tag in {one.removeprefix("W/") for one in tags_of(said)}:
        kept = {name: response.headers[name] for name in ("etag", "link") if name in response.headers}
        return Response(status_code=304, headers=kept)
    return response


def kept(
    request: Request, status: int, answer: Callable[[sqlite3.Connection, Any], object | None]
) -> After | None:
    """Keeps the answer, of the value of a transaction, in it; None: the request has no key."""
    once = once_of(request)
    return None if once is None else once.after(status, answer, as_json)


def unchanged(request: Request, now: Callable[[sqlite3.Connection], object]) -> Before | None:
    """For a bound store, where the caller said If-Match: raises Changed unless what `now` reads, as its GET
    would show it, has a tag that they named. None: they named none."""
    said = request.headers.get("if-match")
    if said is None:
        return None
    if len(said) > _LONGEST or (said.strip() != "*" and not tags_of(said)):
        raise InvalidInput("If-Match holds no entity tag.", hint="Send an ETag as a GET has said it.")
    wanted = tags_of(said)

    def check(tx: Transaction) -> None:
        there = now(tx.conn)  # raises NotFound
        # A weak tag never matches here (RFC 9110, 13.1.1).
        if said.strip() != "*" and tag(there) not in wanted:
            raise Changed(
                "This was changed since you read it.",
                why="Its ETag is not what If-Match says.",
                hint="Read it again, and decide again.",
            )

    return check


def changing(
    request: Request,
    *,
    now: Callable[[sqlite3.Connection], object] | None = None,
    status: int = 200,
    answer: Callable[[sqlite3.Connection, Any], object | None] | None = None,
) -> Commands:
    """The commands for one change: it happens only if `now` is what the caller saw, and its `answer`, of the
    value of its transaction, is kept with it where the request has a key."""
    commands = house_of(request).runtime.commands
    before = None if now is None else unchanged(request, now)
    after = None if answer is None else kept(request, status, answer)
    return commands if before is None and after is None else commands.bound(before=before, after=after)


def tags_of(said: str) -> list[str]:
    """The entity tags in a header. What is none is passed over."""
    return _TAG.findall(said[:_LONGEST])
