"""Stands before the whole application: hosts, origins, sizes, rates; the headers of every answer.

It is the outermost layer, so what is added to the application later is behind it, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.web.body import Gone, Unfit, busy, drain, read_body, replay
from bot.web.problem import Problem, fault, problem_of
from bot.web.site import SAFE_METHODS, Request, Site
from bot.web.sockets import refuse_socket
from core.clock import Clock
from core.ids import new_id
from core.security.rate_limit import RateLimits, TooManyTries

log = logging.getLogger(__name__)

# No script at all; forms come back here alone; nobody may frame a page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with it browsers say "Origin: null" for forms (Fetch, "append a request Origin").
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_STRICT_TRANSPORT = "max-age=31536000"
STATIC = "/static/"
_UNCOUNTED = (STATIC, "/_nicegui/")  # a page asks for many of these at once; they come out of memory
MAX_HEAD = 32 * 1024  # bytes of a request's first line and headers
_SMALL_BODY = 64 * 1024  # bytes
_LARGE_AT_ONCE = 16  # bodies that may be larger


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPath:
    """Where other programs post what they sign: no page of a stranger can, so none is asked where it comes
    from. Bounds of its own; `setting` names that of the body. Of large bodies few are held at once, since
    whose they are is known only when they are there."""

    max_body: int
    setting: str
    calls: RateLimits
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LARGE_AT_ONCE))

    @asynccontextmanager
    async def room(self, scope: Scope, seconds: float) -> AsyncIterator[None]:
        """For a request's body, while it is read and answered. Raises Unfit."""
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= _SMALL_BODY:
            yield
            return
        try:
            async with asyncio.timeout(seconds):
                await self.large.acquire()
        except TimeoutError:
            raise Unfit(busy()) from None
        try:
            yield
        finally:
            self.large.release()


class Guard:
    def __init__(
        self,
        app: ASGIApp,
        *,
        site: Site,
        clock: Clock,
        calls: RateLimits,
        max_body: int,
        request_seconds: float,
        signed: Mapping[str, SignedPath] | None = None,
    ) -> None:
        self._app = app
        self._site = site
        self._clock = clock
        self._calls = calls
        self._max_body = max_body
        self._request_seconds = request_seconds
        self._signed = signed or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = request_of(scope)
        scope.setdefault("state", {})
        scope["state"] |= {"asked": asked, "client": self._site.client_of(asked), "cookies": []}
        answer = _Answer(self._site, scope, receive, send)
        try:
            if (refused := self._refused(scope, asked)) is not None:
                if scope["type"] == "websocket":
                    await refuse_socket(refused, send)
                else:
                    await answer.refuse(refused)
            elif scope["type"] == "websocket":
                await self._app(scope, receive, send)
            elif (path := self._signed_path(scope, asked)) is not None:
                async with path.room(scope, self._request_seconds):
                    body = await read_body(
                        scope,
                        receive,
                        most=path.max_body,
                        seconds=self._request_seconds,
                        setting=path.setting,
                    )
                    await self._app(scope, replay(body, receive), answer.send)
            else:
                body = await read_body(scope, receive, most=self._max_body, seconds=self._request_seconds)
                await self._app(scope, replay(body, receive), answer.send)
        except Unfit as error:
            await answer.refuse(error.problem)
        except Gone:
            pass
        except Exception:
            if answer.started and scope["type"] == "http":  # the application has told it, and logged it
                return
            number = new_id("fault")
            log.exception("%s: %s %r failed", number, asked.method, scope["path"][:200])
            await answer.refuse(fault(number), unread=False)

    def _refused(self, scope: Scope, asked: Request) -> Problem | None:
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if size + len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_HEAD:
            return _foreign(
                431, "The request's head is too large.", f"At most {MAX_HEAD} bytes are taken.", ""
            )
        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts != 1 or not self._site.knows_host(asked):
            return _foreign(
                421 if hosts == 1 else 400,
                "Orchard is not served under this name.",
                "The request's Host is none of its own.",
                "Open it as it is printed at the start, or name the host in web.trusted_hosts.",
            )
        if (path := self._signed_path(scope, asked)) is not None:
            return _called(path.calls, scope["state"]["client"], self._clock.monotonic())
        changes = asked.is_websocket or asked.method not in SAFE_METHODS
        if not (self._site.may_change(asked) if changes else self._site.may_read(asked)):
            return _foreign(
                403,
                "The request comes from another site.",
                "Its Origin is not Orchard's, or it says none.",
                "Use Orchard's own pages, or a token in the header Authorization.",
            )
        if not scope["path"].startswith(_UNCOUNTED):
            return _called(self._calls, scope["state"]["client"], self._clock.monotonic())
        return None

    def _signed_path(self, scope: Scope, asked: Request) -> SignedPath | None:
        if asked.is_websocket or asked.method != "POST":
            return None
        return self._signed.get(scope["path"])


def client_key(client: str) -> str:
    """Of an address, in what counts calls."""
    return f"client:{client}"


def _called(calls: RateLimits, client: str, now: float) -> Problem | None:
    try:
        calls.call(client_key(client), now)
    except TooManyTries as error:
        return problem_of(error)
    return None


def request_of(scope: Scope) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    local, peer = scope.get("server") or ("", 0), scope.get("client") or ("", 0)
    return Request(
        method=scope.get("method", "GET"),
        headers=headers,
        local=str(local[0]),
        port=int(local[1] or 0),
        peer=str(peer[0]),
        is_websocket=scope["type"] == "websocket" or headers.get("upgrade", "").lower() == "websocket",
    )


class _Answer:
    """Of one request; adds the headers that every answer has."""

    def __init__(self, site: Site, scope: Scope, receive: Receive, send: Send) -> None:
        self._site = site
        self._scope = scope
        self._receive = receive
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": self._headers(message.get("headers", []))}
        await self._send(message)

    def _headers(self, said: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in said}
        added = dict(_HEADERS)
        if self._site.secure:
            added["strict-transport-security"] = _STRICT_TRANSPORT
        added["cache-control"] = "no-store"
        headers = list(said)
        headers += [(n.encode(), v.encode()) for n, v in added.items() if n.encode() not in names]
        headers += [(b"set-cookie", cookie.encode()) for cookie in self._scope["state"]["cookies"]]
        return headers

    async def refuse(self, problem: Problem, *, unread: bool = True) -> None:
        """`unread`: the request's body is not read, or not to its end."""
        if self.started:
            return
        if self._scope["type"] == "websocket":
            await self._send({"type": "websocket.close", "code": 1008, "reason": problem.slug})
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(problem.body))]
        headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": problem.body, "more_body": unread})
        if unread:  # the client has its whole answer, whose length it knows; then the connection is closed
            await drain(self._scope, self._receive)
            await self._send({"type": "http.response.body"})


def _foreign(status: int, message: str, why: str, hint: str) -> Problem:
    return Problem(
        status=status,
        slug="foreign_request",
        message=message,
        why=why,
        hint=hint,
        headers={"Connection": "close"},
    )
