"""All four wire formats, streamed and whole, through the real process."""

from __future__ import annotations

from typing import Any

import pytest

from core.store.ledger import CallStatus, Source
from tests.model_server.client import WIRES, streamed_usage, text_of, usage_of

PROVIDER = {"anthropic": "anthropic", "openai_responses": "openai", "openai_chat": "openai", "gemini": "gemini"}


@pytest.mark.parametrize("stream", [True, False])
async def test_answers_pass_unchanged_and_are_metered_exactly(front: Any, stream: bool) -> None:
    for wire in WIRES:
        run_id, token = await front.run(PROVIDER[wire])
        answer = await front.client(PROVIDER[wire]).ask(wire, prompt="say something", stream=stream, key=token)
        direct = await type(front.client("x"))(front.model.url, front.http).ask(wire, prompt="say something", stream=stream)
        if stream:
            assert text_of(wire, answer) == text_of(wire, direct)
        told = streamed_usage(wire, answer) if stream else usage_of(wire, answer)
        await front.gateway.close_run(run_id)
        (call,) = [each for each in front.calls.values() if each.run_id == run_id]
        assert (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens) == (told.fresh, told.cache_read, told.cache_write)
        assert (call.output_tokens, call.reasoning_tokens) == (told.output, told.reasoning)
        assert (call.status, call.source, call.model) == (CallStatus.ANSWERED, Source.GATEWAY, "m")
        assert call.first_byte_ms is not None
        assert front.model.seen.calls[-2].key == "sk-real-0123456789"
