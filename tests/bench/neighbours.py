"""What a project is left of its speed while the one beside it attacks the machine, each in its fence.

Both have the same weight and are held to one processor, so each has a right to half of it whatever else the
machine does. Told is what share of its half the neighbour got, and how fast it works in the time that it
gets; both against a neighbour of something that is merely busy.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from core.isolation import enter
from core.isolation.fences import Fences
from core.isolation.limits import Breach, ProjectLimits
from tests.bench.figure import Figure

ATTACKS = ("fork_bomb", "memory_bomb", "disk_fill", "log_flood")
LIMITS = ProjectLimits(memory_mb=64, processes=48)  # of who attacks
_FILE_BYTES = 32 << 20
_BAR = 0.9
_PATIENCE_SECONDS = 60.0  # on a machine that others use too
_PROGRAM = str(Path(__file__).with_name("attacker.py"))


def measure(*, seconds: float) -> list[Figure]:
    return asyncio.run(_measure(seconds))


async def _measure(seconds: float) -> list[Figure]:
    figures = []
    share, pace = await _beside("busy", seconds)
    for attack in ATTACKS:
        got, speed = await _beside(attack, seconds)
        ratio = speed / pace * min(got, 1.0) / min(share, 1.0)
        figures.append(
            Figure(
                what=f"speed of a project beside a {attack.replace('_', ' ')}",
                value=f"{got / 2 * speed:.1f}/s",
                baseline=f"{share / 2 * pace:.1f}/s",
                ratio=ratio,
                bar=f"ratio >= {_BAR}",
                holds=ratio >= _BAR,
                note=f"{got:.2f} of its half of a processor; works there at {speed / pace:.2f} of its pace",
            )
        )
    return figures


async def _beside(attack: str, seconds: float) -> tuple[float, float]:
    """Of its half of the processor how much the neighbour got, and pieces of work in a second of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchard-bench-")))
        async with Fences.open(_ignore) as fences:
            fences.apply("attacker", LIMITS)
            begin(stack, fences, "attacker", attack, folder)
            worker = begin(stack, fences, "neighbour", "work", folder)
            assert worker.stdout is not None
            os.set_blocking(worker.stdout.fileno(), False)
            await asyncio.sleep(min(1.0, seconds))
            worker.stdout.read()
            before = used(fences, "attacker", "neighbour")
            until, took = time.monotonic() + seconds, list[float]()
            while (left := until - time.monotonic()) > 0 or not took:  # a piece, however little it gets
                if left < -_PATIENCE_SECONDS:
                    raise RuntimeError(f"A project beside a {attack} got nothing done")
                await asyncio.sleep(max(0.05, left))
                took += [float(line) for line in (worker.stdout.read() or b"").split()]
            after = used(fences, "attacker", "neighbour")
    attacker, neighbour = (now - then for now, then in zip(after, before, strict=True))
    return 2 * neighbour / (attacker + neighbour), 1 / statistics.median(took)


def begin(stack: ExitStack, fences: Fences, project: str, what: str, folder: Path) -> subprocess.Popen[bytes]:
    """Runs `what` in the project's fence on the last processor, until `stack` is left. Output of a flood is
    read by somebody, as Orchard would."""
    entry = json.dumps(fences.fence(project).entry)
    argv = [sys.executable, "-I", "-S", enter.__file__, entry, "--"]
    argv += ["prlimit", f"--fsize={_FILE_BYTES}", "taskset", "-c", str(max(os.sched_getaffinity(0)))]
    argv += [sys.executable, "-I", "-S", _PROGRAM, what, str(folder)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
    stack.callback(_end, process)
    if what == "log_flood":
        reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        stack.callback(_end, reader)
    return process


def used(fences: Fences, *projects: str) -> list[float]:
    """Processor seconds."""
    uses = [fences.use(project) for project in projects]
    return [(use.cpu_seconds or 0.0) if use else 0.0 for use in uses]


def _end(process: subprocess.Popen[bytes]) -> None:
    """With its group: a fork bomb has no end otherwise, since the fence is removed after."""
    deadline = time.monotonic() + 30
    while _signal_group(process.pid) and time.monotonic() < deadline:
        process.poll()
        time.sleep(0.001)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _signal_group(group: int) -> bool:
    try:
        os.killpg(group, 9)
    except ProcessLookupError:
        return False
    return True


def _ignore(_breach: Breach) -> None:
    """The attacks go over their limits: that is what they are for."""
