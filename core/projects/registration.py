"""Whether a folder can be a project, said before anything is written."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from config.loader import read_own_file
from config.names import name_problem, suggest_name
from core.agents.confined import read_text
from core.errors import InvalidInput, OrchardError, Unavailable
from core.projects.foreignstate import is_own
from core.projects.orchstate import BACKLOG, FOLDER
from core.projects.shape import is_like_a_test
from core.worker.git import Repository

_STATUS_SECONDS = 60.0
_WELL_KNOWN = ("main", "master")
_OWN_BRANCHES = "orchard/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A folder that can be registered. `notes`: what its owner should know, each a sentence."""

    path: Path  # without symlinks
    main_branch: str
    head: str  # the main branch's commit
    dirty_files: tuple[str, ...] = ()  # relative, with uncommitted changes or untracked
    notes: tuple[str, ...] = ()


def check_name(name: str, registered: Collection[str] = ()) -> str:
    """`name` as it is stored. Raises InvalidInput, with a name that would do, when it cannot be."""
    name = name.strip()
    if problem := name_problem(name):
        raise InvalidInput(
            f"{name!r} cannot be a project's name.",
            why=f"It {problem}.",
            hint=f"Try '{free_name(name, registered)}'.",
        )
    if name in registered:
        raise InvalidInput(
            f"There is a project {name} already.",
            hint=f"Choose another name, such as '{free_name(name, registered)}'.",
        )
    return name


def not_configured(name: str) -> Unavailable:
    return Unavailable(
        f"Project {name} is registered, but not configured any more.",
        why="Neither orch-config.yaml nor projects.d names it.",
        hint=f"Put it back, or register it again: orchard register {name} PATH.",
    )


def free_name(text: str, taken: Collection[str]) -> str:
    """The allowed name that is nearest to `text`, with the first number that nobody has where it is taken."""
    name = proposal = suggest_name(text)
    number = 2
    while proposal in taken:
        proposal = f"{name[: 39 - len(str(number))]}-{number}"
        number += 1
    return proposal


async def inspect_checkout(
    path: Path,
    *,
    registered: Mapping[str, Path] | None = None,
    main_branch: str | None = None,
    test_command: str | None = None,
    state_path: Path | None = None,
) -> Checkout:
    """Looks at a checkout without changing anything in it.

    `registered`: the checkouts of the other projects, by name. `main_branch`, `test_command`: what the
    settings say; None: what its own file says. `state_path`: Orchard's own folder, in which nothing can be
    registered. Raises InvalidInput with a next step (ConfigError when its own settings are wrong), GitFailed
    when git itself fails.
    """
    folder = await asyncio.to_thread(_folder, path)
    await asyncio.to_thread(_check_neighbours, folder, registered or {}, state_path)
    await asyncio.to_thread(_check_is_top, folder)
    # Accepted with a bad file of its own, the project would be left out at once.
    own = await asyncio.to_thread(read_own_file, folder)
    test_command = test_command or own.test_command
    repository = await Repository.open(folder)
    await _check_not_bare(repository)
    branch, notes = await _main_branch(repository, main_branch or own.main_branch)
    head = await repository.main_commit(branch)
    dirty = await _dirty_files(repository)
    if dirty is None:
        notes.append(
            f"git took more than {_STATUS_SECONDS:g} s to list uncommitted changes; they are not known."
        )
    elif dirty:
        notes.append(
            f"{len(dirty)} {'file has' if len(dirty) == 1 else 'files have'} uncommitted changes "
            f"({', '.join(dirty[:3])}{', ...' if len(dirty) > 3 else ''}). Stories start from the last "
            "commit, and these files stay as they are."
        )
    if test_command is None and not await _has_tests(repository, head):
        notes.append(
            "No tests were found: the first story's red phase has to bring them, or set test_command."
        )
    if await asyncio.to_thread(_has_foreign_state, folder):
        notes.append(
            "Another tool keeps its backlog in .orch-state. Once this is registered, take it over: "
            "orchard import."
        )
    return Checkout(path=folder, main_branch=branch, head=head, dirty_files=dirty or (), notes=tuple(notes))


def _folder(path: Path) -> Path:
    text = str(path)
    if not text.strip() or "\0" in text:
        raise InvalidInput("That is no path.", hint="Give the folder of a git checkout.")
    try:
        expanded = path.expanduser().absolute()
    except RuntimeError as error:
        hint = "Give the whole path, from / on."
        raise InvalidInput(f"{path} names a home folder that does not exist.", hint=hint) from error
    try:
        folder = Path(os.path.realpath(expanded, strict=True))
        mode = folder.stat().st_mode
    except OSError as error:
        raise _unreachable(expanded, error) from error
    if not stat.S_ISDIR(mode):
        hint = f"Register the folder around it: {folder.parent}."
        raise InvalidInput(f"{expanded} is not a folder.", hint=hint)
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise _unreachable(expanded, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return folder


def _unreachable(path: Path, error: OSError) -> InvalidInput:
    if error.errno == errno.ELOOP:
        return InvalidInput(
            f"{path} is a loop of symbolic links.", hint="Give the folder itself, or mend the link."
        )
    if isinstance(error, FileNotFoundError):
        return InvalidInput(f"There is no folder {path}.", why=_missing_part(path), hint=_near_folder(path))
    if isinstance(error, PermissionError):
        return InvalidInput(
            f"{path} cannot be read.",
            why="Orchard's user has no right to.",
            hint="Give it the right to read and write there, or run Orchard as the folder's owner.",
        )
    return InvalidInput(f"{path} cannot be opened.", why=f"{error.strerror}.", hint="Give another folder.")


def _missing_part(path: Path) -> str:
    for part in (path, *path.parents):
        if part.is_symlink():
            return f"{part} is a link to {part.readlink()}, which does not exist."
        if part.parent.is_dir():
            return f"{part.parent} is there, but holds no {part.name}."
    return ""


def _near_folder(path: Path) -> str:
    try:
        siblings = [each.name for each in path.parent.iterdir() if each.is_dir()]
    except OSError:
        siblings = []
    if found := get_close_matches(path.name, siblings, n=1):
        return f"Did you mean {path.parent / found[0]}?"
    return "Check the spelling; the path is on the machine that runs Orchard."


def _check_neighbours(folder: Path, registered: Mapping[str, Path], state_path: Path | None) -> None:
    if state_path is not None and folder.is_relative_to(os.path.realpath(state_path)):
        raise InvalidInput(
            f"{folder} belongs to Orchard itself.",
            why="Worktrees and records live there.",
            hint="Register the checkout that you work in.",
        )
    for name, path in registered.items():
        other = Path(os.path.realpath(path))
        if other == folder:
            raise InvalidInput(
                f"{folder} is registered already, as {name}.", hint=f"Use it: orchard start {name}."
            )
        if folder.is_relative_to(other):
            raise InvalidInput(
                f"{folder} lies inside project {name} ({other}).",
                why="Two projects would work on the same files.",
                hint=f"Set 'folder: {folder.relative_to(other)}' for {name}, or move the checkout elsewhere.",
            )
        if other.is_relative_to(folder):
            raise InvalidInput(
                f"{folder} contains project {name} ({other}).",
                why="Two projects would work on the same files.",
                hint="Register a folder beside it.",
            )


def _check_is_top(folder: Path) -> None:
    """That `folder` is the top of a checkout; what it is otherwise has a next step of its own."""
    if (folder / ".git").exists():
        return
    if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
        if folder.name == ".git":
            raise InvalidInput(f"{folder} is git's own folder.", hint=f"Register {folder.parent}.")
        raise _bare(folder)
    for outer in folder.parents:
        if (outer / ".git").exists():
            raise InvalidInput(
                f"{folder} is a part of the git repository {outer}.",
                why="A project is a whole checkout.",
                hint=f"Register {outer} and set 'folder: {folder.relative_to(outer)}' for it.",
            )
    raise InvalidInput(
        f"{folder} is not a git repository.",
        why="Orchard keeps every story on a branch of its own.",
        hint="Run in it: git init && git add -A && git commit -m 'First commit'",
    )


def _bare(folder: Path) -> InvalidInput:
    return InvalidInput(
        f"{folder} is a bare git repository.",
        why="It has no files to work on.",
        hint=f"Clone it (git clone {folder} FOLDER) and register the clone.",
    )


async def _check_not_bare(repository: Repository) -> None:
    answer = await repository.git("config", "--bool", "core.bare", ok=(0, 1))
    if answer.stdout.strip() == b"true":
        raise _bare(repository.path)


async def _main_branch(repository: Repository, wanted: str | None) -> tuple[str, list[str]]:
    branches = [
        ref.removeprefix("refs/heads/")
        for ref in await repository.refs("refs/heads/")
        if not ref.startswith(f"refs/heads/{_OWN_BRANCHES}")
    ]
    if not branches:
        raise _without_branches(repository.path, await repository.resolve("HEAD") is not None)
    if wanted is not None:
        if wanted in branches:
            return wanted, []
        near = get_close_matches(wanted, branches, n=1)
        raise InvalidInput(
            f"{repository.path} has no branch {wanted}.",
            why=f"Its branches are {', '.join(branches[:10])}.",
            hint=f"Set main_branch to {near[0] if near else 'one of them'}.",
        )
    head = await repository.git("symbolic-ref", "--quiet", "HEAD", git_dir=repository.git_dir, ok=(0, 1))
    current = os.fsdecode(head.stdout).strip().removeprefix("refs/heads/")
    if current in branches:
        return current, []
    state = f"is on {current}, which is no branch to merge into" if current else "has a detached HEAD"
    for branch in (*await _remote_default(repository), *_WELL_KNOWN):
        if branch in branches:
            return branch, [f"The checkout {state}: stories are merged into {branch}."]
    raise InvalidInput(
        f"The main branch of {repository.path} is not known.",
        why=f"The checkout {state}, and has neither origin/HEAD nor main or master.",
        hint=f"Run 'git -C {repository.path} switch {branches[0]}', or set main_branch for the project.",
    )


def _without_branches(path: Path, has_commit: bool) -> InvalidInput:
    if has_commit:
        hint = f"Run: git -C {path} switch -c main"
        return InvalidInput(f"{path} has commits, but no branch.", why="Its HEAD is detached.", hint=hint)
    return InvalidInput(
        f"{path} has no commits.",
        why="A story starts from a commit.",
        hint="Run in it: git add -A && git commit -m 'First commit'",
    )


async def _remote_default(repository: Repository) -> tuple[str, ...]:
    answer = await repository.git("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD", ok=(0, 1, 128))
    name = os.fsdecode(answer.stdout).strip().removeprefix("refs/remotes/origin/")
    return (name,) if name else ()


async def _dirty_files(repository: Repository) -> tuple[str, ...] | None:
    """None when git takes too long over it. Ignored files are not meant."""
    try:
        async with asyncio.timeout(_STATUS_SECONDS):
            answer = await repository.git(
                "status",
                "--porcelain=v1",
                "-z",
                "--no-renames",
                "--untracked-files=normal",
                git_dir=repository.git_dir,
                work_tree=repository.path,
            )
    except TimeoutError:
        return None
    files = (os.fsdecode(line)[3:] for line in answer.stdout.split(b"\0") if line)
    return tuple(file for file in files if not file.startswith(".orch-state/"))


def _has_foreign_state(folder: Path) -> bool:
    try:
        return not is_own(json.loads(read_text(folder, f"{FOLDER}/{BACKLOG}")))
    except (OrchardError, OSError, ValueError, RecursionError):
        return False


async def _has_tests(repository: Repository, head: str) -> bool:
    entries = await repository.entries(head)
    return any(is_like_a_test(entry.path) for entry in entries)
