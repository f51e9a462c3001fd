from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from core.executors import local
from core.executors.local import LocalExecutor, WorkerHandle
from core.rpc import Peer, PeerGone
from tests.integration.nursery import forked_templates
from tests.waiting import SECONDS, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def executor(tmp_path: Path) -> AsyncIterator[LocalExecutor]:
    """Its template does all that a real one does, but was forked with its imports; the last tests start real
    ones."""
    with forked_templates():
        async with LocalExecutor.open(tmp_path / "logs") as opened:
            yield opened


@asynccontextmanager
async def _talk(handle: WorkerHandle) -> AsyncIterator[Peer]:
    async def beat(params: dict[str, object]) -> None:
        pass

    peer = Peer(handle.reader, handle.writer, {"heartbeat": beat})
    task = asyncio.create_task(peer.run())
    try:
        yield peer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _template_pid(executor: LocalExecutor) -> int:
    assert executor._template is not None
    return executor._template.process.pid


async def test_a_forked_worker_answers_and_is_its_own_session(executor: LocalExecutor) -> None:
    handle = await executor.start("shop")
    async with _talk(handle) as peer:
        assert (await peer.call("ping", timeout=SECONDS))["pid"] == handle.pid
    process = psutil.Process(handle.pid)
    assert process.ppid() == _template_pid(executor)
    assert os.getsid(handle.pid) == handle.pid
    stat = Path(f"/proc/{handle.pid}/stat").read_text().rpartition(")")[2].split()
    assert handle.start_ticks == int(stat[19])


async def test_stopping_is_graceful_and_a_second_stop_is_fine(executor: LocalExecutor) -> None:
    handle = await executor.start("shop")
    async with _talk(handle) as peer:
        await peer.call("ping", timeout=SECONDS)
        assert str(await handle.stop(SECONDS)) == "exit code 0"
    assert (await handle.stop(SECONDS)).code == 0
    assert not psutil.pid_exists(handle.pid)


async def test_a_killed_worker_says_how_and_open_calls_fail(executor: LocalExecutor) -> None:
    handle = await executor.start("shop")
    async with _talk(handle) as peer:
        await peer.call("ping", timeout=SECONDS)
        os.kill(handle.pid, signal.SIGSTOP)
        call = asyncio.create_task(peer.call("ping", timeout=SECONDS))
        await asyncio.sleep(0)
        handle.kill()
        with pytest.raises(PeerGone):
            await call
    assert str(await handle.wait()) == "killed by SIGKILL"


async def test_a_worker_that_stands_still_is_killed_after_the_grace(executor: LocalExecutor) -> None:
    handle = await executor.start("shop")
    async with _talk(handle) as peer:
        await peer.call("ping", timeout=SECONDS)
    os.kill(handle.pid, signal.SIGSTOP)
    assert (await handle.stop(0.2)).signal == signal.SIGKILL


async def test_a_worker_ends_when_its_input_ends(executor: LocalExecutor) -> None:
    handle = await executor.start("shop")
    async with _talk(handle) as peer:
        await peer.call("ping", timeout=SECONDS)
        handle.writer.close()
        async with asyncio.timeout(SECONDS):
            assert (await handle.wait()).code == 0


async def test_many_start_at_once(executor: LocalExecutor) -> None:
    handles = await asyncio.gather(*(executor.start(f"p{number}") for number in range(8)))
    assert len({handle.pid for handle in handles}) == 8
    for handle in handles:
        async with _talk(handle) as peer:
            assert (await peer.call("ping", timeout=SECONDS))["pid"] == handle.pid


async def test_workers_outlive_their_template_and_new_ones_start_without_it(executor: LocalExecutor) -> None:
    old = await executor.start("old")
    os.kill(_template_pid(executor), signal.SIGKILL)
    assert executor._template is not None
    await until(lambda: executor._template is not None and executor._template.dead)
    new = await executor.start("new")
    for handle in (old, new):
        async with _talk(handle) as peer:
            assert (await peer.call("ping", timeout=SECONDS))["pid"] == handle.pid
    assert (await new.stop(SECONDS)).code == 0
    old.kill()
    async with asyncio.timeout(SECONDS):
        assert await old.wait()


async def test_a_template_that_lived_a_while_is_replaced(executor: LocalExecutor) -> None:
    assert executor._template is not None
    await executor._template.ready
    executor._template.born -= 3600
    first = _template_pid(executor)
    os.kill(first, signal.SIGKILL)
    await until(lambda: executor._template is not None and executor._template.dead)
    await executor.start("shop")
    assert _template_pid(executor) != first
    handle = await executor.start("toys")
    assert psutil.Process(handle.pid).ppid() == _template_pid(executor)


async def test_what_a_worker_prints_goes_to_its_log_and_not_into_the_conversation(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    handle = await executor.start("shop")
    async with _talk(handle) as peer:
        await peer.call("ping", timeout=SECONDS)
        assert "shop" in str(Path(f"/proc/{handle.pid}/fd/1").readlink())
        assert Path(f"/proc/{handle.pid}/fd/1").readlink() == tmp_path / "logs" / "worker-shop.log"
        assert Path(f"/proc/{handle.pid}/fd/0").readlink() == Path("/dev/null")


async def test_a_template_that_cannot_be_started_leaves_no_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    pair = socket.socketpair

    def noted(*of: int) -> tuple[socket.socket, socket.socket]:
        made.extend(both := pair(*of))
        return both

    def fail(*_: object, **__: object) -> None:
        raise BlockingIOError("no more processes")

    executor = LocalExecutor(tmp_path)
    monkeypatch.setattr(local.socket, "socketpair", noted)
    monkeypatch.setattr(local.subprocess, "Popen", fail)
    with pytest.raises(BlockingIOError):
        executor._spawn_template()
    assert [one.fileno() for one in made] == [-1, -1]


async def test_closing_leaves_nothing(tmp_path: Path) -> None:
    async with LocalExecutor.open(tmp_path / "logs") as executor:
        handles = [await executor.start(name) for name in ("a", "b")]
        pids = [_template_pid(executor), *(handle.pid for handle in handles)]
    assert not any(psutil.pid_exists(pid) for pid in pids)


_CONTROL_PLANE = """
import asyncio, sys
from pathlib import Path
from core.executors import local
from core.executors.local import LocalExecutor

async def main():
    async with LocalExecutor.open(Path(sys.argv[1])) as executor:
        handle = await executor.start("shop")
        await handle.reader.readline()  # its first heartbeat
        print(executor._template.process.pid, handle.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_nothing_is_left_when_the_control_plane_is_killed(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CONTROL_PLANE, str(tmp_path), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in (await process.stdout.readline()).split()]
    assert len(pids) == 2
    process.kill()
    await process.wait()
    await until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
