"""PURE. Anthropic's messages (`POST /v1/messages`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.model_server.conversation import Answer, Asked, Said, Tool, Usage
from tests.model_server.script import WrongUsage
from tests.model_server.wires.wire import RequestError, arguments_text, event, halves, listed, told, words

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Anthropic:
    """Usage: input tokens exclude the cached ones, and `message_start` already tells the input."""

    name = "anthropic"
    writes_cache = True

    def read(self, body: Mapping[str, Any], model: str, stream: bool) -> Asked:
        """See Wire."""
        if not listed(body, "messages"):
            raise RequestError("messages: at least one message is required")
        said = tuple(_said(message) for message in body["messages"])
        tools = tuple(
            Tool(name=str(tool.get("name")), schema=tool.get("input_schema") or {})
            for tool in listed(body, "tools")
        )
        shape = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
        return Asked(
            model=str(body.get("model")),
            stream=body.get("stream") is True,
            said=said,
            system=words(body.get("system")),
            tools=tools,
            schema=shape.get("schema"),
        )

    def _usage(self, answer: Answer, output: int) -> dict[str, Any]:
        used = answer.usage
        if answer.wrong is WrongUsage.MISSING:
            return {}
        usage = {
            "input_tokens": used.fresh,
            "cache_creation_input_tokens": used.cache_write,
            "cache_read_input_tokens": used.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": used.cache_write,
                "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": output,
            "service_tier": "standard",
        }
        return {"usage": told(usage, answer.wrong)}

    def _message(self, answer: Answer) -> dict[str, Any]:
        return {
            "id": f"msg_{answer.id}",
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    def _blocks(self, answer: Answer) -> list[dict[str, Any]]:
        text = [{"type": "text", "text": answer.text}] if answer.text else []
        calls = [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}
            for call in answer.calls
        ]
        return [*text, *calls]

    def whole(self, answer: Answer) -> dict[str, Any]:
        """See Wire."""
        ended = {
            "content": self._blocks(answer),
            "stop_reason": "tool_use" if answer.calls else "end_turn",
        }
        return self._message(answer) | ended | self._usage(answer, answer.usage.output)

    def events(self, answer: Answer) -> list[bytes]:
        """See Wire."""
        start = self._message(answer) | self._usage(answer, 1)
        events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
        for index, block in enumerate(self._blocks(answer)):
            begun: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
            events.append({"type": "content_block_start", "index": index, "content_block": block | begun})
            if block["type"] == "text":
                deltas = [{"type": "text_delta", "text": piece} for piece in answer.text_pieces()]
            else:
                pieces = halves(arguments_text(block["input"]))
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        reason = {"stop_reason": "tool_use" if answer.calls else "end_turn", "stop_sequence": None}
        usage = self._usage(answer, answer.usage.output)
        events += [{"type": "message_delta", "delta": reason} | usage, {"type": "message_stop"}]
        return [event(data, str(data["type"])) for data in events]

    def told_after(self, answer: Answer, sent: int) -> Usage:
        """See Wire."""
        if sent == 0 or answer.wrong is WrongUsage.MISSING:
            return Usage()
        told_all = sent >= len(self.events(answer)) - 1  # `message_delta` stands before `message_stop`
        return answer.usage if told_all else replace(answer.usage, output=1, reasoning=0)

    def error(self, status: int, message: str) -> dict[str, Any]:
        """See Wire."""
        return {
            "type": "error",
            "error": {"type": _KINDS.get(status, "api_error"), "message": message},
            "request_id": "req_scripted",
        }

    def error_event(self, status: int, message: str) -> bytes:
        """See Wire."""
        return event(self.error(status, message), "error")


def _said(message: Mapping[str, Any]) -> Said:
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    results = [p for p in parts if isinstance(p, Mapping) and p.get("type") == "tool_result"]
    spoken = [part for part in parts if part not in results]
    return Said(by_model=message.get("role") == "assistant", text=words(spoken), result=words(results))
