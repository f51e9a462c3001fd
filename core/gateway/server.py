"""Takes agents' calls, and passes them on with the real key and back as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from core.gateway.admission import Admission
from core.gateway.answer import Answer, AnswerReader
from core.gateway.calls import Ending
from core.gateway.chat import asking_for_usage
from core.gateway.complaint import Complained, Complaint, key_refused, no_books, too_long
from core.gateway.contract import Provider, Times
from core.gateway.journal import JournalWriter
from core.gateway.metering import Meter, Prices, model_in
from core.gateway.passing import Together, ahead_of, complaining, limited, passed_on
from core.gateway.refusal import RefusalKind, refusal_amid, refusal_of
from core.gateway.runs import Run, Runs
from core.gateway.upstream import NotReached, Unpacked, Upstream
from core.gateway.wire import (
    READERS,
    Route,
    WireFormat,
    lists_models,
    placeholder_of,
    route_of,
    with_key,
    without_key,
)

MOST_BODY = 32 << 20
_MOST_BODIES = 512 << 20  # of all requests that are being read
_MOST_REFUSAL = 1 << 20
_MOST_PLAIN = 16 << 20
_OWN_PATH = "/_orchard/run"


class Server:
    """`handle` answers one request; it never raises but for a client that has gone."""

    def __init__(
        self,
        runs: Runs,
        admission: Admission,
        upstream: Upstream,
        journal: JournalWriter,
        prices: Prices,
        providers: Mapping[str, Provider],
        times: Times,
    ) -> None:
        self._runs = runs
        self._admission = admission
        self._upstream = upstream
        self._journal = journal
        self._prices = prices
        self._providers = providers
        self._times = times
        self._bodies = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        path, _, query = target.partition("?")
        name, slash, rest = path.removeprefix("/").partition("/")
        path = slash + rest
        provider = self._providers.get(name)
        route = route_of(request.method, path)
        speaks = route.format if route else provider.speaks if provider else WireFormat.CHAT
        try:
            run = self._runs.of_token(placeholder_of(request.headers.items(), query))
            if run is None:
                raise Complained(
                    Complaint(
                        status=401,
                        message="This is no token of a run of Orchard, or its run has ended.",
                    )
                )
            if provider is None or run.start.provider != name:
                raise Complained(
                    Complaint(
                        status=403, message=f"This run may ask {run.start.provider}, not {name[:80]!r}."
                    )
                )
            if request.method == "GET" and path == _OWN_PATH:
                return web.json_response(run.facts(asyncio.get_running_loop().time()))
            if route is None and not lists_models(request.method, path):
                raise Complained(
                    Complaint(
                        status=404,
                        message=f"Orchard's gateway does not pass on {request.method} {path[:200]!r}.",
                    )
                )
            return await self._within(request, run, provider, route, speaks, path, without_key(query))
        except Complained as stopped:
            return complaining(stopped.complaint, speaks)

    async def _within(
        self,
        request: web.BaseRequest,
        run: Run,
        provider: Provider,
        route: Route | None,
        speaks: WireFormat,
        path: str,
        query: str,
    ) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        run.tasks.add(task)
        try:
            call = _Forward(request, provider, speaks, path, query)
            if route is None or not route.metered:
                body = await self._body(request)
                return await self._plain(call, body)
            return await self._metered(call, run, route)
        except Complained as stopped:
            run.refused(stopped.complaint.message, stopped.refusal)
            raise
        finally:
            run.tasks.discard(task)

    async def _body(self, request: web.BaseRequest) -> bytes:
        """Raises Complained for one that is too long, or does not come."""
        if (request.content_length or 0) > MOST_BODY:
            raise Complained(too_long(MOST_BODY))
        parts: list[bytes] = []
        size = 0
        if request.headers.get("expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        try:
            async with asyncio.timeout(self._times.request):
                while piece := await request.content.readany():
                    size += len(piece)
                    self._bodies += len(piece)
                    if size > MOST_BODY:
                        raise Complained(too_long(MOST_BODY))
                    if self._bodies > _MOST_BODIES:
                        raise Complained(
                            Complaint(
                                status=503,
                                message="Too many long requests come to Orchard's gateway at once.",
                                retry_after=2,
                            )
                        )
                    parts.append(piece)
        except TimeoutError:
            raise Complained(
                Complaint(status=408, message="The request did not come in time.", retry_after=1)
            ) from None
        finally:
            self._bodies -= size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _plain(self, call: _Forward, body: bytes) -> web.StreamResponse:
        """What costs nothing: counting tokens, listing models."""
        answer = await self._upstream.send(
            call.provider, call.request.method, call.path, call.query, call.headers(), body or None
        )
        whole = await limited(answer, self._times.idle, _MOST_PLAIN)
        if answer.status in (401, 403):
            return complaining(key_refused(call.provider.name), call.speaks)
        return web.Response(status=answer.status, headers=passed_on(answer), body=whole)

    async def _metered(self, call: _Forward, run: Run, route: Route) -> web.StreamResponse:
        body = await self._body(call.request)
        received = asyncio.get_running_loop().time()
        if route.format is WireFormat.CHAT:
            if call.request.headers.get("content-encoding", "identity").lower() != "identity":
                raise Complained(
                    Complaint(status=415, message="Orchard's gateway takes such requests unpacked only.")
                )
            body = asking_for_usage(body)
        model = model_in(body, route)
        meter = Meter(run, call.provider.name, route, model, self._prices, self._journal)
        flow = _Flow(meter)
        run.calls += 1
        self._runs.calls += 1
        try:
            estimate = self._prices.estimate(body, model)
            waited = await self._admission.enter(run, call.provider, meter.call.call_id, estimate)
            try:
                meter.begin()
            except OSError as error:
                raise Complained(no_books(error)) from error
            sent = asyncio.get_running_loop().time()
            flow.before = sent - received - waited
            answer = await self._upstream.send(
                call.provider, "POST", call.path, call.query, call.headers(), body
            )
            del body
            try:
                if answer.status >= 300:
                    return await self._refused(call, run, flow, answer, sent)
                self._admission.accepted(call.provider, sent)
                return await self._stream(call, run, flow, answer, route, sent)
            finally:
                answer.release() if flow.whole else answer.close()
        except NotReached:
            flow.ending = Ending.FAILED
            raise
        finally:
            took = meter.end(flow.reader.end() if flow.reader else None, flow.ending)
            self._admission.leave(meter.call.call_id, took)
            if flow.added is not None:
                self._runs.added.append(flow.added)

    async def _refused(
        self, call: _Forward, run: Run, flow: _Flow, answer: aiohttp.ClientResponse, sent: float
    ) -> web.StreamResponse:
        flow.ending = Ending.FAILED
        body = await limited(answer, self._times.idle, _MOST_REFUSAL)
        flow.whole = True
        plain = Unpacked(answer.headers.get("content-encoding", ""))(body)
        refusal = refusal_of(call.speaks, answer.status, answer.headers, plain, datetime.now(UTC))
        told = key_refused(call.provider.name) if refusal.kind is RefusalKind.AUTH else None
        said = refusal.message.replace(call.provider.key, "[key]")
        run.refused(said if told is None else told.message, refusal)
        if refusal.kind is RefusalKind.BAD_REQUEST:
            self._admission.accepted(call.provider, sent)
        else:
            self._admission.refused(call.provider, refusal, sent)
        if told is not None:  # providers repeat parts of the key in such answers
            return complaining(told, call.speaks)
        body = body.replace(call.provider.key.encode(), b"[key]")
        return web.Response(status=answer.status, headers=passed_on(answer), body=body)

    async def _stream(
        self,
        call: _Forward,
        run: Run,
        flow: _Flow,
        answer: aiohttp.ClientResponse,
        route: Route,
        sent: float,
    ) -> web.StreamResponse:
        events = answer.content_type == "text/event-stream"
        flow.reader = reader = AnswerReader(READERS[route.format], streamed=events)
        ahead = await ahead_of(answer)
        response = await call.begin(answer, together=bool(ahead), sized=not events)
        try:
            kept = await self._pieces(flow, answer, response, ahead, events=events)
        except _Broken as broken:
            run.refused(f"{call.provider.name} {broken} in the middle of an answer.")
            return call.broken(response)
        flow.whole = True
        self._judge(call, run, flow, reader.end(), events=events, sent=sent)
        flow.meter.end(reader.end(), flow.ending)
        if kept:
            await response.write(kept)
        await response.write_eof()
        return response

    async def _pieces(
        self,
        flow: _Flow,
        answer: aiohttp.ClientResponse,
        response: web.StreamResponse,
        ahead: bytes,
        *,
        events: bool,
    ) -> bytes:
        """Passes on each as it comes, `ahead` first. Gives back the last one of what is no stream of events,
        which goes when all is written down. Raises _Broken."""
        loop = asyncio.get_running_loop()
        unpacked = Unpacked(answer.headers.get("content-encoding", ""))
        assert flow.reader is not None
        kept, patience = b"", self._times.first_byte
        while piece := ahead or await _next(answer, patience):
            ahead, patience = b"", self._times.idle
            came = loop.time()
            flow.meter.first_byte()
            flow.reader.feed(unpacked(piece))
            if events:
                flow.meter.heard(flow.reader)
            else:
                piece, kept = kept, piece
            if piece:
                await response.write(
                    piece
                )  # however slowly the agent reads: that is not the provider's silence
            if flow.added is None:
                flow.added = flow.before + loop.time() - came
        return kept

    def _judge(
        self, call: _Forward, run: Run, flow: _Flow, found: Answer, *, events: bool, sent: float
    ) -> None:
        """An answer that came to its end, which may still be an error."""
        if found.error is not None:
            refusal = refusal_amid(call.speaks, found.error, datetime.now(UTC))
            run.refused(refusal.message.replace(call.provider.key, "[key]"), refusal)
            self._admission.refused(call.provider, refusal, sent)
        elif events and not (found.complete or found.stop_reason):
            run.refused(f"{call.provider.name} ended an answer before it was complete.")
        else:
            run.answered()
            flow.ending = Ending.ANSWERED


class _Broken(Exception):
    """What the provider did."""


async def _next(answer: aiohttp.ClientResponse, seconds: float) -> bytes:
    """Raises _Broken."""
    try:
        async with asyncio.timeout(seconds):
            return await answer.content.readany()
    except TimeoutError:
        raise _Broken("said nothing more") from None
    except (aiohttp.ClientError, OSError):
        raise _Broken("broke off") from None


class _Flow:
    """What is known of a call while it flows."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.reader: AnswerReader | None = None
        self.ending = Ending.CUT
        self.before = 0.0  # seconds of our own before it was sent
        self.added: float | None = None  # and with those before its first byte went on
        self.whole = False  # the provider's answer was read to its end


class _Forward:
    def __init__(
        self, request: web.BaseRequest, provider: Provider, speaks: WireFormat, path: str, query: str
    ) -> None:
        self.request = request
        self.provider = provider
        self.speaks = speaks
        self.path = path
        self.query = query

    def headers(self) -> list[tuple[str, str]]:
        return with_key(self.speaks, self.request.headers.items(), self.provider.key)

    async def begin(
        self, answer: aiohttp.ClientResponse, *, together: bool, sized: bool
    ) -> web.StreamResponse:
        """Headers and first piece are one packet where they came as one; else the agent learns at once that
        there will be an answer."""
        kind = Together if together else web.StreamResponse
        response = kind(status=answer.status, headers=passed_on(answer))
        if answer.content_length is not None and sized:
            response.content_length = answer.content_length
        await response.prepare(self.request)
        return response

    def broken(self, response: web.StreamResponse) -> web.StreamResponse:
        """The agent sees the same that we saw: an answer without its end."""
        if self.request.transport is not None:
            self.request.transport.close()
        return response
