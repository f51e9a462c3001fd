"""What an ordinary user gets, as JSON. argv: a folder of that user's. Needs the standard library only."""

import asyncio
import dataclasses
import json
import sys
from pathlib import Path

from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.launch import run
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Limits, Sandbox, plan_launch

FORKS = """
import os
made = 0
try:
    for made in range(200):
        if os.fork() == 0:
            os.read(0, 1)
            os._exit(0)
except BlockingIOError:
    pass
print(made)
"""


async def main(folder: Path) -> None:
    machine = await probe_machine()
    worktree, home = folder / "worktree", folder / "home"
    (worktree / "tests").mkdir(parents=True)
    home.mkdir()
    (folder / "secret").write_text("s3cret")
    report: dict[str, object] = {"levels": machine.levels, "reasons": machine.reasons}
    for level in machine.levels:
        box = Sandbox(
            level=level,
            cwd=worktree,
            home=home,
            writable=(worktree,),
            read_only=(worktree / "tests",),
            network=level is not Level.NETWORK,
        )
        script = f"id -u; cat {folder}/secret; touch made tests/made; grep CapEff /proc/self/status; exit 3"
        done = await run(plan_launch(["/bin/sh", "-c", script], box, machine), timeout_seconds=20)
        report[level] = {"code": done.exit_code, "output": done.output.decode()}
    if Level.FILESYSTEM in machine.levels:
        limited = dataclasses.replace(box, limits=Limits(processes=40))
        argv = [str(machine.python), "-I", "-S", "-c", FORKS]
        done = await run(plan_launch(argv, limited, machine), timeout_seconds=20)
        report["forks"] = done.output.decode()
    report["enforcement"] = {one.resource: [one.means, one.why] for one in probe_enforcement()}
    print(json.dumps(report))


asyncio.run(main(Path(sys.argv[1])))
