"""What every REST request goes through: token, faults, rate limits, body, handler, refusals."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Iterable
from typing import Any

from aiohttp import BodyPartReader, hdrs, web

from bot.localguild.drafts import Upload
from bot.localguild.errors import ApiError, method_not_allowed, not_found, refusal, unauthorized
from bot.localguild.exchange import Exchange, OnExchange
from bot.localguild.faults import Fault, FaultKind
from bot.localguild.ratelimits import RateVerdict
from bot.localguild.rest import applications, channels, guilds, interactions, messages, users
from bot.localguild.rest.call import Call, Route
from bot.localguild.world import World

log = logging.getLogger(__name__)

PREFIX = "/api/v10"
ROUTES: tuple[Route, ...] = (
    *users.ROUTES,
    *channels.ROUTES,
    *messages.ROUTES,
    *guilds.ROUTES,
    *applications.ROUTES,
    *interactions.ROUTES,
)
_MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token", "interaction_id", "interaction_token")


class RestService:
    """The REST side of the server; `on_exchange` sees every exchange after it is answered."""

    def __init__(self, world: World, on_exchange: OnExchange | None = None) -> None:
        self._world = world
        self._on_exchange = on_exchange

    def routes(self) -> Iterable[web.RouteDef]:
        by_template: dict[str, dict[str, Route]] = {}
        for route in ROUTES:
            by_template.setdefault(route.template, {})[route.method] = route
        # fixed segments (@me, @original, bulk-delete) must win over placeholders
        for template in sorted(by_template, key=lambda one: one.count("{")):
            path = PREFIX + template
            yield web.route("*", path, self._handler(template, by_template[template]))
        yield web.route("*", PREFIX + "/{tail:.*}", self._handler(None, {}))

    def _handler(self, template: str | None, methods: dict[str, Route]) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, template, methods.get(request.method))

        return handle

    async def _serve(
        self, request: web.Request, template: str | None, route: Route | None
    ) -> web.StreamResponse:
        fault = self._world.faults.take(request.method, template or request.path)
        verdict = self._world.rates.take(request.method, template or "unknown", _major(request))
        body: Any = None
        uploads: tuple[Upload, ...] = ()
        try:
            body, uploads = await _read_body(request)
            if route is None:
                raise method_not_allowed() if template else not_found()
            self._check_token(request, route)
            _check_rate(verdict)
            if fault is not None:
                await self._fail_before(request, fault)
            call = Call(
                world=self._world,
                params=request.match_info,
                query=request.query,
                body=body,
                uploads=uploads,
            )
            answer = await route.handler(call)
            response = _respond(answer.status, answer.body, verdict)
            if fault is not None and fault.kind is FaultKind.ANSWER_LOST:
                response = _respond(
                    fault.status, {"message": "500: Internal Server Error", "code": 0}, verdict
                )
        except ApiError as error:
            response = _respond(error.status, error.body(), verdict)
            response.headers.update(error.headers)
        except _EdgeAnswer as edge:
            response = edge.response
        except Exception:
            incident = secrets.token_hex(4)
            log.exception("local guild: %s %s failed, incident %s", request.method, request.path, incident)
            response = _respond(
                500, {"message": f"500: Internal Server Error ({incident})", "code": 0}, verdict
            )
        self._record(request, template, body, uploads, response, fault)
        return response

    def _check_token(self, request: web.Request, route: Route) -> None:
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        expected = f"Bot {self._world.token}"
        if not route.open and not secrets.compare_digest(given.encode(), expected.encode()):
            raise unauthorized()

    async def _fail_before(self, request: web.Request, fault: Fault) -> None:
        match fault.kind:
            case FaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
            case FaultKind.RATE_LIMITED:
                scope = "global" if fault.is_global else "user"
                raise _rate_limited(fault.seconds, is_global=fault.is_global, scope=scope)
            case FaultKind.BANNED:
                page = web.Response(
                    status=429, text="<html>Access denied | error 1015</html>", content_type="text/html"
                )
                raise _EdgeAnswer(page)
            case FaultKind.SERVER_ERROR:
                if fault.status == 502:
                    page = web.Response(
                        status=502, text="<html>502: Bad Gateway</html>", content_type="text/html"
                    )
                    raise _EdgeAnswer(page)
                raise ApiError(fault.status, 0, f"{fault.status}: Internal Server Error")
            case FaultKind.REFUSED:
                raise refusal(fault.code)
            case FaultKind.HANG_UP:
                if request.transport is not None:
                    request.transport.close()
                raise ApiError(500, 0, "never sent: the connection was cut")
            case FaultKind.ANSWER_LOST:
                pass

    def _record(
        self,
        request: web.Request,
        template: str | None,
        body: Any,
        uploads: tuple[Upload, ...],
        response: web.Response,
        fault: Fault | None,
    ) -> None:
        if self._on_exchange is None:
            return
        text = response.text
        is_json = response.content_type == "application/json"
        self._on_exchange(
            Exchange(
                method=request.method,
                template=template,
                path=request.path.removeprefix(PREFIX),
                path_params=dict(request.match_info),
                query=dict(request.query),
                content_type=request.content_type,
                request_body=body,
                files=tuple(one.filename for one in uploads),
                status=response.status,
                response_headers=dict(response.headers),
                response_body=json.loads(text) if text and is_json else text,
                fault=None if fault is None else str(fault.kind),
            )
        )


class _EdgeAnswer(Exception):
    """An answer of the servers in front of Discord, which know nothing of the API."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def _major(request: web.Request) -> str:
    return "+".join(request.match_info[one] for one in _MAJOR if one in request.match_info)


def _check_rate(verdict: RateVerdict) -> None:
    if verdict.retry_after_seconds is not None:
        raise _rate_limited(verdict.retry_after_seconds, is_global=verdict.is_global, scope=verdict.scope)


def _rate_limited(seconds: float, *, is_global: bool, scope: str) -> ApiError:
    # Without the Via header clients take a 429 for a ban by the edge, and give up.
    return ApiError(
        429,
        0,
        "You are being rate limited.",
        headers={"Retry-After": str(int(seconds) + 1), "Via": "1.1 google", "X-RateLimit-Scope": scope},
        extra={"retry_after": seconds, "global": is_global},
    )


def _respond(status: int, body: Any, verdict: RateVerdict) -> web.Response:
    headers = dict(verdict.headers)
    if status == 204:
        return web.Response(status=204, headers=headers)
    # exactly this content type: with a charset, discord.py takes the body for text
    headers[hdrs.CONTENT_TYPE] = "application/json"
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)


async def _read_body(request: web.Request) -> tuple[Any, tuple[Upload, ...]]:
    if not request.can_read_body:
        return None, ()
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    raw = await request.read()
    return (_parse(raw) if raw else None), ()


def _parse(raw: bytes | bytearray) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise refusal(50109) from None


async def _read_multipart(request: web.Request) -> tuple[Any, tuple[Upload, ...]]:
    body: Any = None
    uploads: list[Upload] = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        content = bytes(await part.read(decode=True))
        name = part.name or ""
        if name == "payload_json":
            body = _parse(content)
        elif name.startswith("files[") and name.endswith("]") and name[6:-1].isdigit():
            kind = part.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
            filename = part.filename or f"file{len(uploads)}"
            uploads.append(
                Upload(index=int(name[6:-1]), filename=filename, content=content, content_type=kind)
            )
    return body if body is not None else {}, tuple(uploads)
