"""JSON-RPC 2.0, one object a line, both ways over a pair of streams.

Either side may call the other while its own calls are open. A bad line, a bad body, an unknown method or a
failing handler is answered or logged; only the end of the stream ends the conversation.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from core.errors import OrchardError, Unavailable

logger = logging.getLogger(__name__)

LINE_LIMIT = 64 << 20  # bytes; whoever makes the StreamReader passes it as `limit`

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
ORCHARD_ERROR = -32000  # data: {slug, message, why, hint}
CANCELLED = -32001

T = TypeVar("T")
Handler = Callable[[dict[str, Any]], Awaitable[Any]]


class RpcError(OrchardError):
    """The other side refused or failed a call, or sent a body that does not fit."""

    slug = "rpc"

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class PeerGone(Unavailable):
    """The other side's stream ended before it answered."""

    slug = "peer_gone"


class LineWriter(Protocol):
    """What a Peer needs of an asyncio.StreamWriter."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}  # building one costs milliseconds


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def prepare(*kinds: type) -> None:
    """Does ahead of time what the first value of each kind would wait for."""
    for kind in kinds:
        _adapter(kind)


def encode(value: object) -> Any:
    """A dataclass (or anything else that pydantic knows) as plain JSON values.

    Raises RpcError when it cannot be said in JSON.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    try:
        return _adapter(type(value)).dump_python(value, mode="json")
    except PydanticSerializationError as error:
        raise RpcError(INTERNAL_ERROR, f"{type(value).__name__} cannot be sent: {error}") from error


def decode(kind: type[T], body: object) -> T:
    """The validated value of `kind` in a JSON body.

    Raises RpcError (INVALID_PARAMS) naming each bad field.
    """
    try:
        return cast(T, _adapter(kind).validate_json(json.dumps(body)))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise RpcError(INVALID_PARAMS, f"not a {getattr(kind, '__name__', kind)}: {faults}") from None
    except (TypeError, ValueError) as error:
        raise RpcError(INVALID_PARAMS, f"not a {getattr(kind, '__name__', kind)}: {error}") from None


def _every_error(kind: type[OrchardError]) -> dict[str, type[OrchardError]]:
    known = {kind.slug: kind}
    for child in kind.__subclasses__():
        for slug, found in _every_error(child).items():
            known.setdefault(slug, found)  # a child without a slug of its own does not take its parent's
    return known


def _error_body(error: Exception) -> dict[str, Any]:
    if isinstance(error, RpcError):
        return {"code": error.code, "message": error.message, "data": error.data}
    if isinstance(error, OrchardError):
        data = {"slug": error.slug, "message": error.message, "why": error.why, "hint": error.hint}
        return {"code": ORCHARD_ERROR, "message": error.message, "data": data}
    incident = secrets.token_hex(4)
    logger.error("handler failed, incident %s", incident, exc_info=error)
    return {"code": INTERNAL_ERROR, "message": f"{type(error).__name__}: {error} (incident {incident})"}


def _error_of(body: object) -> OrchardError:
    if not isinstance(body, dict):
        return RpcError(INTERNAL_ERROR, f"an error without a body: {str(body)[:200]}")
    code, message, data = body.get("code"), body.get("message"), body.get("data")
    if code == ORCHARD_ERROR and isinstance(data, dict):
        kind = _every_error(OrchardError).get(str(data.get("slug")), OrchardError)
        error = kind.__new__(kind)  # a subclass may want other arguments; the sentence is what travels
        OrchardError.__init__(
            error, str(data.get("message", "")), why=str(data.get("why", "")), hint=str(data.get("hint", ""))
        )
        return error
    return RpcError(code if isinstance(code, int) else INTERNAL_ERROR, str(message), data)


class Peer:
    """One end of a conversation.

    `handlers` answer the other side's calls and notifications; they run concurrently, each as a task, take
    the `params` object and return JSON values or a dataclass. A handler is cancelled when the stream ends.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: LineWriter, handlers: Mapping[str, Handler] | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers or {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = itertools.count(1)
        self._drain = asyncio.Lock()
        self._gone = False
        self.ended = asyncio.Event()  # the other side's stream has ended; handlers are being cancelled

    async def run(self) -> None:
        """Read and answer until the stream ends. Open calls then fail with PeerGone."""
        try:
            while True:
                try:
                    line = await self._reader.readline()
                except ValueError:  # longer than the reader's limit; what follows its cut reads as bad lines
                    await self._refuse(None, PARSE_ERROR, "a line is longer than the limit")
                    continue
                if not line:
                    return
                if line.strip():
                    await self._take(line)
        except (ConnectionError, PeerGone):
            return
        finally:
            await self._end()

    async def call(self, method: str, params: object = None, timeout: float | None = None) -> Any:
        """The other side's answer, as JSON values.

        `timeout` in seconds. Raises RpcError, the OrchardError that the other side's handler raised,
        PeerGone, or TimeoutError; a late answer is dropped.
        """
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._gone:
            raise PeerGone(f"'{method}' has nobody to answer it.")
        self._waiting[number] = answer
        try:
            await self._send({"id": number, "method": method, "params": _params(params)})
            async with asyncio.timeout(timeout):
                return await answer
        finally:
            self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, also when sending failed first

    async def request(
        self, kind: type[T], method: str, params: object = None, timeout: float | None = None
    ) -> T:
        """`call`, with the answer validated as `kind`."""
        return decode(kind, await self.call(method, params, timeout))

    async def notify(self, method: str, params: object = None) -> None:
        """Tell, without an answer. Raises PeerGone when nobody listens any more."""
        await self._send({"method": method, "params": _params(params)})

    async def settle(self, timeout: float) -> None:
        """Waits until everything that was asked so far has been answered, `timeout` seconds at most."""
        if tasks := self._tasks - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=timeout)

    async def _send(self, body: dict[str, Any]) -> None:
        if self._gone:
            raise PeerGone("The other side has gone.")
        # A file name that is not Unicode (surrogates from os.fsdecode) travels with "?" rather than not at
        # all.
        text = json.dumps({"jsonrpc": "2.0", **body}, separators=(",", ":"), ensure_ascii=False)
        line = text.encode("utf-8", "replace") + b"\n"
        try:
            self._writer.write(line)
            async with self._drain:
                await self._writer.drain()
        except (ConnectionError, RuntimeError) as error:  # RuntimeError: the transport is closed already
            raise PeerGone("The other side has gone.", why=str(error)) from error

    async def _take(self, line: bytes) -> None:
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            await self._refuse(None, PARSE_ERROR, f"not JSON: {line[:80]!r}")
            return
        if not isinstance(body, dict):
            await self._refuse(None, INVALID_REQUEST, "not an object")
            return
        number, method = body.get("id"), body.get("method")
        if isinstance(method, str):
            params = body.get("params")
            if params is not None and not isinstance(params, dict):
                await self._refuse(number, INVALID_PARAMS, "params must be an object")
                return
            task = asyncio.create_task(self._serve(method, params or {}, number, "id" in body), name=method)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif "result" in body or "error" in body:
            self._settle(number, body)
        else:
            await self._refuse(number, INVALID_REQUEST, "neither a call nor an answer")

    def _settle(self, number: object, body: dict[str, Any]) -> None:
        answer = self._waiting.pop(number, None) if isinstance(number, int) else None
        if answer is None or answer.done():
            logger.warning("an answer that nobody waits for: %s", str(body)[:300])
        elif "error" in body:
            answer.set_exception(_error_of(body["error"]))
        else:
            answer.set_result(body["result"])

    async def _serve(self, method: str, params: dict[str, Any], number: object, wanted: bool) -> None:
        reply: dict[str, Any]
        try:
            handler = self._handlers.get(method)
            if handler is None:
                raise RpcError(METHOD_NOT_FOUND, f"no method '{method}'")
            reply = {"result": encode(await handler(params))}
        except asyncio.CancelledError:
            if self._gone:
                raise
            reply = {"error": {"code": CANCELLED, "message": f"'{method}' was cancelled"}}
        except Exception as error:  # edge: the other side gets a sentence, the log gets the trace
            reply = {"error": _error_body(error)}
            if not wanted:
                logger.warning("notification '%s' failed: %s", method, error)
        if wanted:
            await self._reply({"id": number, **reply})

    async def _refuse(self, number: object, code: int, message: str) -> None:
        logger.warning("bad line from the other side: %s", message)
        await self._reply({"id": number, "error": {"code": code, "message": message}})

    async def _reply(self, body: dict[str, Any]) -> None:
        try:
            await self._send(body)
        except PeerGone:
            logger.info("an answer found nobody: the other side has gone")
        except (TypeError, ValueError) as error:  # a handler's answer that JSON cannot say
            fault = {"code": INTERNAL_ERROR, "message": f"the answer cannot be sent: {error}"}
            await self._send({"id": body.get("id"), "error": fault})

    async def _end(self) -> None:
        self._gone = True
        self.ended.set()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(PeerGone("The other side went away before it answered."))
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _params(params: object) -> Any:
    if params is None:
        return {}
    return encode(params) if dataclasses.is_dataclass(params) or not isinstance(params, dict) else params
