"""Gemini's generateContent: where an answer says what it took. PURE.

https://ai.google.dev/api/generate-content#UsageMetadata: each chunk of a stream has the totals so far. The
prompt counts what came from a cache; thoughts and what tools put into the prompt are counted beside the two.
"""

from __future__ import annotations

from core.gateway.answer import Findings, Object, first, obj
from core.gateway.usage import Counts, Usage


class GeminiContent:
    def worth_reading(self, event: bytes) -> bool:
        return True  # each chunk has totals, and the last one is not told by its bytes

    def take(self, findings: Findings, event: Object) -> None:
        findings.name(event.get("modelVersion"))
        findings.count(event.get("usageMetadata"))
        reason = first(event.get("candidates")).get("finishReason")
        blocked = obj(event.get("promptFeedback")).get("blockReason")
        findings.stop(reason or blocked)
        findings.complete = findings.complete or bool(findings.stop_reason)
        if event.get("error") is not None:
            findings.error = obj(event.get("error"))

    def usage(self, counts: Object) -> Usage:
        read = Counts(counts)
        cached = read.optional("cachedContentTokenCount")
        fresh = read.less(read.required("promptTokenCount"), cached)
        thoughts = read.optional("thoughtsTokenCount")
        return Usage(
            input_tokens=fresh + read.optional("toolUsePromptTokenCount"),
            cache_read_tokens=cached,
            output_tokens=read.optional("candidatesTokenCount") + thoughts,  # absent when nothing was said
            reasoning_tokens=thoughts,
            known=not read.faulty,
        )
