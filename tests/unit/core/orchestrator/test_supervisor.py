"""The supervisor of workers; its one worker is played."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

from core.orchestrator.supervisor import SupervisionTimes, Supervisor
from core.rpc import Peer


async def test_a_worker_that_took_long_to_be_ready_is_not_taken_for_silent():
    now, killed, ended = 0.0, [], asyncio.Event()
    ours, theirs = socket.socketpair()

    async def ping(params):
        nonlocal now
        now = 50.0

    async def stop(seconds):
        killed.append(seconds)

    async def quiet(*about, **more):
        return None

    (reader, writer), (its_reader, its_writer) = [
        await asyncio.open_connection(sock=end) for end in (ours, theirs)
    ]
    working = asyncio.create_task(Peer(its_reader, its_writer, {"ping": ping}).run())
    handle = SimpleNamespace(pid=1, reader=reader, writer=writer, stop=stop, wait=ended.wait)

    async def start(project):
        return handle

    supervisor = Supervisor(
        SimpleNamespace(start=start),
        SimpleNamespace(handlers_for=lambda *_: {}, worker_started=quiet, worker_ended=quiet),
        clock=SimpleNamespace(monotonic=lambda: now),
        times=SupervisionTimes(heartbeat_timeout=30.0),
    )
    await supervisor.ensure("shop")
    await supervisor.kill_silent()
    assert killed == []
    now += 31.0
    await supervisor.kill_silent()
    assert killed == [0]
    ended.set()
    await supervisor.stop_all()
    for each in (writer, its_writer):
        each.close()
        await each.wait_closed()
    await working
