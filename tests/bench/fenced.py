"""What a project's fence costs: a worker that enters it, a launch inside it, a change of limits; and how near
the shares of a busy processor come to the weights."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from core.executors.local import LocalExecutor
from core.isolation import enter
from core.isolation.fence import Fence
from core.isolation.fences import Fences
from core.isolation.launch import run
from core.isolation.limits import Breach, ProjectLimits
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Sandbox, plan_launch
from tests.bench.figure import Figure, milliseconds, quantile

_SHARE_BAR = 0.10  # of the ratio of two projects' processor time, from the ratio of their weights
_SPIN = "while True: pass"


def measure(*, launches: int, seconds: float) -> list[Figure]:
    return asyncio.run(_measure(launches, seconds))


async def _measure(launches: int, seconds: float) -> list[Figure]:
    async with Fences.open(_ignore) as fences:
        means = ", ".join(f"{one.resource} by {one.means}" for one in fences.enforcement)
        return [
            await _workers(fences, launches, means),
            await _launches(fences.fence("launches"), launches),
            _changes(fences, launches),
            await _shares(fences, seconds),
        ]


async def _workers(fences: Fences, count: int, means: str) -> Figure:
    found: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        async with (
            LocalExecutor.open(Path(name) / "bare") as bare,
            LocalExecutor.open(Path(name) / "fenced", fences=fences) as fenced,
        ):
            for number in range(count + 1):  # the first of each waits for its template
                for inside, executor in ((False, bare), (True, fenced)):
                    began = time.monotonic()
                    worker = await executor.start("bench")
                    await worker.reader.readline()
                    if number:
                        found[inside].append(time.monotonic() - began)
                    await worker.stop(0)
    return _against(f"a worker speaks inside its fence, median of {count}", found, note=means)


async def _launches(fence: Fence, count: int) -> Figure:
    """By a program that lives inside, as a worker does, in turns with one outside."""
    found: dict[bool, list[float]] = {False: [], True: []}
    rounds = 4
    for _ in range(rounds):
        for inside in (False, True):
            entry = json.dumps(fence.entry if inside else {})
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", enter.__file__, entry, "--",
                sys.executable, "-m", "tests.bench.fenced", str(max(1, count // rounds)),
                stdout=subprocess.PIPE,
            )  # fmt: skip
            output, _ = await process.communicate()
            found[inside] += json.loads(output)
    return _against(f"a launch inside a fence, median of {count}", found, note="against one outside")


def _against(what: str, found: dict[bool, list[float]], *, note: str) -> Figure:
    inside, outside = (quantile(found[where], 0.5) for where in (True, False))
    return Figure(
        what=what,
        value=milliseconds(inside),
        baseline=milliseconds(outside),
        ratio=inside / outside,
        note=note,
    )


def _changes(fences: Fences, count: int) -> Figure:
    spent = []
    for number in range(count):
        began = time.monotonic()
        fences.apply("bench", ProjectLimits(memory_mb=500 + number, cpu_weight=2, cpu_cores=1, processes=99))
        spent.append(time.monotonic() - began)
    return Figure(
        what=f"new limits for what lives, median of {count}",
        value=f"{quantile(spent, 0.5) * 1e6:.0f} us",
        note=f"p95 {quantile(spent, 0.95) * 1e6:.0f} us",
    )


async def _shares(fences: Fences, seconds: float) -> Figure:
    weights = {"light": 1.0, "heavy": 3.0}
    processor = str(max(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        for name, weight in weights.items():
            fences.apply(name, ProjectLimits(cpu_weight=weight))
            entry = json.dumps(fences.fence(name).entry)
            into = [sys.executable, "-I", "-S", enter.__file__, entry, "--", "taskset", "-c", processor]
            for _ in range(2):
                process = subprocess.Popen([*into, sys.executable, "-I", "-S", "-c", _SPIN])  # noqa: ASYNC220
                stack.callback(process.wait)
                stack.callback(process.kill)
        await asyncio.sleep(1.0)
        before = _used(fences, weights)
        await asyncio.sleep(seconds)
        after = _used(fences, weights)
    light, heavy = (after[name] - before[name] for name in weights)
    ratio = heavy / light if light else math.inf  # it got nothing in a short while
    return Figure(
        what="processor time of weights 3 and 1, two busy processes each",
        value=f"{ratio:.2f} : 1",
        ratio=ratio / 3,
        bar=f"3 : 1 within {_SHARE_BAR:.0%}",
        holds=abs(ratio / 3 - 1) <= _SHARE_BAR,
        note=f"{heavy:.2f} s and {light:.2f} s of {seconds:g} s of one processor",
    )


def _used(fences: Fences, names: dict[str, float]) -> dict[str, float]:
    uses = {name: fences.use(name) for name in names}
    return {name: (use.cpu_seconds or 0.0) if use else 0.0 for name, use in uses.items()}


def _ignore(_breach: Breach) -> None:
    """Nothing here goes over a limit."""


async def _time_launches(count: int) -> list[float]:
    machine = await probe_machine()
    spent = []
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        folder = Path(name).resolve()
        box = Sandbox(
            level=machine.strongest, cwd=folder, home=folder, network=machine.strongest is Level.PROCESS
        )
        for _ in range(count + 1):
            began = time.monotonic()
            await run(plan_launch(["/bin/true"], box, machine), timeout_seconds=60)
            spent.append(time.monotonic() - began)
    return spent[1:]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_time_launches(int(sys.argv[1])))))
