"""What a story's worktree holds now, as a difference from its base: read while others may be at work in it.

Nothing is written but an index in a private folder, and no program is started but git: no hook, no filter
(not even Git LFS), no external diff, no textconv, nothing in submodules. Files are handed to git only after a
look at what they are: it would hash a gigantic one, and refuse all the others for a named pipe.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from core.errors import Unavailable
from core.worker.git import GitFailed, Repository
from core.worker.worktree import place_of

SECONDS = 20.0  # for all of it
_LIMIT_BYTES = 400_000  # of text
_FILE_BYTES = 1 << 20  # a larger file is named, not shown
_FILES = 300  # more are counted, not shown
_SENTENCES = 20  # of single files that are not shown
_NAMES_BYTES = 8 << 20  # of all names that git may list
_OWN = b".orch-state/"
_EMPTY_BLOB = {
    40: "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    64: "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
}  # by the length of the repository's ids
_UNTOUCHED = re.compile(rb"^diff --git [^\n]*\n(?=diff --git |\Z)", re.MULTILINE)
_SETTINGS = (
    *((f"filter.lfs.{key}", "") for key in ("clean", "smudge", "process")),
    ("filter.lfs.required", "false"),
    ("diff.autoRefreshIndex", "false"),  # it would hash whatever looks new, however large
    ("diff.suppressBlankEmpty", "false"),
)
_PLAINLY = (
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--ignore-submodules=all",  # else git would look into them, by a configuration of the agent's
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unjudged:
    """`text`: a unified diff; `left_out`: sentences of what it does not show."""

    text: str
    left_out: tuple[str, ...] = ()


async def unjudged(checkout: Path, state_path: Path, project: str, story: str, base: str) -> Unjudged | None:
    """None: there are no files, or they are being set. Raises GitFailed, and Unavailable when it takes too
    long."""
    place, index, setting = place_of(state_path, project, story)
    try:
        async with asyncio.timeout(SECONDS):
            if not await asyncio.to_thread(_stands, place, index, setting):
                return None
            repository = await Repository.open(checkout, settings=_SETTINGS)
            found = await _read(repository, place, index, base)
            return found if await asyncio.to_thread(_stands, place, index, setting) else None
    except TimeoutError:
        raise Unavailable(
            f"The files of {story} could not be read in {SECONDS:.0f} s.",
            why="They are very many, or the machine is very busy.",
            hint="What its last passed gate changed can be seen.",
        ) from None
    except OSError as error:
        raise GitFailed(f"The files of {story} cannot be read.", why=str(error)) from error


def _stands(place: Path, index: Path, setting: Path) -> bool:
    return index.is_file() and not setting.exists() and place.is_dir() and not place.is_symlink()


async def _read(repository: Repository, place: Path, own: Path, base: str) -> Unjudged:
    async with repository.private_index() as index:
        await asyncio.to_thread(shutil.copyfile, own, index)
        changed = await _names(repository, place, index, "diff", "--name-only", *_PLAINLY, "-z", base, "--")
        added = await _names(repository, place, index, "ls-files", "-z", "-o", "--exclude-standard")
        shown, left_out = await asyncio.to_thread(_sorted_out, place, changed | added)
        if not shown:
            return Unjudged(text="", left_out=left_out)
        if fresh := [name for name in shown if name in added]:
            blob = _EMPTY_BLOB[len(base)].encode()
            await repository.git(
                "update-index",
                "-z",
                "--add",
                "--replace",
                "--index-info",
                index=index,
                stdin=b"".join(b"100644 %b\t%b\0" % (blob, name) for name in fresh),
            )
        answer = await repository.git(
            "diff",
            *_PLAINLY,
            "--patch",
            "--unified=3",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            base,
            "--",
            *map(os.fsdecode, shown),
            work_tree=place,
            index=index,
            # Of the base, not the worktree's, whose agent could call its files binary; git 2.43 or newer.
            environment={"GIT_ATTR_SOURCE": base},
            limit_bytes=_LIMIT_BYTES,
        )
    text = _UNTOUCHED.sub(b"", answer.stdout).decode(errors="replace")
    if answer.cut:
        left_out += (f"Only the first {_LIMIT_BYTES // 1000} kB of the difference are shown.",)
    return Unjudged(text=text, left_out=left_out)


async def _names(repository: Repository, place: Path, index: Path, *arguments: str) -> set[bytes]:
    answer = await repository.git(*arguments, work_tree=place, index=index, limit_bytes=_NAMES_BYTES)
    names = answer.stdout.split(b"\0")[: -1 if answer.cut else None]
    return {name for name in names if name and not name.startswith(_OWN)}


def _sorted_out(place: Path, names: set[bytes]) -> tuple[list[bytes], tuple[str, ...]]:
    """Those whose difference is shown, and what is said of the others."""
    shown: list[bytes] = []
    said: list[str] = []
    more = 0
    for name in sorted(names):
        why = _kept_back(place, name)
        if not why and len(shown) < _FILES:
            shown.append(name)
        elif why and len(said) < _SENTENCES:
            said.append(f"{name.decode(errors='replace')} is not shown: {why}.")
        else:
            more += 1
    if more:
        said.append(f"{more:,} more changed files are not shown.")
    return shown, tuple(said)


def _kept_back(place: Path, name: bytes) -> str:
    """Why a changed file is not given to git; empty: it is."""
    if name.endswith(b"/"):
        return "it is a git repository of its own"
    try:
        found = (place / os.fsdecode(name)).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""  # deleted
    if stat.S_ISREG(found.st_mode):
        return f"it has {found.st_size / 1e6:,.1f} MB" if found.st_size > _FILE_BYTES else ""
    # A link is shown as what it says, a folder as the file that it replaced.
    return "" if stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode) else "it is no plain file"
