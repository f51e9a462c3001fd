"""The scripted model server on loopback: four wire formats, one brain."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from aiohttp import web

from tests.model_server.conversation import (
    Answer,
    Asked,
    Call,
    Place,
    Usage,
    count_tokens,
    fill,
    find_place,
    measure,
)
from tests.model_server.script import (
    ALWAYS,
    Book,
    Fault,
    Malformed,
    ScriptError,
    Step,
    WrongUsage,
    parse_fault,
)
from tests.model_server.seen import Outcome, Seen, SeenCall
from tests.model_server.tools import NoToolOffered, translate
from tests.model_server.wires.anthropic import Anthropic
from tests.model_server.wires.chat import Chat
from tests.model_server.wires.gemini import Gemini
from tests.model_server.wires.responses import Responses
from tests.model_server.wires.wire import RequestError, Wire, arguments_text

BODY_LIMIT = 64 << 20  # bytes of one request
SIDE_ANSWER = "A short summary"  # for titles and the like, which offer no tools


@dataclass(kw_only=True, slots=True)
class _Queued:
    """A fault that a test asked for while the server runs; `key` None is for any."""

    fault: Fault
    left: int
    key: str | None = None


@dataclass(kw_only=True, slots=True)
class ModelServer:
    """Use as `async with ModelServer(book=...) as server: server.url`; stops answering when left."""

    book: Book = field(default_factory=Book)
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one; the one in use once started
    seen: Seen = field(default_factory=Seen)
    _queued: list[_Queued] = field(default_factory=list)
    _failed: Counter[str] = field(default_factory=Counter)
    _runner: web.AppRunner | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end; OpenAI clients add `/v1`."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> ModelServer:
        app = web.Application(client_max_size=BODY_LIMIT)
        for prefix in ("", "/v1"):
            app.router.add_post(f"{prefix}/messages", self._post(Anthropic()))
            app.router.add_post(f"{prefix}/responses", self._post(Responses()))
            app.router.add_post(f"{prefix}/chat/completions", self._post(Chat()))
            app.router.add_get(f"{prefix}/models", self._models)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        for version in ("v1", "v1beta"):
            app.router.add_post(f"/{version}/models/{{call:.+}}", self._gemini)
        app.router.add_get("/_seen", self._show_seen)
        app.router.add_post("/_faults", self._take_faults)
        app.router.add_post("/_reset", self._reset)
        app.router.add_get("/", self._alive)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, backlog=2048)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    def fail_next(self, fault: Fault, *, key: str | None = None) -> None:
        """The next `fault.times` calls (of that key) meet this fault before what their script says."""
        self._queued.append(_Queued(fault=fault, left=fault.times, key=key))

    async def until(self, holds: Callable[[Seen], bool]) -> None:
        """Waits until something holds of what was seen; looked at when a call comes or ends."""
        while not holds(self.seen):
            self._changed.clear()
            await self._changed.wait()

    def forget(self) -> None:
        """Empties what was seen, the queued faults and the count of faults met."""
        self.seen.calls.clear()
        self._queued.clear()
        self._failed.clear()

    # What is asked beside the model's own calls

    async def _alive(self, request: web.Request) -> web.Response:
        return web.json_response({"scripted": True})

    async def _models(self, request: web.Request) -> web.Response:
        rows = [{"id": name, "object": "model", "type": "model"} for name in self.book.models]
        return web.json_response({"object": "list", "data": rows, "has_more": False})

    async def _count(self, request: web.Request) -> web.Response:
        asked = Anthropic().read(await request.json(), "", False)
        return web.json_response({"input_tokens": max(count_tokens(asked.everything), 1)})

    async def _show_seen(self, request: web.Request) -> web.Response:
        return web.json_response(self.seen.as_json())

    async def _take_faults(self, request: web.Request) -> web.Response:
        """A list of faults as in a script, each with an optional `key`."""
        try:
            rows = [dict(row) for row in await request.json()]
            keys = [row.pop("key", None) for row in rows]
            faults = [parse_fault(row, f"fault {n}") for n, row in enumerate(rows, start=1)]
        except (ValueError, TypeError) as error:
            return web.json_response({"error": f"a list of faults is needed: {error}"}, status=400)
        for fault, key in zip(faults, keys, strict=True):
            self.fail_next(fault, key=key)
        return web.json_response({"queued": len(faults)})

    async def _reset(self, request: web.Request) -> web.Response:
        self.forget()
        return web.json_response({"count": 0})

    # The model's calls

    def _post(self, wire: Wire) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, wire, "", stream=False)

        return handle

    async def _gemini(self, request: web.Request) -> web.StreamResponse:
        model, _, verb = request.match_info["call"].rpartition(":")
        wire = Gemini()
        if verb == "countTokens":
            asked = wire.read(await request.json(), model, False)
            return web.json_response({"totalTokens": max(count_tokens(asked.everything), 1)})
        if verb not in ("generateContent", "streamGenerateContent"):
            return web.json_response(wire.error(404, f"unknown method {verb!r}"), status=404)
        return await self._answer(request, wire, model, stream=verb == "streamGenerateContent")

    async def _answer(
        self, request: web.Request, wire: Wire, model: str, *, stream: bool
    ) -> web.StreamResponse:
        call = SeenCall(
            number=len(self.seen.calls) + 1,
            wire=wire.name,
            model=model,
            key=key_of(request),
            stream=stream,
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        self.seen.calls.append(call)
        self._changed.set()
        try:
            return await self._answered(request, wire, call)
        except (asyncio.CancelledError, ConnectionError):
            if call.outcome in (Outcome.OPEN, Outcome.ANSWERED):
                call.outcome, call.told = Outcome.CLIENT_GONE, False
            raise
        finally:
            self._changed.set()

    async def _answered(self, request: web.Request, wire: Wire, call: SeenCall) -> web.StreamResponse:
        if self.book.keys and call.key not in self.book.keys:
            return self._refuse(wire, call, Fault(status=401, message="invalid x-api-key or bearer"))
        try:
            body = json.loads(await request.read())
            if not isinstance(body, dict):
                raise RequestError("the body must be a JSON object")
            call.body = body
            asked = wire.read(body, call.model, call.stream)
            call.model, call.stream = asked.model, asked.stream
            place = find_place(asked, self.book)
        except (RequestError, ScriptError, ValueError) as error:
            call.complaint = str(error)
            return self._refuse(wire, call, Fault(status=400, message=str(error)))
        place = _for_side_call(asked, place)
        fault = self._due_fault(call, place)
        if fault.first_byte_seconds:
            await asyncio.sleep(fault.first_byte_seconds)
        if fault.drop:
            call.outcome = Outcome.BROKEN
            return _broken(request)
        if fault.hang_after == 0:
            await asyncio.Event().wait()
        if fault.status is not None:
            return self._refuse(wire, call, fault)
        answer = self._compose(asked, wire, call, place, fault)
        call.status = 200
        if fault.malformed is Malformed.NOT_SSE:
            call.outcome = Outcome.BROKEN
            return web.Response(text="<html><body>Bad gateway</body></html>", content_type="text/html")
        if asked.stream:
            return await self._stream(request, wire, call, answer, fault)
        return await self._whole(request, wire, call, answer, fault)

    def _due_fault(self, call: SeenCall, place: Place | None) -> Fault:
        """The fault this call meets: a queued one first, then those of its step, each for its times."""
        for queued in self._queued:
            if queued.key in (None, call.key) and queued.left != 0:
                queued.left -= 1 if queued.left != ALWAYS else 0
                return queued.fault
        if place:
            met = f"{call.key}\0{place.identity}"
            before = 0
            for fault in place.step.faults:
                before += fault.times
                if fault.times == ALWAYS or self._failed[met] < before:
                    self._failed[met] += 1
                    return fault
        return Fault()

    def _refuse(self, wire: Wire, call: SeenCall, fault: Fault) -> web.Response:
        status = fault.status or 500
        call.status, call.outcome = status, Outcome.REFUSED
        headers = {"retry-after": f"{fault.retry_after:g}"} if fault.retry_after is not None else {}
        headers |= fault.headers
        body = wire.error(status, fault.message or f"scripted {status}")
        return web.json_response(body, status=status, headers=headers)

    def _compose(self, asked: Asked, wire: Wire, call: SeenCall, place: Place | None, fault: Fault) -> Answer:
        step = place.step if place else Step(text=SIDE_ANSWER)
        text, calls = step.text, []
        if asked.schema is not None:
            step, text = Step(), json.dumps(fill(asked.schema))
        elif place:
            call.step = place.index
            for number, action in enumerate(step.actions):
                try:
                    tool, arguments = translate(action, asked)
                except NoToolOffered as error:
                    call.complaint = text = str(error)
                    break
                if tool.freeform and not isinstance(arguments, str):
                    arguments = str(arguments.get("input", arguments_text(arguments)))
                # The turn stands in the id, so that parallel calls answered one by one count as one turn.
                name = f"call_{place.identity}s{place.index}_{number}"
                calls.append(Call(id=name, name=tool.name, arguments=arguments))
        used = measure(asked, text, tuple(calls), step, writes_cache=wire.writes_cache)
        call.used, call.tools = used, tuple(item.name for item in calls)
        call.wrong = fault.usage
        return Answer(
            id=f"scripted{call.number}",
            model=asked.model,
            text=text,
            calls=tuple(calls),
            usage=used,
            created=int(time.time()),
            tell_usage=asked.include_usage,
            wrong=fault.usage,
        )

    async def _whole(
        self, request: web.Request, wire: Wire, call: SeenCall, answer: Answer, fault: Fault
    ) -> web.StreamResponse:
        body = json.dumps(wire.whole(answer)).encode()
        response = web.StreamResponse(headers={"content-type": "application/json"})
        response.content_length = len(body)
        await response.prepare(request)
        if fault.malformed or fault.cut_after is not None or fault.error_after is not None:
            call.outcome = Outcome.BROKEN
            await response.write(body[: len(body) // 2])
            return _broken(request, response)
        if fault.hang_after is not None:
            await response.write(body[: len(body) // 2])
            await asyncio.Event().wait()
        # Before the last byte: who has read the answer may compare at once.
        _finished(call, _in_whole(answer))
        await response.write(body)
        await response.write_eof()
        return response

    async def _stream(
        self, request: web.Request, wire: Wire, call: SeenCall, answer: Answer, fault: Fault
    ) -> web.StreamResponse:
        if isinstance(wire, Gemini) and request.query.get("alt") != "sse":
            return await self._whole_list(request, wire, call, answer, fault)
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        )
        await response.prepare(request)
        if fault.malformed is Malformed.HUGE_LINE:
            await response.write(b": " + b"x" * (2 << 20) + b"\n\n")
        events = spoiled(wire.events(answer), fault.malformed)
        last = len(events) - 1
        for number, event in enumerate(events):
            call.told_so_far = wire.told_after(answer, number)
            if _due(fault.hang_after, number, last):
                await asyncio.Event().wait()
            if _due(fault.cut_after, number, last):
                call.outcome = Outcome.BROKEN
                # Half an event, as a broken connection leaves it.
                await response.write(event[: len(event) // 2])
                return _broken(request, response)
            if _due(fault.error_after, number, last):
                call.outcome = Outcome.BROKEN
                await response.write(wire.error_event(529, fault.message or "Overloaded"))
                await response.write_eof()
                return response
            if number == last:
                # An event without its blank line is none (the HTML standard's rule for event streams).
                readable = last if fault.malformed is Malformed.UNFINISHED else last + 1
                _finished(call, wire.told_after(answer, readable))
            elif fault.event_seconds:
                await asyncio.sleep(fault.event_seconds)
            await response.write(event)
        await response.write_eof()
        return response

    async def _whole_list(
        self, request: web.Request, wire: Wire, call: SeenCall, answer: Answer, fault: Fault
    ) -> web.StreamResponse:
        """Gemini without `alt=sse` sends its chunks as one JSON list."""
        chunks = [json.loads(event.removeprefix(b"data: ")) for event in wire.events(answer)]
        _finished(call, _in_whole(answer))
        return web.json_response(chunks)


def key_of(request: web.Request) -> str:
    """The key of a request, wherever its provider's clients put it; empty when there is none."""
    bearer = request.headers.get("authorization", "")
    if bearer.lower().startswith("bearer "):
        return bearer[7:].strip()
    for header in ("x-api-key", "x-goog-api-key", "api-key"):
        if value := request.headers.get(header):
            return value
    return request.query.get("key", "")


def spoiled(events: list[bytes], malformed: Malformed | None) -> list[bytes]:
    """The events with one of them made unreadable; the middle one, so that good ones stand around it."""
    middle = len(events) // 2
    if malformed is Malformed.JSON:
        events[middle] = events[middle].rstrip(b"\n")[:-4] + b"\n\n"
    elif malformed is Malformed.UTF8:
        events[middle] = events[middle].replace(b"data: {", b'data: {"\xff\xfe":1,', 1)
    elif malformed is Malformed.UNFINISHED:
        events[-1] = events[-1].rstrip(b"\n")
    return events


def _for_side_call(asked: Asked, place: Place | None) -> Place | None:
    """No place in a script of tool calls for a call without tools: a title must not run it a second time."""
    if asked.schema is not None or (place and place.script.uses_tools and not asked.tools):
        return None
    return place


def _due(after: int | None, number: int, last: int) -> bool:
    """Whether a break is due before event `number`; one beyond the end comes before the last event."""
    return after is not None and number == min(after, last)


def _in_whole(answer: Answer) -> Usage:
    return Usage() if answer.wrong is WrongUsage.MISSING else answer.usage


def _finished(call: SeenCall, told: Usage) -> None:
    call.outcome, call.told_so_far, call.told = Outcome.ANSWERED, told, told == call.used


def _broken(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    """Closes the connection under the answer, after what was written has left."""
    if request.transport:
        with suppress(OSError):
            request.transport.close()
    return response or web.Response(status=500)
