"""PURE. OpenAI's responses (`POST /v1/responses`), without state kept by the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.model_server.conversation import Answer, Asked, Said, Tool, Usage
from tests.model_server.script import WrongUsage
from tests.model_server.wires.chat import openai_error
from tests.model_server.wires.wire import (
    RequestError,
    arguments_text,
    event,
    halves,
    listed,
    told,
    turn_of,
    words,
)

_OF_MODEL = frozenset({"function_call", "custom_tool_call", "local_shell_call", "reasoning"})


class Responses:
    """Usage: input tokens include the cached ones, and it comes with `response.completed` alone."""

    name = "openai_responses"
    writes_cache = False

    def read(self, body: Mapping[str, Any], model: str, stream: bool) -> Asked:
        """See Wire."""
        if body.get("previous_response_id"):
            raise RequestError("previous_response_id: nothing is stored here; send the whole input")
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else listed(body, "input")
        if not items:
            raise RequestError("input: a text or at least one item is required")
        system = [words(body.get("instructions"))]
        system += [words(i.get("content")) for i in items if i.get("role") in ("system", "developer")]
        said = tuple(_said(item) for item in items if item.get("role") not in ("system", "developer"))
        tools = tuple(
            Tool(
                name=str(tool.get("name")),
                schema=tool.get("parameters") or {},
                freeform=tool.get("type") == "custom",
            )
            for tool in listed(body, "tools")
            if tool.get("type") in ("function", "custom")
        )
        shape = (body.get("text") or {}).get("format") or {}
        return Asked(
            model=str(body.get("model")),
            stream=body.get("stream") is True,
            said=said,
            system="\n".join(filter(None, system)),
            tools=tools,
            schema=shape.get("schema"),
        )

    def _usage(self, answer: Answer) -> dict[str, Any] | None:
        used = answer.usage
        if answer.wrong is WrongUsage.MISSING:
            return None
        usage = {
            "input_tokens": used.input,
            "input_tokens_details": {"cached_tokens": used.cache_read},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": used.reasoning},
            "total_tokens": used.total,
        }
        return told(usage, answer.wrong)

    def _response(self, answer: Answer, status: str) -> dict[str, Any]:
        return {
            "id": f"resp_{answer.id}",
            "object": "response",
            "created_at": answer.created,
            "status": status,
            "model": answer.model,
            "output": [],
            "error": None,
            "incomplete_details": None,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
        }

    def _items(self, answer: Answer) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if answer.text:
            part = {"type": "output_text", "text": answer.text, "annotations": []}
            items.append(
                {"type": "message", "role": "assistant", "content": [part], "id": f"item_{answer.id}"}
            )
        for number, call in enumerate(answer.calls):
            freeform = isinstance(call.arguments, str)
            field = "input" if freeform else "arguments"
            items.append(
                {
                    "type": "custom_tool_call" if freeform else "function_call",
                    "id": f"item_{answer.id}_{number}",
                    "call_id": call.id,
                    "name": call.name,
                    field: arguments_text(call.arguments),
                }
            )
        return [item | {"status": "completed"} for item in items]

    def whole(self, answer: Answer) -> dict[str, Any]:
        """See Wire."""
        ended = {"output": self._items(answer), "usage": self._usage(answer)}
        return self._response(answer, "completed") | ended

    def events(self, answer: Answer) -> list[bytes]:
        """See Wire."""
        begun = {"response": self._response(answer, "in_progress")}
        events = [{"type": "response.created"} | begun, {"type": "response.in_progress"} | begun]
        for index, item in enumerate(self._items(answer)):
            events += _item_events(item, index, answer)
        events.append({"type": "response.completed", "response": self.whole(answer)})
        return [
            event(data | {"sequence_number": number}, str(data["type"])) for number, data in enumerate(events)
        ]

    def told_after(self, answer: Answer, sent: int) -> Usage:
        """See Wire."""
        known = answer.wrong is not WrongUsage.MISSING
        return answer.usage if known and sent >= len(self.events(answer)) else Usage()

    def error(self, status: int, message: str) -> dict[str, Any]:
        """See Wire."""
        return openai_error(status, message)

    def error_event(self, status: int, message: str) -> bytes:
        """See Wire."""
        code = "rate_limit_exceeded" if status == 429 else "server_error"
        response = {"id": "resp_failed", "object": "response", "status": "failed", "usage": None}
        failed = response | {"error": {"code": code, "message": message}, "output": []}
        return event({"type": "response.failed", "response": failed}, "response.failed")


def _said(item: Mapping[str, Any]) -> Said:
    of_model = item.get("role") == "assistant" or item.get("type") in _OF_MODEL
    text, result = words(item.get("content")), words(item.get("output"))
    return Said(
        by_model=of_model, text=text, result=result, turn=turn_of(item.get("call_id")) if of_model else None
    )


def _item_events(item: dict[str, Any], index: int, answer: Answer) -> list[dict[str, Any]]:
    """The events of one output item, from `added` to `done`."""
    place = {"item_id": item["id"], "output_index": index}
    if item["type"] == "message":
        empty: dict[str, Any] = {"content": []}
        place["content_index"] = 0
        part = item["content"][0]
        middle = [{"type": "response.content_part.added", "part": part | {"text": ""}}]
        middle += [{"type": "response.output_text.delta", "delta": piece} for piece in answer.text_pieces()]
        middle.append({"type": "response.output_text.done", "text": answer.text})
        middle.append({"type": "response.content_part.done", "part": part})
    else:
        field = "input" if item["type"] == "custom_tool_call" else "arguments"
        kind = "custom_tool_call_input" if field == "input" else "function_call_arguments"
        empty = {field: ""}
        middle = [{"type": f"response.{kind}.delta", "delta": piece} for piece in halves(item[field])]
        middle.append({"type": f"response.{kind}.done", field: item[field]})
    added = item | empty | {"status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": added},
        *(data | place for data in middle),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]
