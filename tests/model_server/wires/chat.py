"""PURE. OpenAI's chat completions (`POST /v1/chat/completions`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.model_server.conversation import Answer, Asked, Said, Tool, Usage
from tests.model_server.script import WrongUsage
from tests.model_server.wires.wire import RequestError, arguments_text, event, halves, listed, told, words

_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


def openai_error(status: int, message: str) -> dict[str, Any]:
    """The error body that both of OpenAI's formats have."""
    kind = "invalid_request_error" if status < 429 else "requests" if status == 429 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": _CODES.get(status)}}


class Chat:
    """Usage: prompt tokens include the cached ones; a stream tells usage only with `include_usage`."""

    name = "openai_chat"
    writes_cache = False

    def read(self, body: Mapping[str, Any], model: str, stream: bool) -> Asked:
        """See Wire."""
        messages = listed(body, "messages")
        if not messages:
            raise RequestError("messages: at least one message is required")
        system = [words(m.get("content")) for m in messages if m.get("role") in ("system", "developer")]
        said = tuple(
            Said(by_model=False, result=words(message.get("content")))
            if message.get("role") in ("tool", "function")
            else Said(by_model=message.get("role") == "assistant", text=words(message.get("content")))
            for message in messages
            if message.get("role") not in ("system", "developer")
        )
        functions = [tool["function"] for tool in listed(body, "tools") if "function" in tool]
        tools = [Tool(name=str(item.get("name")), schema=item.get("parameters") or {}) for item in functions]
        shape = body.get("response_format") or {}
        return Asked(
            model=str(body.get("model")),
            stream=body.get("stream") is True,
            said=said,
            system="\n".join(system),
            tools=tuple(tools),
            schema=(shape.get("json_schema") or {}).get("schema"),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        )

    def _usage(self, answer: Answer) -> dict[str, Any] | None:
        used = answer.usage
        if answer.wrong is WrongUsage.MISSING:
            return None
        usage = {
            "prompt_tokens": used.input,
            "completion_tokens": used.output,
            "total_tokens": used.total,
            "prompt_tokens_details": {"cached_tokens": used.cache_read, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": 0},
        }
        return told(usage, answer.wrong)

    def _head(self, answer: Answer, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{answer.id}",
            "object": kind,
            "created": answer.created,
            "model": answer.model,
            "system_fingerprint": "fp_scripted",
        }

    def whole(self, answer: Answer) -> dict[str, Any]:
        """See Wire."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
                }
                for call in answer.calls
            ]
        reason = "tool_calls" if answer.calls else "stop"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        body = self._head(answer, "chat.completion") | {"choices": [choice]}
        usage = self._usage(answer)
        return body | ({"usage": usage} if usage is not None else {})

    def events(self, answer: Answer) -> list[bytes]:
        """See Wire."""
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in answer.text_pieces()]
        for index, call in enumerate(answer.calls):
            function = {"name": call.name, "arguments": ""}
            opened = {"index": index, "id": call.id, "type": "function", "function": function}
            deltas.append({"tool_calls": [opened]})
            for piece in halves(arguments_text(call.arguments)):
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        head = self._head(answer, "chat.completion.chunk")
        nothing: dict[str, Any] = {"usage": None} if answer.tell_usage else {}
        reason = "tool_calls" if answer.calls else "stop"
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
        ]
        choices.append({"index": 0, "delta": {}, "finish_reason": reason})
        events = [event(head | {"choices": [choice]} | nothing) for choice in choices]
        usage = self._usage(answer)
        if answer.tell_usage and usage is not None:
            events.append(event(head | {"choices": [], "usage": usage}))
        return [*events, b"data: [DONE]\n\n"]

    def told_after(self, answer: Answer, sent: int) -> Usage:
        """See Wire."""
        told_all = sent >= len(self.events(answer)) - 1  # the usage stands before `[DONE]`
        known = answer.tell_usage and answer.wrong is not WrongUsage.MISSING
        return answer.usage if told_all and known else Usage()

    def error(self, status: int, message: str) -> dict[str, Any]:
        """See Wire."""
        return openai_error(status, message)

    def error_event(self, status: int, message: str) -> bytes:
        """See Wire."""
        return event(openai_error(status, message))
