"""Memory and start of worker processes, against a plain process that only imports the agents' protocol."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core.executors.local import LocalExecutor
from core.isolation.fences import Fences
from core.isolation.limits import ProjectLimits
from core.rpc import Peer
from tests.bench.figure import Figure, milliseconds, quantile

_LIMITS = ProjectLimits(memory_mb=4096, cpu_weight=1, processes=4096, disk_mb=10240)  # as settings give them
_BAR_MB, _BAR_SECONDS = 30.0, 0.3
_PLAIN = "import acp, sys; print('ready', flush=True); sys.stdin.read()"


def measure(*, workers: int, plain: int = 3) -> list[Figure]:
    memory, starts, warm = asyncio.run(_workers(workers))
    plain_memory, plain_starts = _plain_processes(plain)
    typical, base = quantile(memory, 0.5), max(plain_memory)
    slowest, base_start = quantile(starts, 0.95), quantile(plain_starts, 0.5)
    return [
        Figure(
            what=f"memory (PSS) of a worker, of {workers}",
            value=f"{max(memory):.1f} MB",
            baseline=f"{base:.1f} MB",
            ratio=max(memory) / base,
            bar=f"<= {_BAR_MB:g} MB",
            holds=max(memory) <= _BAR_MB,
            note=f"median {typical:.1f} MB; baseline: `import acp` alone",
        ),
        Figure(
            what="start of a worker until it answers, p95",
            value=milliseconds(slowest),
            baseline=milliseconds(base_start),
            ratio=slowest / base_start,
            bar=f"<= {_BAR_SECONDS * 1000:g} ms",
            holds=slowest <= _BAR_SECONDS,
            note=f"in its fence; median {milliseconds(quantile(starts, 0.5))}; "
            f"the template, once: {milliseconds(warm)}",
        ),
    ]


async def _workers(count: int) -> tuple[list[float], list[float], float]:
    """PSS in MB and seconds to the first answer of each worker; seconds of the template's start."""
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as folder:
        began = time.monotonic()
        async with (
            Fences.open(lambda breach: None, opened=lambda project: _LIMITS) as fences,
            LocalExecutor.open(Path(folder), fences=fences) as executor,
        ):
            started: list[tuple[int, Peer, asyncio.Task[None]]] = []
            seconds = []
            warm = 0.0
            for number in range(count + 1):
                at = time.monotonic()
                handle = await executor.start(f"bench{number}")
                peer = Peer(handle.reader, handle.writer, {"heartbeat": _heard})
                running = asyncio.create_task(peer.run(), name=f"peer {number}")
                await peer.call("ping", {}, timeout=30)
                if number == 0:  # it waited for the template
                    warm = time.monotonic() - began
                else:
                    seconds.append(time.monotonic() - at)
                started.append((handle.pid, peer, running))
            memory = [pss_mb(pid) for pid, _, _ in started[1:]]
            for _, _, running in started:
                running.cancel()
            await asyncio.gather(*(running for _, _, running in started), return_exceptions=True)
    return memory, seconds, warm


async def _heard(params: object) -> None:
    """A worker's heartbeat."""


def _plain_processes(count: int) -> tuple[list[float], list[float]]:
    """As many at a time, as workers are: what they share counts for each in part."""
    processes = []
    seconds = []
    try:
        for _ in range(count):
            at = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-c", _PLAIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            processes.append(process)
            assert process.stdout is not None
            process.stdout.readline()
            seconds.append(time.monotonic() - at)
        return [pss_mb(process.pid) for process in processes], seconds
    finally:
        for process in processes:
            process.communicate(b"")


def pss_mb(pid: int) -> float:
    """Proportional set size: private memory, and the process's share of what is shared."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
