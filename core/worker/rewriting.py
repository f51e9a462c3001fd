"""Which files of the tests were written over while they ran: whatever the runner, seen from outside of it.

A liar may put a file back before the run ends: its change time stays, which no program sets at will.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.walking import walk
from core.worker.runners.contract import Place, Runner

_PASSED_OVER = frozenset({".git", "node_modules"})
_READ_BYTES = 1 << 20

Stamp = tuple[int, int, int, int]  # inode, size, time of the content, time of any change


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A checkout as it is. Paths are from its top."""

    stamps: Mapping[str, Stamp]  # of tests, their support and the runner's configuration
    paths: frozenset[str]  # of all files
    folders: frozenset[str]  # "" for the top


def look(checkout: Path, runner: Runner, *, since: Look | None = None) -> Look:
    """With `since` only in the folders that were there then, and only the stamps of files that were: what
    runs leave behind is no test.
    """
    stamps: dict[str, Stamp] = {}
    paths: set[str] = set()
    folders: set[str] = set()
    for folder, names in _walk(checkout, since):
        folders.add(folder)
        for name in names:
            path = _below(folder, name)
            paths.add(path)
            watched = path in since.stamps if since is not None else _is_watched(path, runner)
            if watched and (stamp := _stamp(checkout / path)) is not None:
                stamps[path] = stamp
    return Look(stamps=stamps, paths=frozenset(paths), folders=frozenset(folders))


def written_over(place: Place, runner: Runner, before: Look, put_back: frozenset[str]) -> tuple[str, ...]:
    """Changed, gone, or new and a configuration of the runner's; sorted. `put_back`: what the runner's own
    driver changed and answers for.
    """
    after = look(place.checkout, runner, since=before)
    changed = {path for path, stamp in before.stamps.items() if after.stamps.get(path) != stamp}
    new = after.paths - before.paths
    files = {path: _content(place.checkout / path) for path in new if runner.is_runner_config(path)}
    configured = runner.config_digests(sorted(new), files, folder=place.folder)
    return tuple(sorted((changed | configured.keys()) - put_back))


def _walk(top: Path, since: Look | None) -> Iterator[tuple[str, list[str]]]:
    """Links to folders are not followed."""
    for folder, names, files in walk(top):
        at = folder.removeprefix(str(top)).lstrip("/")
        names[:] = [
            name
            for name in names
            if name not in _PASSED_OVER and (since is None or _below(at, name) in since.folders)
        ]
        yield at, files


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _is_watched(path: str, runner: Runner) -> bool:
    return runner.is_test_path(path) or runner.is_runner_config(path)


def _content(path: Path) -> bytes:
    """Its beginning: enough to tell what it is. What is no plain file counts as empty."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            return file.read(_READ_BYTES)
    except OSError:
        return b""


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
