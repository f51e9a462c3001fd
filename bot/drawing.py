"""Runs a one-shot process that draws, so that who asks never loads the drawing library."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME")
_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    code: int
    written: bytes  # standard output
    said: str  # standard error


async def draw(command: Sequence[str], request: bytes, *, seconds: float) -> Drawn:
    """With `request` as its standard input. Raises TimeoutError, and OSError when it cannot be started; it is
    ended in any case."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=_ROOT,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            written, said = await process.communicate(request)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    assert process.returncode is not None
    return Drawn(code=process.returncode, written=written, said=said.decode("utf-8", "replace").strip())
