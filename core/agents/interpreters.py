"""Pythons of this machine, beside the one that runs Orchard."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

_NEWEST_MINOR = 14  # beyond it, agents' packages have no wheels yet
_ASK_SECONDS = 20.0
_VERSION = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2], sys.base_prefix)"


async def find_python(oldest: str, environ: Mapping[str, str]) -> Path | None:
    """The Python nearest above `oldest` ("3.12") that can make environments; None when there is none.

    Looked for on PATH and where pyenv keeps its versions, and tried, since a name on PATH may be a shim of a
    version that is not chosen there.
    """
    major, minor = (int(part) for part in oldest.split("."))
    for wanted in range(minor, max(_NEWEST_MINOR, minor) + 1):
        for candidate in _candidates(f"{major}.{wanted}", environ):
            if await _is(candidate, f"{major}.{wanted}"):
                return candidate
    return None


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        yield Path(sys.base_prefix, "bin", f"python{version}")
    found = shutil.which(f"python{version}", path=environ.get("PATH", os.defpath))
    if found:
        yield Path(found)
    pyenv = Path(environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    exact = re.compile(rf"{re.escape(version)}(\.\d+)?")
    if pyenv.is_dir():
        folders = sorted((each for each in pyenv.iterdir() if exact.fullmatch(each.name)), key=_order)
        for folder in reversed(folders):
            yield folder / "bin" / f"python{version}"


def _order(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.name.split("."))


async def _is(python: Path, version: str) -> bool:
    if not os.access(python, os.X_OK):
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            str(python), "-I", "-c", _VERSION,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return False
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return process.returncode == 0 and said.decode(errors="replace").split()[:1] == [version]
