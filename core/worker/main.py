"""A project's worker process: JSON-RPC lines on its standard input and output, its log on standard error.

It holds no state of record. When its input ends, the control plane has died: it ends everything that it
started and exits at once, and the next worker goes on from the store's word. On TERM it stops its agents by
their ladder first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import stat
import sys
from contextlib import suppress
from typing import NoReturn

from core.known_secrets import be_discreet
from core.rpc import LINE_LIMIT, Peer, prepare
from core.worker.contract import MESSAGES, Heartbeat
from core.worker.environments import find_python
from core.worker.handlers import Worker
from core.worker.remote_contract import REMOTE_MESSAGES

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
_STOP_SECONDS = 15.0  # the agents' ladder takes up to 9 s
_FLUSH_SECONDS = 5.0


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> None:
    """Works until told to end, or until nobody is there to work for. Nothing that it started is left then."""
    worker = Worker()
    peer = Peer(reader, writer, worker.handlers())
    worker.tell.peer = peer
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.ended.set)
    tasks = [
        asyncio.create_task(peer.run(), name="conversation"),
        asyncio.create_task(_beat(worker, heartbeat_seconds), name="heartbeat"),
    ]
    told = asyncio.create_task(worker.ended.wait(), name="told to end")
    gone = asyncio.create_task(peer.ended.wait(), name="control plane gone")
    await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        logger.warning("the control plane has gone")
        await worker.kill()
        await asyncio.wait(tasks[:1], timeout=_STOP_SECONDS)  # handlers end the commands that they wait for
    else:
        worker.wish_end()
        await peer.settle(_STOP_SECONDS)
        await worker.kill()
        writer.close()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await writer.wait_closed()
    for task in tasks:
        task.cancel()


async def _beat(worker: Worker, seconds: float) -> None:
    while True:
        await worker.tell.heartbeat(Heartbeat(pid=os.getpid(), running=worker.running))
        await asyncio.sleep(seconds)


async def _streams(incoming: int, outgoing: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if stat.S_ISSOCK(os.fstat(incoming).st_mode):
        # One socket is both ends. As a write pipe, asyncio would take what comes in for its close.
        os.close(outgoing)
        return await asyncio.open_connection(sock=socket.socket(fileno=incoming), limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, os.fdopen(incoming, "rb", 0))
    transport, flow = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(outgoing, "wb", 0)
    )
    return reader, asyncio.StreamWriter(transport, flow, None, loop)


def _take_stdio() -> tuple[int, int]:
    """The conversation's two ends, out of everybody's way: what anything prints goes to the log instead."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return incoming, outgoing


def warm_up() -> None:
    """What each worker would find out or build for itself, for a template that workers are forked from."""
    prepare(*MESSAGES, *REMOTE_MESSAGES)
    find_python()


def run_worker(heartbeat_seconds: float = HEARTBEAT_SECONDS) -> NoReturn:
    """The whole life of a worker process."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    be_discreet()
    incoming, outgoing = _take_stdio()
    if sys.version_info < (3, 12):  # as from there on by itself; else each git costs a thread, 1 ms
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())

    async def live() -> NoReturn:
        reader, writer = await _streams(incoming, outgoing)
        await serve(reader, writer, heartbeat_seconds)
        sys.stderr.flush()
        # At once: nothing of ours is worth waiting for, and a forked worker must not run its template's
        # exit hooks.
        os._exit(0)

    asyncio.run(live())
    raise AssertionError("not reached")
