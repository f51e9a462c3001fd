"""Anthropic's Messages: where an answer says what it took. PURE.

https://platform.claude.com/docs/en/build-with-claude/streaming: `message_start` has the model and the input,
each `message_delta` the totals so far. `input_tokens` leaves out what was read from or written to a cache.
"""

from __future__ import annotations

from core.gateway.answer import Findings, Object, obj
from core.gateway.usage import Counts, Usage

_MARKS = (b'"usage"', b'"error"')


class AnthropicMessages:
    def worth_reading(self, event: bytes) -> bool:
        return any(mark in event for mark in _MARKS)

    def take(self, findings: Findings, event: Object) -> None:
        kind = event.get("type")
        if kind == "message_start":
            message = obj(event.get("message"))
            findings.name(message.get("model"))
            findings.count(message.get("usage"))
        elif kind == "message_delta":
            findings.stop(obj(event.get("delta")).get("stop_reason"))
            if event.get("usage") is not None:
                findings.count(event.get("usage"))
                findings.complete = True
        elif kind == "message":
            findings.name(event.get("model"))
            findings.stop(event.get("stop_reason"))
            findings.count(event.get("usage"))
            findings.complete = True
        elif kind == "error":
            findings.error = obj(event.get("error"))

    def usage(self, counts: Object) -> Usage:
        read = Counts(counts)
        written = read.optional("cache_creation_input_tokens")
        # Of a total that grew in the stream, the split is the older figure: what it leaves is the usual kind.
        long = min(read.optional("cache_creation", "ephemeral_1h_input_tokens"), written)
        output = read.required("output_tokens")
        return Usage(
            input_tokens=read.required("input_tokens"),
            cache_read_tokens=read.optional("cache_read_input_tokens"),
            cache_write_tokens=written - long,
            cache_write_long_tokens=long,
            output_tokens=output,
            reasoning_tokens=read.part(read.optional("output_tokens_details", "thinking_tokens"), output),
            known=not read.faulty,
        )
