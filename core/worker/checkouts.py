"""The folders in which tests are run: made of a tree for one run, gone after it, swept up after a crash."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from core.isolation.contain import stat_fields
from core.removal import discard_tree, temporary_folder
from core.walking import walk


class Checkouts(Protocol):
    """What a run needs of a repository."""

    async def checkout(self, tree: str, folder: Path) -> None: ...


@asynccontextmanager
async def fresh_checkout(repository: Checkouts, tree: str, state_path: Path) -> AsyncIterator[Path]:
    """A folder with exactly the tree's files, new, of new file times; gone afterwards."""
    live = state_path / "runs" / "live"
    live.mkdir(parents=True, exist_ok=True)
    owner = f"{os.getpid()}-{_start_ticks(os.getpid())}-"
    with temporary_folder(owner, live) as folder:
        checkout = folder.resolve() / "tree"
        await repository.checkout(tree, checkout)
        await asyncio.to_thread(_drop_compiled, checkout)
        yield checkout


def sweep_checkouts(state_path: Path) -> None:
    """Removes the checkouts of processes that are gone, by their identity. May be called at any time."""
    live = state_path / "runs" / "live"
    for folder in live.iterdir() if live.is_dir() else ():
        pid, ticks, *_ = (*folder.name.split("-"), "", "")
        if not pid.isdigit() or ticks != _start_ticks(int(pid)):
            discard_tree(folder)


def _start_ticks(pid: int) -> str:
    """With the pid, a process's identity; "" when there is none."""
    fields = stat_fields(pid)
    return fields[19] if fields else ""


def _drop_compiled(checkout: Path) -> None:
    """Compiled Python that was committed could stand in for sources that say something else."""
    for folder, names, _files in walk(checkout):
        if "__pycache__" in names:
            names.remove("__pycache__")
            discard_tree(Path(folder) / "__pycache__")
