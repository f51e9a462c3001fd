"""What the sandbox costs a launch, against the same program started bare."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from pathlib import Path

from core.isolation.container.probe import with_container
from core.isolation.launch import DEVNULL, run
from core.isolation.machine import probe_machine
from core.isolation.plan import Door, Level, Limits, Sandbox, plan_launch
from tests.bench.figure import Figure, milliseconds, quantile

_PROGRAM = "/bin/true"
_BARS_MS = {Level.FILESYSTEM: 30, Level.NETWORK: 30, Level.CONTAINER: 600}  # over the bare launch
_WITH_DOORS = (Level.NETWORK, Level.CONTAINER)


def measure(*, launches: int) -> list[Figure]:
    return asyncio.run(_measure(launches))


async def _measure(launches: int) -> list[Figure]:
    machine = await with_container(await probe_machine())
    bare: list[float] = []
    found: dict[Level, list[float]] = {level: [] for level in machine.levels}
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        folder = Path(name).resolve()
        (folder / "work").mkdir()
        with socket.socket(socket.AF_UNIX) as way_out:  # nobody goes through it
            way_out.bind(str(folder / "door"))
        doors = dict.fromkeys(_WITH_DOORS, (Door(socket=folder / "door", port=13128, proxy=True),))
        for _ in range(launches):  # in turns, so that what else the machine does falls on all of them
            bare.append(await _bare())
            for level, seconds in found.items():
                sandbox = Sandbox(
                    level=level,
                    cwd=folder / "work",
                    home=folder,
                    writable=(folder / "work",),
                    doors=doors.get(level, ()),
                    limits=Limits(memory_mb=512, processes=64, open_files=256),
                )
                began = time.monotonic()
                await run(plan_launch([_PROGRAM], sandbox, machine), timeout_seconds=60)
                seconds.append(time.monotonic() - began)
    return [_figure(level, seconds, quantile(bare, 0.5)) for level, seconds in found.items()]


def _figure(level: Level, seconds: list[float], base: float) -> Figure:
    median = quantile(seconds, 0.5)
    bar = _BARS_MS.get(level)
    return Figure(
        what=f"a launch at level {level}, median of {len(seconds)}",
        value=milliseconds(median),
        baseline=milliseconds(base),
        ratio=median / base,
        bar="" if bar is None else f"{bar} ms over it",
        holds=None if bar is None else (median - base) * 1000 <= bar,
        note=f"best {milliseconds(min(seconds))}, p95 {milliseconds(quantile(seconds, 0.95))}; "
        "started, ended, nothing left",
    )


async def _bare() -> float:
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(_PROGRAM, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    await process.wait()
    return time.monotonic() - began
