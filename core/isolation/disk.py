"""How much disk folders take, by `du`: in a process of its own, nice, and not for longer than it may."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from core.isolation.enter import be_nice

_MB = 1 << 20


async def disk_mb(folders: Iterable[Path], *, timeout_seconds: float = 30.0) -> float | None:
    """Blocks that the folders take, in MB; hard links count once, other file systems not at all.

    None: not known, for it took too long, or there is no `du`. Folders that are not there take nothing.
    """
    present = [str(folder) for folder in folders if folder.is_dir()]
    if not present:
        return 0.0
    try:
        process = await asyncio.create_subprocess_exec(
            "du", "--summarize", "--one-file-system", "--total", "--block-size=1", "--", *present,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    be_nice(process.pid, 19)
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    # Files that vanish while it counts make it end with 1; what it counted is right all the same.
    total = output.decode(errors="replace").rstrip("\n").rpartition("\n")[2]
    number, _, name = total.partition("\t")
    return int(number) / _MB if name == "total" and number.isdigit() else None
