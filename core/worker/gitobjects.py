"""What git tells of a repository: files of a tree, changes between two, what a merge came to."""

from __future__ import annotations

import os
from dataclasses import dataclass

SYMLINK = "120000"
NO_OID = "0" * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name in a tree."""

    path: str
    mode: str  # "100644" | "100755" | "120000" (symlink) | "160000" (submodule)
    oid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One path that differs between two trees; renames are a deletion and an addition."""

    path: str
    status: str  # "A" | "M" | "D" | "T" (its type changed)
    old_mode: str
    new_mode: str
    old_oid: str
    new_oid: str
    added: int = 0  # lines; 0 for binary files
    removed: int = 0
    binary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A folder's content as a tree."""

    tree: str
    nested: tuple[str, ...] = ()  # folders that are git repositories of their own: their content is not in it


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    tree: str  # with conflict markers in the files that conflict
    conflicts: tuple[str, ...] = ()
    messages: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    name: str = "Orchard"
    email: str = "orchard@localhost"


def parse_changes(output: bytes) -> tuple[Change, ...]:
    """Of `git diff-tree -z --raw --numstat`."""
    found: dict[str, Change] = {}
    parts = iter(output.split(b"\0"))
    for part in parts:
        if part.startswith(b":"):
            old_mode, new_mode, old_oid, new_oid, status = part[1:].decode().split(" ")
            path = os.fsdecode(next(parts))
            found[path] = Change(
                path=path,
                status=status[0],
                old_mode=old_mode,
                new_mode=new_mode,
                old_oid=old_oid,
                new_oid=new_oid,
            )
        elif part:
            added, removed, name = part.split(b"\t", 2)
            path = os.fsdecode(name)
            seen = found[path]
            binary = added == b"-"
            found[path] = Change(
                path=path,
                status=seen.status,
                old_mode=seen.old_mode,
                new_mode=seen.new_mode,
                old_oid=seen.old_oid,
                new_oid=seen.new_oid,
                added=0 if binary else int(added),
                removed=0 if binary else int(removed),
                binary=binary,
            )
    return tuple(found.values())
