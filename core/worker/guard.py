"""That a project's worktrees are one worker's alone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time

from core.errors import Unavailable
from core.worker.contract import (
    ProjectSetup,
)

_GUARD_SECONDS = 30.0  # for git commands that a killed worker of the same project left running


async def hold_project(setup: ProjectSetup) -> int:
    """A lock that this worker and every git command of it hold.

    A worker that was killed may leave a git command running for a moment; nobody else touches the project's
    worktrees before it has ended. Raises Unavailable when another worker keeps the lock.
    """
    folder = setup.state_path / "worktrees"
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / f".{setup.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _GUARD_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(fd)
                raise Unavailable(
                    f"Another worker of {setup.name} is at work.",
                    why=f"It holds {folder / f'.{setup.name}.lock'}.",
                    hint="Stop the other Orchard that uses this state folder.",
                ) from None
            await asyncio.sleep(0.05)
