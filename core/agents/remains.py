"""What a turn left on the machine: processes, files where it had nothing to do.

A process belongs to a check when it works in the check's folder, was told of it, or has it in its
environment, as every program has that was started in a turn: HOME lies there. Servers that an agent left in a
session of their own are found by the same sign.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from core.isolation.plan import Level

_SEEN_FOLDERS = (".", ".config", ".cache", ".local/share", ".local/state")
_OWN = frozenset({"home", "worktree", "transcripts"})  # of a check's folder: where its agent may leave things


def files(top: Path, level: Level) -> frozenset[str]:
    """Of the check's folder `top` all that is not the agent's. What lies elsewhere an agent sees only where
    the sandbox does not confine its files; other programs write there, too, so only names are compared.
    """
    found = [str(each) for each in top.iterdir() if each.name not in _OWN]
    if level is Level.PROCESS:
        for folder in _SEEN_FOLDERS:
            with suppress(OSError):
                found += [str(each) for each in (Path.home() / folder).iterdir()]
    return frozenset(found)


def left_since(before: frozenset[str], top: Path, level: Level) -> tuple[str, ...]:
    """Parts of a sentence: processes, and what was not in `before` (of `files`)."""
    found = [f"process {pid}: {words[:120]}" for pid, words in _below(top)]
    return (*found, *(f"file {name}" for name in sorted(files(top, level) - before)))


def running(program: str, top: Path) -> tuple[str, ...]:
    """Processes of `program` that work for the check in the folder `top`."""
    own = re.compile(rf"^(\S*/)?{re.escape(program)}( |$)")
    return tuple(f"process {pid}: {line[:200]}" for pid, line in _below(top) if own.match(line))


def _below(top: Path) -> list[tuple[int, str]]:
    found, needle = [], os.fsencode(top)
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        with suppress(OSError):
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").strip()
            if not line:
                continue  # ended already, or the kernel's
            here = os.fsencode((place / "cwd").readlink()).startswith(needle)
            if here or needle in line or needle in (place / "environ").read_bytes():
                found.append((int(place.name), line.decode(errors="replace")))
    return found
