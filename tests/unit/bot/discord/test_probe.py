"""What is measured of Discord, over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp import web

from bot.discord.probe import DiscordProbe

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def seen(probe: DiscordProbe) -> dict[str, float]:
    return {sample.metric: sample.value for sample in probe.samples(NOON)}


async def test_answers_that_say_too_many_are_counted() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.match_info["status"]))

    server = web.Application()
    server.router.add_get("/{status}", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    probe = DiscordProbe(lambda: None)
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession(trace_configs=[probe.trace]) as session:
            for status in (200, 429, 500, 429):
                async with session.get(f"http://{host}:{port}/{status}") as response:
                    assert response.status == status
    finally:
        await runner.cleanup()

    assert seen(probe) == {"discord_rate_limited": 2.0}


@pytest.mark.parametrize("latency", [float("nan"), float("inf")])
def test_before_the_first_heartbeat_there_is_no_latency(latency: float) -> None:
    client = SimpleNamespace(latency=latency)

    assert "discord_latency" not in seen(DiscordProbe(lambda: client))
    client.latency = 0.04
    assert seen(DiscordProbe(lambda: client))["discord_latency"] == 0.04
