"""All four wire formats, streamed and whole, through the real process."""

from __future__ import annotations

import random
from typing import Any

import aiohttp
import pytest

from core.store.ledger import CallStatus, Source
from tests.model_server.client import WIRES, Client, streamed_usage, text_of, usage_of
from tests.model_server.conversation import Usage
from tests.model_server.script import Fault
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF = {"anthropic": "anthropic", "openai_responses": "openai", "openai_chat": "openai", "gemini": "gemini"}


@pytest.mark.parametrize("stream", [True, False])
async def test_answers_pass_unchanged_and_are_metered_exactly(front: Any, stream: bool) -> None:
    for wire in WIRES:
        run_id, token = await front.run(OF[wire])
        answer = await front.client(OF[wire]).ask(wire, prompt="say something", stream=stream, key=token)
        direct = await Client(front.model.url, front.http).ask(wire, prompt="say something", stream=stream)
        if stream:
            assert text_of(wire, answer) == text_of(wire, direct)
        told = streamed_usage(wire, answer) if stream else usage_of(wire, answer)
        await front.gateway.close_run(run_id)
        (call,) = [each for each in front.calls.values() if each.run_id == run_id]
        counted = (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens)
        assert counted == (told.fresh, told.cache_read, told.cache_write)
        assert (call.output_tokens, call.reasoning_tokens) == (told.output, told.reasoning)
        assert (call.status, call.source, call.model) == (CallStatus.ANSWERED, Source.GATEWAY, "m")
        assert call.first_byte_ms is not None
        assert front.model.seen.calls[-2].key == "sk-real-0123456789"
        assert token not in str(front.model.seen.calls[-2].headers)


async def test_each_piece_comes_as_it_is_said(front: Any) -> None:
    """The server waits between its events: who buffers shows the first of them only with the last."""
    _, token = await front.run("anthropic")
    front.model.fail_next(Fault(hang_after=2))
    path, body = front.client("anthropic").request("anthropic", "hi", True, [])
    url = front.gateway.base_url("anthropic") + path
    async with front.http.post(url, json=body, headers={"x-api-key": token}) as answer:
        first = await answer.content.readany()
        assert b"message_start" in first
        facts = await front.facts("anthropic", token)
        assert (facts["calls"], facts["in_flight"], facts["held"]) == (1, 1, "")
    await until(lambda: front.calls)
    (call,) = front.calls.values()
    seen = front.model.seen.calls[0]
    assert call.status is CallStatus.CUT
    assert call.input_tokens == seen.told_so_far.fresh > 0


async def test_sums_are_what_the_server_told(front: Any) -> None:
    """Any mixture of formats, ways to answer and faults: the ledger's sums are the server's own."""
    random_ = random.Random(7)
    faults = [None, None, None, Fault(cut_after=3), Fault(status=500), Fault(drop=True)]
    tokens = {wire: await front.run(OF[wire]) for wire in WIRES}
    for _ in range(60):
        wire, fault = random_.choice(WIRES), random_.choice(faults)
        stream = random_.random() < 0.6
        if fault is not None:
            front.model.fail_next(fault)
        client = front.client(OF[wire])
        words = "word " * random_.randrange(1, 60)
        path, body = client.request(wire, words, stream, [])
        try:
            await client.post(path, body, tokens[wire][1])
        except aiohttp.ClientError:
            assert fault is not None
    for run_id, _ in tokens.values():
        await front.gateway.close_run(run_id)
    told = Usage()
    for each in front.model.seen.calls:
        told = told.plus(each.told_so_far)
    calls = list(front.calls.values())
    assert len(calls) == len(front.model.seen.calls) > 30
    assert front.twice == []
    assert sum(call.input_tokens for call in calls) == told.fresh
    assert sum(call.cache_read_tokens for call in calls) == told.cache_read
    assert sum(call.cache_write_tokens for call in calls) == told.cache_write
    assert sum(call.output_tokens for call in calls) == told.output
