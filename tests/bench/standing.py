"""Orchard as it stands: back after SIGKILL with many projects, and idle with many."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from config.loader import load
from core.runtime import open_runtime
from tests.bench.farm import plant
from tests.bench.figure import Figure, milliseconds, quantile
from tests.bench.workers import pss_mb

ROOT = Path(__file__).parents[2]
_READY_BAR, _CPU_BAR, _MEMORY_BAR_MB = 2.0, 1.0, 200.0


def measure_restart(*, projects: int, rounds: int) -> list[Figure]:
    """Registered, each with a story of a running sprint; killed in the middle of phases."""
    seconds, lost, plain = [], 0, []
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name).resolve()
        plant(root, projects, lanes=2)
        with _running(root, "work") as (_, before):
            time.sleep(1.0)
        for _ in range(rounds):
            with _running(root, "look") as (ready, after):
                seconds.append(ready)
                lost += before["stories"] - after["stories"]
            plain.append(_import_seconds())
    base = quantile(plain, 0.5)
    return [
        Figure(
            what=f"start to ready, {projects} projects, after SIGKILL, worst of {rounds}",
            value=milliseconds(max(seconds)),
            baseline=milliseconds(base),
            ratio=max(seconds) / base,
            bar=f"<= {_READY_BAR:g} s, nothing lost",
            holds=max(seconds) <= _READY_BAR and not lost,
            note=f"{before['stories']} stories, {lost} lost; baseline: the imports alone",
        )
    ]


def measure_idle(*, projects: int, seconds: float) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name).resolve()
        plant(root, projects, lanes=2)
        with _running(root, "idle") as (_, told):
            control = psutil.Process(told["pid"])
            family = [control, *control.children(recursive=True)]
            time.sleep(3.0)
            before, began = _cpu(family), time.monotonic()
            time.sleep(seconds)
            percent = (_cpu(family) - before) / (time.monotonic() - began) * 100
            memory = pss_mb(told["pid"])
            whole = sum(map(_memory, family))
    return [
        Figure(
            what=f"idle, {projects} projects, none running: processor",
            value=f"{percent:.2f} %",
            bar=f"< {_CPU_BAR:g} %",
            holds=percent < _CPU_BAR,
            note=f"of one core, over {seconds:g} s, {len(family)} processes",
        ),
        Figure(
            what="the same: memory (PSS) of control plane and template",
            value=f"{whole:.0f} MB",
            bar=f"< {_MEMORY_BAR_MB:g} MB",
            holds=whole < _MEMORY_BAR_MB,
            note=f"control plane {memory:.0f} MB; bot loaded, no web",
        ),
    ]


@contextlib.contextmanager
def _running(root: Path, role: str) -> Iterator[tuple[float, dict[str, int]]]:
    """Orchard in a process of its own until it is killed. Seconds until it was ready, and what it told."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.standing", str(root), role],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], 300)[0] or not (line := process.stdout.readline()):
            raise RuntimeError("Orchard did not become ready")
        told = json.loads(line)
        yield (told["ready"] - began, told)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _import_seconds() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import core.runtime, bot.app"], cwd=ROOT, check=True)
    return time.monotonic() - began


def _cpu(family: list[psutil.Process]) -> float:
    found = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found += times.user + times.system
    return found


def _memory(process: psutil.Process) -> float:
    """In MB. 0.0 for what has ended meanwhile."""
    try:
        return pss_mb(process.pid)
    except (OSError, AssertionError):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            raise
        return 0.0


async def _stand(root: Path, role: str) -> None:
    if role == "idle":
        import bot.app
        import bot.discord.service  # noqa: F401 - what `orchard run` loads with a token

    async with open_runtime(lambda: load(root, environ={})) as runtime:
        ready = time.monotonic()
        commands = runtime.commands
        names = [view.project.name for view in await commands.projects()]
        if role == "work":
            for name in names:
                await commands.add_story(name, "Multiply", acceptance_criteria=("it works",), actor="bench")
                await commands.plan_sprint(name, actor="bench")
                await commands.start_sprint(name, actor="bench")
        stories = len(await commands.stories())
        print(json.dumps({"ready": ready, "pid": os.getpid(), "stories": stories}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_stand(Path(sys.argv[1]), sys.argv[2]))
