"""OpenAI's Responses: where an answer says what it took. PURE.

https://platform.openai.com/docs/api-reference/responses-streaming: the events of a stream's end carry the
whole response. `input_tokens` counts what was read from or written to a cache.
"""

from __future__ import annotations

from core.gateway.answer import Findings, Object, obj
from core.gateway.usage import Counts, Usage

_MARKS = (
    b'"response.completed"',
    b'"response.incomplete"',
    b'"response.failed"',
    b'"response.cancelled"',
    b'"error"',
)
_ENDS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class OpenAIResponses:
    def worth_reading(self, event: bytes) -> bool:
        return any(mark in event for mark in _MARKS)

    def take(self, findings: Findings, event: Object) -> None:
        kind = event.get("type")
        if kind == "error":
            inner = event.get("error")
            findings.error = obj(inner) if inner is not None else event
        elif event.get("object") == "response":
            self._response(findings, event)
            findings.complete = event.get("status") not in ("queued", "in_progress")
        elif kind in _ENDS:
            self._response(findings, obj(event.get("response")))
            findings.complete = True
        elif "response" in event:
            findings.name(obj(event.get("response")).get("model"))
        elif kind is None and event.get("error") is not None:
            findings.error = obj(event.get("error"))

    def _response(self, findings: Findings, response: Object) -> None:
        findings.name(response.get("model"))
        findings.stop(response.get("status"))
        findings.stop(obj(response.get("incomplete_details")).get("reason"))
        findings.count(response.get("usage"))
        if response.get("error") is not None:
            findings.error = obj(response.get("error"))

    def usage(self, counts: Object) -> Usage:
        return openai_usage(counts, "input_tokens", "output_tokens")


def openai_usage(counts: Object, prompt: str, completion: str) -> Usage:
    """The two APIs of OpenAI name the same figures differently."""
    read = Counts(counts)
    whole = read.required(prompt)
    cached = read.optional(f"{prompt}_details", "cached_tokens")
    written = read.optional(f"{prompt}_details", "cache_write_tokens")
    output = read.required(completion)
    return Usage(
        input_tokens=read.less(whole, cached, written),
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=read.part(read.optional(f"{completion}_details", "reasoning_tokens"), output),
        known=not read.faulty,
    )
