"""OpenAI's Chat Completions, which many others speak: where an answer says what it took. PURE.

https://platform.openai.com/docs/api-reference/chat-streaming: a stream says its usage in one more
chunk without choices, and only when `stream_options.include_usage` asked for it; elsewhere `usage` is null.
"""

from __future__ import annotations

import json
import re

from core.gateway.answer import Findings, Object, first, obj, parsed
from core.gateway.responses import openai_usage
from core.gateway.usage import Usage

_SAID = re.compile(rb'"(?:usage|finish_reason|error)"\s*:\s*[^n\s]')  # not null


class OpenAIChat:
    def worth_reading(self, event: bytes) -> bool:
        return _SAID.search(event) is not None

    def take(self, findings: Findings, event: Object) -> None:
        findings.name(event.get("model"))
        findings.stop(first(event.get("choices")).get("finish_reason"))
        if event.get("usage") is not None:
            findings.count(event.get("usage"))
            # Some servers say totals so far with each chunk: only those at the end are the last.
            findings.complete = findings.complete or bool(findings.stop_reason) or event.get("choices") == []
        if event.get("error") is not None:
            findings.error = obj(event.get("error"))

    def usage(self, counts: Object) -> Usage:
        return openai_usage(counts, "prompt_tokens", "completion_tokens")


def asking_for_usage(body: bytes) -> bytes:
    """A request for a stream that asks for its usage too; any other body as it is."""
    request = parsed(body)
    if not isinstance(request, dict) or request.get("stream") is not True:
        return body
    options = obj(request.get("stream_options"))
    if options.get("include_usage") is True:
        return body
    asked = {**request, "stream_options": {**options, "include_usage": True}}
    return json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
