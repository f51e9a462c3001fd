"""Idempotency-Key: a POST that is repeated under its key is answered again, not done again.

The key is taken before anything is done. What came of it is kept in the very transaction that made it true,
where a route says how it is answered (`Once.after`), so that not even a crash between the two loses it; every
other answer is kept when it is made. A request that was refused leaves its key free.

Digests and answers are made with a key of Orchard's own: a request may hold a password, an answer a token.
"""

from __future__ import annotations

import hmac
import json
import re
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bot.web.problem import KeyReused, StillAnswering
from core.errors import InvalidInput
from core.security.keys import Key, Purpose
from core.security.sealing import Unsealable
from core.security.second_factor import KeySeal
from core.store import answers
from core.store.bound import After
from core.store.database import Store, Transaction

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT_HEADERS = ("content-type", "location", "etag")


class Replay(Exception):
    """Not an error: the request was answered before, by this."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


@dataclass(slots=True)
class Once:
    """Of one request. `left`: a crash ended the first try of it, and what came of that is not known."""

    keeper: OnceKeeper
    who: str
    key: str
    left: bool

    def after(
        self,
        status: int,
        answer: Callable[[sqlite3.Connection, Any], object | None],
        write: Callable[[object], bytes],
    ) -> After:
        """For a bound store: keeps the answer in its transaction; None: there is none to keep."""

        def keep(tx: Transaction, value: Any) -> None:
            made = answer(tx.conn, value)
            if made is not None:
                headers = {"content-type": "application/json"}
                self.keeper.keep(tx, self, status, headers, write(made))

        return keep


@dataclass(slots=True)
class OnceKeeper:
    store: Store
    key: Key
    under_way: set[tuple[str, str]] = field(default_factory=set)

    async def begin(self, request: Request, who: str) -> Once:
        """Raises Replay where it was answered before, KeyReused, StillAnswering, InvalidInput."""
        key = request.headers[HEADER]
        if len(request.headers.getlist(HEADER)) != 1 or not _KEY.fullmatch(key):
            raise InvalidInput(
                "This is no Idempotency-Key.",
                hint="One of 1 to 255 visible ASCII characters, such as a UUID.",
            )
        if (who, key) in self.under_way:
            raise StillAnswering(
                "A request with this Idempotency-Key is being answered.", hint="Ask again in a moment."
            )
        self.under_way.add((who, key))
        try:
            digest = await self._digest(request)
            found = await self.store.write(lambda tx: answers.take(tx, who, key, digest))
            if found is not None:
                self._known(found, digest, who, key)
        except BaseException:
            self.under_way.discard((who, key))
            raise
        return Once(keeper=self, who=who, key=key, left=found is not None)

    def _known(self, found: answers.Answer, digest: str, who: str, key: str) -> None:
        """Raises Replay, KeyReused; returns for one that a crash left."""
        if not hmac.compare_digest(found.request, digest):
            raise KeyReused(
                "This Idempotency-Key was used for another request.",
                why="Its path or its body was another.",
                hint="Draw a new key for each request; repeat one only as it was.",
            )
        if found.status is not None:
            raise Replay(self._response(found.status, found.body, who, key))

    async def done(self, once: Once, response: Response) -> None:
        """It is answered, with success: the same again from now on."""
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        body = bytes(response.body)
        try:
            await self.store.write(lambda tx: self.keep(tx, once, response.status_code, headers, body))
        finally:
            self.under_way.discard((once.who, once.key))

    async def failed(self, once: Once) -> None:
        try:
            await self.store.write(lambda tx: answers.forget(tx, once.who, once.key))
        finally:
            self.under_way.discard((once.who, once.key))

    def keep(self, tx: Transaction, once: Once, status: int, headers: Mapping[str, str], body: bytes) -> None:
        text = json.dumps([dict(headers), body.decode()])
        sealed = self._seal.seal(text, _place(once.who, once.key))
        answers.keep(tx, once.who, once.key, status, b64encode(sealed).decode())

    def _response(self, status: int, sealed: str, who: str, key: str) -> Response:
        try:
            headers, body = json.loads(self._seal.unseal(b64decode(sealed), _place(who, key)))
        except (Unsealable, ValueError):
            raise StillAnswering(
                "This request was answered; the answer cannot be read any more.",
                why="Orchard's key was changed since, or the row was.",
                hint="Look what came of it before you ask with a new key.",
            ) from None
        return Response(body.encode(), status_code=status, headers={**headers, REPLAYED: "true"})

    @property
    def _seal(self) -> KeySeal:
        return KeySeal(self.key.derived(Purpose.ANSWERS))

    async def _digest(self, request: Request) -> str:
        line = f"{request.method} {request.url.path}?{request.url.query}\n"
        made = hmac.new(self.key.derived(Purpose.ANSWERS), line.encode(), "sha256")
        made.update(await request.body())
        return made.hexdigest()


def once_of(request: Request) -> Once | None:
    """None: the request has no key."""
    found: Once | None = getattr(request.state, "once", None)
    return found


def _place(who: str, key: str) -> str:
    return f"answer\n{who}\n{key}"
