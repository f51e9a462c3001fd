"""A call over the limit is held, and goes on or ends as people decide."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.domain.budget import Account, AccountLimit, Amounts, Day, Limits
from core.gateway.contract import Times
from tests.model_server.script import Fault
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORY = Account(project="shop", story_id="shop-1")


def _limit(tokens: int, spent: int = 0) -> AccountLimit:
    return AccountLimit(account=STORY, spent=Amounts(tokens=spent), limits=Limits(tokens=tokens))


async def test_a_call_over_the_limit_is_held_and_sent_after_a_raise(front: Any) -> None:
    run_id, token = await front.run("anthropic", (_limit(100, spent=100),))
    asked = asyncio.create_task(front.client("anthropic").ask("anthropic", key=token))
    await until(lambda: front.reached)
    assert front.reached == [(run_id, STORY)]
    facts = await front.facts("anthropic", token)
    assert facts["held"] == "budget"
    assert front.model.seen.calls == []
    await front.gateway.set_accounts((_limit(100_000, spent=100),))
    assert await asked
    await front.gateway.close_run(run_id)
    assert len(front.calls) == 1


async def test_what_was_used_counts_for_the_next_call_also_in_a_new_process(front: Any) -> None:
    run_id, token = await front.run("openai", (_limit(1),))
    await front.client("openai").ask("openai_responses", key=token)
    await until(lambda: front.calls)
    killed = front.gateway.pid
    os.kill(killed, signal.SIGKILL)
    await until(lambda: front.gateway.pid not in (None, killed))
    asked = asyncio.create_task(front.client("openai").ask("openai_responses", key=token))
    await until(lambda: front.reached)
    assert len(front.model.seen.calls) == 1
    asked.cancel()
    await front.gateway.close_run(run_id)


async def test_a_run_that_is_closed_ends_the_calls_it_holds(front: Any) -> None:
    run_id, token = await front.run("gemini", (_limit(0),))
    client = front.client("gemini")
    path, body = client.request("gemini", "hi", True, [])
    asked = asyncio.create_task(client.post(path, body, token))
    await until(lambda: front.reached)
    await front.gateway.close_run(run_id)
    status, raw, _ = await asked
    assert (status, json.loads(raw)["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert front.calls == {}


async def test_no_call_is_held_longer_than_agents_bear(tmp_path: Path, open_front: Any) -> None:
    async with open_front(tmp_path, times=Times(hold=0.3)) as front:
        _, token = await front.run("openai", (_limit(0),))
        client = front.client("openai")
        path, body = client.request("openai_chat", "hi", False, [])
        status, raw, headers = await client.post(path, body, token)
        assert (status, int(headers["retry-after"])) == (429, 30)
        assert "may use no tokens" in json.loads(raw)["error"]["message"]


async def test_calls_that_ask_at_once_do_not_pass_the_limit_together(front: Any) -> None:
    """Each reserves its estimate; the figures of one are some dozens, its estimate some thousands."""
    run_id, token = await front.run("anthropic", (_limit(2_500),))
    client = front.client("anthropic")
    await asyncio.gather(*(client.ask("anthropic", prompt="hi", key=token) for _ in range(8)))
    await front.gateway.close_run(run_id)
    assert len(front.calls) == 8
    assert sum(call.took.tokens for call in front.calls.values()) < 2_500


async def test_a_call_that_outlives_its_day_counts_once_and_the_next_meets_the_new_day(front: Any) -> None:
    """Midnight comes while its run's call is under way; the new day's account comes a little later."""
    now = datetime.now(UTC)
    old = Day(date=now.date(), start=now - timedelta(hours=1), end=now + timedelta(seconds=0.5))
    new = Day(date=now.date() + timedelta(days=1), start=old.end, end=old.end + timedelta(days=1))
    limits = Limits(tokens=1)
    yesterday, today = (Account(project="shop", day=day) for day in (old, new))
    first = AccountLimit(account=yesterday, spent=Amounts(), limits=limits)
    run_id, token = await front.run("anthropic", (first,))
    client = front.client("anthropic")
    front.model.fail_next(Fault(first_byte_seconds=0.7))
    asked = asyncio.create_task(client.ask("anthropic", key=token))
    await front.model.until(lambda seen: len(seen.calls) == 1)
    assert await asked
    await front.gateway.set_accounts((AccountLimit(account=today, spent=Amounts(tokens=7), limits=limits),))
    held = asyncio.create_task(client.ask("anthropic", key=token))
    await until(lambda: front.reached)
    assert front.reached[-1] == (run_id, today)
    assert [each.account for each in front.gateway.run(run_id).accounts] == [today]
    raised = AccountLimit(account=today, spent=Amounts(tokens=7), limits=Limits(tokens=10**6))
    await front.gateway.set_accounts((raised,))
    assert await held
    await front.gateway.close_run(run_id)
    assert len(front.calls) == 2
    assert front.twice == []
