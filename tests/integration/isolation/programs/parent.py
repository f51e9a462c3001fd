"""Launches a program at a level and waits: for tests that kill this process. argv: level, folder, script."""

import asyncio
import sys
from pathlib import Path

from core.isolation.launch import launch
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Sandbox, plan_launch


async def main(level: str, folder: str, script: str) -> None:
    worktree, home = Path(folder, "worktree"), Path(folder, "home")
    box = Sandbox(level=Level(level), cwd=worktree, home=home, writable=(worktree,))
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, await probe_machine()))
    await process.wait()


asyncio.run(main(*sys.argv[1:]))
