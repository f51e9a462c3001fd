"""PURE. Gemini's generateContent and streamGenerateContent (`POST /v1beta/models/MODEL:...`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.model_server.conversation import Answer, Asked, Said, Tool, Usage
from tests.model_server.script import WrongUsage
from tests.model_server.wires.wire import RequestError, event, listed, told, words

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


class Gemini:
    """Usage: candidates exclude thoughts; every chunk of a stream tells it anew, as a running sum."""

    name = "gemini"
    writes_cache = False

    def read(self, body: Mapping[str, Any], model: str, stream: bool) -> Asked:
        """See Wire."""
        contents = listed(body, "contents")
        if not contents:
            raise RequestError("contents: at least one content is required")
        said = tuple(
            Said(by_model=content.get("role") == "model", text=_text(content), result=_results(content))
            for content in contents
        )
        tools = tuple(
            Tool(
                name=str(item.get("name")),
                schema=item.get("parametersJsonSchema") or item.get("parameters") or {},
            )
            for group in listed(body, "tools")
            for item in group.get("functionDeclarations") or group.get("function_declarations") or []
        )
        config = body.get("generationConfig") or {}
        instruction = body.get("systemInstruction") or body.get("system_instruction") or {}
        return Asked(
            model=model,
            stream=stream,
            said=said,
            system=words(instruction) if isinstance(instruction, str) else _text(instruction),
            tools=tools,
            schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        )

    def _chunk(
        self, answer: Answer, parts: list[dict[str, Any]], output: int, *, last: bool
    ) -> dict[str, Any]:
        used = answer.usage
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if last:
            candidate["finishReason"] = "STOP"
        chunk = {"candidates": [candidate], "modelVersion": answer.model, "responseId": answer.id}
        if answer.wrong is WrongUsage.MISSING:
            return chunk
        usage = {
            "promptTokenCount": used.input,
            "candidatesTokenCount": output - used.reasoning,
            "totalTokenCount": used.input + output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used.input}],
        }
        if used.cache_read:
            usage["cachedContentTokenCount"] = used.cache_read
        if used.reasoning:
            usage["thoughtsTokenCount"] = used.reasoning
        return chunk | {"usageMetadata": told(usage, answer.wrong)}

    def _calls(self, answer: Answer) -> list[dict[str, Any]]:
        return [
            {"functionCall": {"id": call.id, "name": call.name, "args": call.arguments}}
            for call in answer.calls
        ]

    def whole(self, answer: Answer) -> dict[str, Any]:
        """See Wire."""
        parts = ([{"text": answer.text}] if answer.text else []) + self._calls(answer)
        return self._chunk(answer, parts, answer.usage.output, last=True)

    def events(self, answer: Answer) -> list[bytes]:
        """See Wire."""
        groups = self._groups(answer)
        chunks = []
        for number, parts in enumerate(groups, start=1):
            so_far = _told(answer, number, len(groups)).output
            chunks.append(self._chunk(answer, parts, so_far, last=number == len(groups)))
        return [event(chunk) for chunk in chunks]

    def _groups(self, answer: Answer) -> list[list[dict[str, Any]]]:
        groups: list[list[dict[str, Any]]] = [[{"text": piece}] for piece in answer.text_pieces()]
        if answer.calls:
            groups.append(self._calls(answer))
        return groups or [[{"text": ""}]]

    def told_after(self, answer: Answer, sent: int) -> Usage:
        """See Wire."""
        if sent == 0 or answer.wrong is WrongUsage.MISSING:
            return Usage()
        return _told(answer, sent, len(self._groups(answer)))

    def error(self, status: int, message: str) -> dict[str, Any]:
        """See Wire."""
        return {"error": {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")}}

    def error_event(self, status: int, message: str) -> bytes:
        """See Wire."""
        return event(self.error(status, message))


def _text(content: Mapping[str, Any]) -> str:
    return "\n".join(str(part["text"]) for part in listed(content, "parts") if "text" in part)


def _results(content: Mapping[str, Any]) -> str:
    answers = (part.get("functionResponse") for part in listed(content, "parts"))
    return "\n".join(json.dumps(answer.get("response")) for answer in answers if answer)


def _told(answer: Answer, sent: int, chunks: int) -> Usage:
    """The running sum that chunk number `sent` tells: all thoughts, and its share of what is spoken."""
    used = answer.usage
    spoken = (used.output - used.reasoning) * min(sent, chunks) // chunks
    return replace(used, output=used.reasoning + spoken)
