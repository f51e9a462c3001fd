"""An answer that overtakes discord.py's own note of when it sent the heartbeat."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

from discord import gateway

from bot.discord.heartbeat import Heartbeat, timed_heartbeats

AGO_SECONDS = 41.25  # an interval


async def test_an_answer_that_is_read_at_once_is_near() -> None:
    socket: Any = SimpleNamespace(
        thread_id=0, loop=asyncio.get_running_loop(), _max_heartbeat_timeout=60.0, sequence=7, HEARTBEAT=1
    )
    answered = asyncio.Event()

    async def send_heartbeat(payload: dict[str, Any]) -> None:
        assert payload == {"op": 1, "d": 7}
        beating.ack()  # the thread waits still for this to return
        answered.set()

    socket.send_heartbeat = send_heartbeat
    beating = Heartbeat(ws=socket, interval=0.01, shard_id=None)
    beating._last_send = time.perf_counter() - AGO_SECONDS
    beating.start()
    await answered.wait()
    beating.stop()
    assert beating.latency < AGO_SECONDS
    await asyncio.to_thread(beating.join)


def test_discord_py_is_left_as_it_was() -> None:
    own = gateway.KeepAliveHandler
    with timed_heartbeats():
        assert gateway.KeepAliveHandler is Heartbeat
    assert gateway.KeepAliveHandler is own
