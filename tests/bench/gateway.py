"""What the model gateway adds to the first byte, and how many streams at once it carries.

The scripted model, the gateway and who asks are three processes. The baseline asks the model directly, each
call next to one through the gateway.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil

from config.settings import ModelGatewaySettings
from core.clock import SystemClock
from core.gateway.service import Gateway, RunStart
from core.store.ledger import Call
from tests.bench.figure import Figure, milliseconds, quantile

ROOT = Path(__file__).parents[2]
_BAR_SECONDS = 0.002
_SCRIPT = 'MODEL-SCRIPT:[{"event_seconds": 0.4}, {"text": "%s"}]'  # some dozens of events
_WORDS = "word " * 12
_RUN = RunStart(
    run_id="run", project="bench", story_id=None, phase="design", agent="none", provider="anthropic"
)


@dataclass(kw_only=True)
class _Front:
    direct: str
    through: str
    token: str
    gateway: Gateway
    http: aiohttp.ClientSession
    calls: list[Call] = field(default_factory=list)


def measure(*, calls: int, streams: int) -> list[Figure]:
    return asyncio.run(_measure(calls, streams))


async def _measure(calls: int, streams: int) -> list[Figure]:
    async with _front() as front:
        direct, through = await _first_bytes(front, calls)
        added = [one - other for one, other in zip(through, direct, strict=True)]
        extra = quantile(through, 0.99) - quantile(direct, 0.99)
        middle = quantile(through, 0.5) - quantile(direct, 0.5)
        own = (await front.gateway.view()).added_p99_ms or 0.0
        figures = [
            Figure(
                what=f"time to first byte by the gateway, p50 of {calls}",
                value=milliseconds(quantile(through, 0.5)),
                baseline=milliseconds(quantile(direct, 0.5)),
                ratio=quantile(through, 0.5) / quantile(direct, 0.5),
                bar=f"adds <= {_BAR_SECONDS * 1000:g} ms",
                holds=middle <= _BAR_SECONDS,
                note=f"adds {middle * 1000:.2f} ms; pair by pair {quantile(added, 0.5) * 1000:.2f} ms",
            ),
            Figure(
                what="the same, p99",
                value=milliseconds(quantile(through, 0.99)),
                baseline=milliseconds(quantile(direct, 0.99)),
                ratio=quantile(through, 0.99) / quantile(direct, 0.99),
                bar=f"adds <= {_BAR_SECONDS * 1000:g} ms",
                holds=extra <= _BAR_SECONDS,
                note=f"adds {extra * 1000:.2f} ms; {own:.2f} ms by its own clock",
            ),
        ]
        return [*figures, *await _many(front, streams)]


async def _first_bytes(front: _Front, calls: int) -> tuple[list[float], list[float]]:
    direct: list[float] = []
    through: list[float] = []
    for number in range(-20, calls):
        for url, found in ((front.direct, direct), (front.through, through)):
            seconds = await _first_byte(front, url, "hi")
            if number >= 0:  # the first ones make connections
                found.append(seconds)
    return direct, through


async def _first_byte(front: _Front, url: str, prompt: str) -> float:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    began = time.perf_counter()
    async with front.http.post(url, json=body, headers={"x-api-key": front.token}) as answer:
        await answer.content.readany()
        seconds = time.perf_counter() - began
        await answer.read()
        return seconds


async def _many(front: _Front, streams: int) -> list[Figure]:
    """All open at the same time: each waits between its events until the last has begun, and longer."""
    await front.gateway.close_run("run")
    before = len(front.calls)
    pid = front.gateway.pid
    assert pid is not None
    process = psutil.Process(pid)
    front.token = await front.gateway.open_run(dataclasses.replace(_RUN, run_id="many"))
    idle, cpu = process.memory_info().rss, sum(process.cpu_times()[:2])
    most = [0, idle]
    watching = asyncio.create_task(_watch(front, process, most), name="watch")
    began = time.perf_counter()
    prompt = _SCRIPT % _WORDS
    ended = await asyncio.gather(*(_whole(front, prompt) for _ in range(streams)))
    seconds = time.perf_counter() - began
    watching.cancel()
    await asyncio.wait({watching})
    used = sum(process.cpu_times()[:2]) - cpu
    async with asyncio.timeout(30):
        while len(front.calls) - before < streams:  # noqa: ASYNC110 - a benchmark asks of a plain list
            await asyncio.sleep(0.01)
    told = sum(tokens for _, tokens in ended)
    metered = sum(call.output_tokens for call in front.calls[before:])
    whole = sum(complete for complete, _ in ended)
    kilobytes = (most[1] - idle) / 1024 / streams
    return [
        Figure(
            what=f"{streams} streams at once, answered to their end",
            value=str(whole),
            bar=str(streams),
            holds=whole == streams,
            note=f"{most[0]} in flight together; {seconds:.1f} s; {used:.1f} s of processor, "
            f"{used / streams * 1000:.1f} ms each; {most[1] >> 20} MB, {kilobytes:.0f} KB each",
        ),
        Figure(
            what="their tokens, metered against told",
            value=str(metered),
            baseline=str(told),
            ratio=metered / told if told else None,
            bar="exact",
            holds=metered == told,
        ),
    ]


async def _whole(front: _Front, prompt: str) -> tuple[bool, int]:
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": prompt}]}
    async with front.http.post(front.through, json=body, headers={"x-api-key": front.token}) as answer:
        raw = await answer.read()
    events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]
    usage = next((each["usage"] for each in events if each["type"] == "message_delta"), {})
    return events[-1]["type"] == "message_stop", usage.get("output_tokens", 0)


async def _watch(front: _Front, process: psutil.Process, most: list[int]) -> None:
    while True:
        most[0] = max(most[0], (await front.gateway.view()).in_flight)
        most[1] = max(most[1], process.memory_info().rss)
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _front() -> AsyncIterator[_Front]:
    calls: list[Call] = []

    async def take(new: tuple[Call, ...]) -> None:
        calls.extend(new)

    async with AsyncExitStack() as stack:
        model = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
            [sys.executable, "-m", "tests.model_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        stack.callback(model.communicate)
        stack.callback(model.kill)
        assert model.stdout is not None
        url = json.loads(model.stdout.readline())["url"]
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="orchard-bench-"))
        providers = {"anthropic": {"base_url": url, "key_variables": ["KEY"]}}
        gateway = await stack.enter_async_context(
            Gateway.open(
                Path(folder),
                ModelGatewaySettings.model_validate({"providers": providers}),
                {"KEY": "scripted"},
                SystemClock(),
                on_calls=take,
            )
        )
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=300)
            )
        )
        yield _Front(
            direct=f"{url}/v1/messages",
            through=f"{gateway.base_url('anthropic')}/v1/messages",
            token=await gateway.open_run(_RUN),
            gateway=gateway,
            http=http,
            calls=calls,
        )
