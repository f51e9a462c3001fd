"""What a turn left on the machine: processes, servers, files where it had nothing to do."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.isolation.plan import Level

_SERVERS = re.compile(r"^(tmux|screen|zellij|dtach|abduco)\b")
_SEEN_FOLDERS = (".", ".config", ".cache", ".local/share", ".local/state")
_OWN = frozenset({"home", "worktree", "transcripts"})  # of a check's folder: where its agent may leave things


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Servers by pid, and files by path, that were there before."""

    servers: frozenset[int]
    files: frozenset[str]


def picture(top: Path, level: Level) -> Picture:
    """Before an agent starts. `top` is the folder of its check."""
    return Picture(servers=frozenset(pid for pid, _ in _servers()), files=frozenset(_files(top, level)))


def left_since(before: Picture, top: Path, level: Level) -> tuple[str, ...]:
    """Sentences' parts of what is there now, was not before, and is not the check's own."""
    found = [f"process {pid}: {words[:120]}" for pid, words in _below(top)]
    found += [f"server {pid}: {words[:120]}" for pid, words in _servers() if pid not in before.servers]
    found += [f"file {name}" for name in _files(top, level) if name not in before.files]
    return tuple(dict.fromkeys(found))


def running(program: str, top: Path) -> tuple[str, ...]:
    """Processes of `program` that work for the check in the folder `top`."""
    own = re.compile(rf"^(\S*/)?{re.escape(program)}( |$)")
    return tuple(f"process {pid}: {line[:200]}" for pid, line in _below(top) if own.match(line))


def _processes() -> list[tuple[int, str]]:
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            with suppress(OSError):
                line = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                if line:
                    found.append((int(each.name), line))
    return found


def _servers() -> list[tuple[int, str]]:
    """Programs that keep terminals alive for whoever comes back, and belong to nobody's tree."""
    return [(pid, line) for pid, line in _processes() if _SERVERS.match(line.rpartition("/")[2] or line)]


def _below(top: Path) -> list[tuple[int, str]]:
    """Processes that work in a check's folder, have it as their home, or were told of it."""
    found, needle = [], os.fsencode(top)
    for pid, line in _processes():
        if pid == os.getpid():
            continue
        place = Path("/proc", str(pid))
        with suppress(OSError):
            here = str(place.joinpath("cwd").readlink()).startswith(str(top))
            told = needle in place.joinpath("environ").read_bytes() or str(top) in line
            if here or told:
                found.append((pid, line))
    return found


def _files(top: Path, level: Level) -> list[str]:
    """Of the check's folder all that is not the agent's. What lies elsewhere an agent sees only where the
    sandbox does not confine its files; other programs write there, too, so only names are compared."""
    found = [str(each) for each in top.iterdir() if each.name not in _OWN]
    if level is not Level.PROCESS:
        return found
    for folder in _SEEN_FOLDERS:
        with suppress(OSError):
            found += [str(each) for each in (Path.home() / folder).iterdir()]
    return found
