"""Tokens a minute, at the gateway's real process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.gateway.contract import Times
from core.gateway.rate import Rates
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_calls_over_the_rate_wait_and_a_higher_one_lets_them_go_on(front: Any) -> None:
    _, token = await front.run("anthropic")
    client = front.client("anthropic")
    front.gateway.set_rates(Rates(projects={"shop": 3}))
    await client.ask("anthropic", key=token)  # takes more than the bucket held
    held = asyncio.create_task(client.ask("anthropic", key=token))
    async with asyncio.timeout(50):
        while (await front.facts("anthropic", token))["held"] != "rate":  # noqa: ASYNC110 - asks over HTTP
            await asyncio.sleep(0.01)
    await until(lambda: front.gateway.why_slow("shop-1"))
    assert front.gateway.why_slow("shop-1") == "shop may use 3 tokens a minute, and they are used up"
    assert front.gateway.why_slow("shop-2") == ""
    assert len(front.model.seen.calls) == 1
    front.gateway.set_rates(Rates())
    assert await held
    await until(lambda: not front.gateway.why_slow("shop-1"))
    assert len(front.model.seen.calls) == 2


async def test_who_waits_longer_than_agents_bear_is_told_when_to_ask_again(
    tmp_path: Path, open_front: Any
) -> None:
    async with open_front(tmp_path, times=Times(hold=0.3)) as front:
        front.gateway.set_rates(Rates(together=2))
        _, token = await front.run("openai")
        client = front.client("openai")
        await client.ask("chat", key=token)
        path, body = client.request("chat", "hi", False, [])
        headers = {"authorization": f"Bearer {token}"}
        async with front.http.post(client.url + path, json=body, headers=headers) as answer:
            said = (await answer.json())["error"]["message"]
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) > 2
        assert said == "all projects together may use 2 tokens a minute, and they are used up."
        assert len(front.model.seen.calls) == 1
