"""Small real projects, a recorded agent for them, and a whole headless Orchard over them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml

from config.loader import load
from core.domain.event import EventKind
from core.runtime import open_runtime

_FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
}
_SCRIPT = {
    "stories": {
        "Multiply": {
            "test_red": [
                {
                    "write": {
                        "path": "tests/test_multiply.py",
                        "text": "from multiply import multiply\n\n\ndef test_multiply():\n"
                        "    assert multiply(6, 2) == 12\n",
                    }
                }
            ],
            "code_green": [
                {"write": {"path": "multiply.py", "text": "def multiply(a, b):\n    return a * b\n"}}
            ],
            "refactor": [{"say": "Nothing to say better."}],
        }
    }
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def plant(root: Path, projects: int, *, lanes: int, settings: Mapping[str, Any] | None = None) -> list[str]:
    """Writes `projects` git projects and a configuration into `root`; returns their names.

    `lanes` is how many stories may run at a time.
    """
    names = [f"bench{number:03d}" for number in range(projects)]
    first = root / "projects" / names[0]
    for path, text in _FILES.items():
        (first / path).parent.mkdir(parents=True, exist_ok=True)
        (first / path).write_text(text)
    git(first, "init", "-q", "-b", "main")
    git(first, "config", "user.name", "Dev")
    git(first, "config", "user.email", "dev@example.org")
    git(first, "add", "-A")
    git(first, "commit", "-q", "-m", "First commit")
    for name in names[1:]:
        subprocess.run(["cp", "-a", first, first.parent / name], check=True)
    for name in names:  # none has another's trees: the runs of those are kept for all projects
        (first.parent / name / "README").write_text(f"{name}\n")
        git(first.parent / name, "add", "README")
        git(first.parent / name, "commit", "-q", "-m", "A name")
    (root / "replay.yaml").write_text(yaml.safe_dump(_SCRIPT))
    configuration = {
        "global": {
            "default_agent": "replay",
            "max_total_agents": lanes,
            "max_concurrent_projects": max(lanes, 1),
            "max_load_per_core": None,
            **(settings or {}),
        },
        "agents": {"replay": {"variables": {"script": str(root / "replay.yaml")}}},
        "projects": {
            name: {
                "name": name,
                "path": str(root / "projects" / name),
                "resource_limits": {"agent_memory_mb": 128, "agent_cpu_cores": 0.01},
            }
            for name in names
        },
    }
    (root / "orch-config.yaml").write_text(yaml.safe_dump(configuration))
    return names


async def drive(root: Path, *, timeout_seconds: float = 600) -> dict[str, float]:
    """One story in each project of `root`. Seconds: `ready` after the start, `cycle` from the first sprint to
    the last merge, `own` of processor time in the control plane and the workers themselves.
    """
    seconds: dict[str, float] = {}
    began = time.monotonic()
    async with open_runtime(lambda: load(root, environ={})) as runtime:
        seconds["ready"] = time.monotonic() - began
        commands = runtime.commands
        names = [view.project.name for view in await commands.projects()]
        for name in names:
            await commands.add_story(name, "Multiply", acceptance_criteria=("it works",), actor="bench")
            await commands.plan_sprint(name, actor="bench")
        await asyncio.sleep(2.0)  # the template of the workers is warm: its start is another figure
        began, before = time.monotonic(), _own_seconds(os.getpid())
        for name in names:
            await commands.start_sprint(name, actor="bench")
        merged: set[str] = set()
        seen = 0
        async with asyncio.timeout(timeout_seconds):
            with runtime.bus.subscribe() as events:
                while len(merged) < len(names):
                    for event in await commands.events(after=seen, limit=1000):
                        seen = event.seq
                        if event.kind in (EventKind.STORY_BLOCKED, EventKind.PROJECT_UNAVAILABLE):
                            raise RuntimeError(f"{event.project} stands: {dict(event.data)}")
                        if event.kind is EventKind.STORY_MERGED and event.project is not None:
                            merged.add(event.project)
                    if len(merged) < len(names):
                        await anext(events)
        seconds["cycle"] = time.monotonic() - began
        workers = [view.worker.pid for view in await commands.projects()]
        seconds["own"] = _own_seconds(os.getpid()) - before
        seconds["own"] += sum(_own_seconds(pid) for pid in workers if pid is not None)
    return seconds


def _own_seconds(pid: int) -> float:
    """Processor time of a process without its children."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
