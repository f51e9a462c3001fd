"""PURE. Gemini's generateContent and streamGenerateContent (`POST /v1beta/models/MODEL:...`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.model_server.conversation import Answer, Asked, Said, Tool
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
            Said(by_model=content.get("role") == "model", text=_text(content)) for content in contents
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
            "candidatesTokenCount": max(output - used.reasoning, 0),
            "totalTokenCount": used.input + max(output, used.reasoning),
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
        groups = [[{"text": piece}] for piece in answer.text_pieces()]
        if answer.calls:
            groups.append(self._calls(answer))
        groups = groups or [[{"text": ""}]]
        output = answer.usage.output
        chunks = []
        for number, parts in enumerate(groups, start=1):
            so_far = output * number // len(groups)
            chunks.append(self._chunk(answer, parts, so_far, last=number == len(groups)))
        return [event(chunk) for chunk in chunks]

    def error(self, status: int, message: str) -> dict[str, Any]:
        """See Wire."""
        return {"error": {"code": status, "message": message, "status": _STATUSES.get(status, "INTERNAL")}}

    def error_event(self, status: int, message: str) -> bytes:
        """See Wire."""
        return event(self.error(status, message))


def _text(content: Mapping[str, Any]) -> str:
    texts = []
    for part in listed(content, "parts"):
        answered = part.get("functionResponse")
        texts.append(str(part["text"]) if "text" in part else str(answered) if answered else "")
    return "\n".join(filter(None, texts))
