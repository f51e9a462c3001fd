"""Launches a program, and is killed some milliseconds after it began to. argv: folder, script, time."""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

from core.isolation import own_user
from core.isolation.bubblewrap import user_of
from core.isolation.launch import launch
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Sandbox, plan_launch


async def main(folder: str, script: str, milliseconds: str) -> None:
    worktree, home = Path(folder, "worktree"), Path(folder, "home")
    box = Sandbox(level=Level.FILESYSTEM, cwd=worktree, home=home, writable=(worktree,))
    planned = plan_launch(["/bin/sh", "-c", script], box, await probe_machine())
    own_user.mapping_to(user_of(box.project))  # not what is timed here
    threading.Thread(target=_end_us, args=(float(milliseconds) / 1000,), daemon=True).start()
    await (await launch(planned)).wait()


def _end_us(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(*sys.argv[1:]))
