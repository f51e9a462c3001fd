"""The gateway and the control plane are killed while answers stream."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from core.store.ledger import CallStatus
from tests.model_server.script import Fault
from tests.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[3]


async def _read_all(answer: aiohttp.ClientResponse) -> None:
    with suppress(aiohttp.ClientError):
        await answer.read()


async def test_killed_amid_streams_it_comes_back_and_counts_each_call_once(front: Any) -> None:
    run_id, token = await front.run("anthropic")
    client = front.client("anthropic")
    for _ in range(5):
        await client.ask("anthropic", key=token)
    front.model.fail_next(Fault(hang_after=2, times=4))
    path, body = client.request("anthropic", "hi", True, [])
    answers = [
        await front.http.post(client.url + path, json=body, headers={"x-api-key": token}) for _ in range(4)
    ]
    for answer in answers:
        assert b"message_start" in await answer.content.readany()
    killed = front.gateway.pid
    os.kill(killed, signal.SIGKILL)
    await asyncio.gather(*map(_read_all, answers))
    # The same address and token, at once: who comes meanwhile waits, and is not refused.
    said = await client.ask("anthropic", prompt="still there?", key=token)
    assert said
    await front.gateway.close_run(run_id)
    assert front.gateway.pid not in (None, killed)
    assert (await front.gateway.view()).restarts == 1
    seen = front.model.seen.calls
    calls = list(front.calls.values())
    assert front.twice == []
    assert len(calls) == len(seen) == 10
    assert [call.status for call in calls].count(CallStatus.CUT) == 4
    assert sum(call.input_tokens for call in calls) == sum(each.told_so_far.fresh for each in seen) > 0
    assert sum(call.output_tokens for call in calls) == sum(each.told_so_far.output for each in seen)
    assert len(list((front.state / "gateway").glob("calls-*.jsonl"))) == 1  # of the new process


_CONTROL_PLANE = """
import asyncio, json, sys
from pathlib import Path
from config.settings import ModelGatewaySettings
from core.clock import SystemClock
from core.gateway.service import Gateway, RunStart


async def main(state, url):
    async def take(calls):
        raise OSError("nothing is ever recorded here")
    providers = {"anthropic": {"base_url": url, "key_variables": ["K"]}}
    settings = ModelGatewaySettings.model_validate({"providers": providers})
    async with Gateway.open(Path(state), settings, {"K": "sk-real"}, SystemClock(), on_calls=take) as gateway:
        run = RunStart(
            run_id="r", project="shop", story_id=None, phase="design", agent="echo", provider="anthropic"
        )
        token = await gateway.open_run(run)
        told = {"url": gateway.base_url("anthropic"), "token": token, "pid": gateway.pid}
        print(json.dumps(told), flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def _control_plane(state: Path, url: str) -> AsyncIterator[tuple[Any, dict[str, Any]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CONTROL_PLANE, str(state), url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_control_plane_is_killed_and_the_next_one_records_what_was_left(
    tmp_path: Path, model: Any, open_front: Any
) -> None:
    async with aiohttp.ClientSession() as http, _control_plane(tmp_path, model.url) as (process, told):
        model.fail_next(Fault(hang_after=2))
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"x-api-key": told["token"]}
        for _ in range(2):  # one hangs, one ends
            answer = await http.post(f"{told['url']}/v1/messages", json=body, headers=headers)
            assert b"message_start" in await answer.content.readany()
        await answer.read()
        gateway = psutil.Process(told["pid"])
        process.kill()
        await asyncio.to_thread(gateway.wait, 50)  # it ends by itself
    async with open_front(tmp_path) as front:
        statuses = sorted(call.status.value for call in front.calls.values())
        assert statuses == ["answered", "cut"]
        assert sum(call.input_tokens for call in front.calls.values()) == sum(
            each.told_so_far.fresh for each in model.seen.calls
        )
        run_id, token = await front.run("anthropic")
        await front.client("anthropic").ask("anthropic", key=token)
        await front.gateway.close_run(run_id)
        assert len(front.calls) == 3
        assert front.twice == []


async def test_what_cannot_be_recorded_now_is_recorded_later(front: Any) -> None:
    fails = [OSError("the disk"), OSError("the disk")]
    take = front.gateway._intake.take

    async def taking(calls: Any) -> None:
        if fails:
            raise fails.pop()
        await take(calls)

    front.gateway._intake.take = taking
    _, token = await front.run("openai")
    client = front.client("openai")
    for _ in range(3):
        await client.ask("openai_chat", key=token)
        await asyncio.sleep(0.05)
    run_id, _ = await front.run("openai")
    await front.gateway.close_run(run_id)
    await until(lambda: len(front.calls) == 3)
    assert front.twice == []


async def test_a_gateway_that_outlives_its_control_plane_is_ended_by_the_next(
    tmp_path: Path, model: Any, open_front: Any
) -> None:
    async with _control_plane(tmp_path, model.url) as (process, told):
        os.kill(told["pid"], signal.SIGSTOP)
        process.kill()
        await process.wait()
        async with open_front(tmp_path) as front:
            run_id, token = await front.run("anthropic")
            assert await front.client("anthropic").ask("anthropic", key=token)
            await front.gateway.close_run(run_id)
            assert len(front.calls) == 1
        with suppress(psutil.NoSuchProcess):
            assert psutil.Process(told["pid"]).status() == "zombie"
