"""Whether a project's programs become a user of their own where Orchard is root, asked of the machine."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from core.isolation.launch import PIPE, launch
from core.isolation.plan import Level, Machine, Sandbox, plan_launch


async def becomes_own_user(machine: Machine, state_path: Path, shown: Path | None = None) -> bool:
    """Of a sandbox with its home below `state_path` that is shown a folder: their file systems decide it.

    True also where Orchard is not root, or the machine has no sandboxes. Raises OSError, Unavailable.
    """
    if not machine.own_user or Level.FILESYSTEM not in machine.levels:
        return True
    with TemporaryDirectory(prefix=".orchard-doctor-", dir=state_path) as made:
        home = Path(made).resolve()
        box = Sandbox(
            level=Level.FILESYSTEM,
            cwd=home,
            home=home,
            read_only=() if shown is None else (shown,),
            network=False,
            project="doctor",
        )
        process = await launch(plan_launch(["/bin/cat"], box, machine), stdin=PIPE)
        try:
            return _user_of(process.root[0]) != 0
        finally:
            await process.kill_tree()


def _user_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[2] for line in lines if line.startswith("Uid:")))
