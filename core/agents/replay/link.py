"""JSON-RPC lines over stdin and stdout, with threads and nothing else: it must start at once."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any


class Refused(Exception):
    """The client answered a request of ours with an error."""


class Link:
    def __init__(self) -> None:
        self._out = sys.stdout.buffer
        self._lock = threading.Lock()
        self._next_id = 0
        self._waiting: dict[Any, queue.SimpleQueue[dict[str, Any]]] = {}

    def messages(self) -> Iterator[dict[str, Any]]:
        """Requests and notifications until the end of stdin; answers go to whoever waits for them."""
        for line in sys.stdin.buffer:
            if not line.strip():
                continue
            try:
                message = json.loads(line)
            except ValueError:
                self.fail(None, -32700, "Parse error")
                continue
            if not isinstance(message, dict):
                self.fail(None, -32600, "Invalid request")
            elif "method" in message:
                yield message
            elif (waiting := self._waiting.pop(_key(message.get("id")), None)) is not None:
                waiting.put(message)

    def write(self, data: bytes, *, by_byte: bool = False) -> None:
        """Bytes to stdout. Ends the program when nobody reads any more."""
        try:
            with self._lock:
                if by_byte:
                    for at in range(len(data)):
                        os.write(self._out.fileno(), data[at : at + 1])
                else:
                    self._out.write(data)
                    self._out.flush()
        except BrokenPipeError:
            os._exit(0)

    def send(self, message: Any, *, by_byte: bool = False) -> None:
        line = json.dumps(message, ensure_ascii=not by_byte, separators=(",", ":")).encode() + b"\n"
        self.write(line, by_byte=by_byte)

    def notify(self, method: str, params: dict[str, Any], *, by_byte: bool = False) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params}, by_byte=by_byte)

    def answer(self, request_id: Any, result: Any) -> None:
        self.send({"jsonrpc": "2.0", "id": request_id, "result": result})

    def fail(self, request_id: Any, code: int, message: str, data: Any = None) -> None:
        error = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        self.send({"jsonrpc": "2.0", "id": request_id, "error": error})

    def request(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the client and wait for its answer; raises Refused with its error."""
        with self._lock:
            self._next_id += 1
            request_id = f"replay-{self._next_id}"
        answer: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._waiting[request_id] = answer
        self.send({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        message = answer.get()
        if "error" in message:
            raise Refused(json.dumps(message["error"]))
        return message.get("result")


def _key(request_id: Any) -> Any:
    return request_id if isinstance(request_id, (str, int)) else None
