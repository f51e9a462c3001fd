"""A project's repository: reading, staging, merging and moving refs, always by the real `git`.

Every command names its git folder and its work tree, so a `.git` file that an agent swapped leads nowhere,
and every index is Orchard's own, so flags that an agent sets in the worktree's index (assume-unchanged)
hide nothing. Paths come out as `os.fsdecode` gives them: relative to the repository's top, with "/" between
the parts.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import InvalidInput
from core.worker.gitcommand import Answer, GitFailed, git_version, run_git, silence_programs
from core.worker.gitobjects import NO_OID, Change, Entry, Identity, MergeResult, Staged, parse_changes
from core.worker.remembered import Remembered

__all__ = ["GitFailed", "Repository", "find_git_dir"]

_HALF_MADE = re.compile(r"failed to read .*/worktrees/.*commondir")
_HALF_MADE_ATTEMPTS = 6
_remembered = Remembered()  # of all repositories: a worker opens its own anew for each phase


class Repository:
    """The repository of a registered checkout.

    `path` is the checkout's top folder, `git_dir` its own git folder, `common_dir` the one that all its
    worktrees share. Every method raises GitFailed when git says no.
    """

    def __init__(
        self,
        *,
        path: Path,
        git_dir: Path,
        common_dir: Path,
        silence: tuple[tuple[str, str], ...] = (),
        guard: int | None = None,
    ) -> None:
        self.path = path
        self.git_dir = git_dir
        self.common_dir = common_dir
        self._silence = silence
        self.pass_fds: tuple[int, ...] = () if guard is None else (guard,)

    @classmethod
    async def open(
        cls, path: Path, *, guard: int | None = None, settings: Sequence[tuple[str, str]] = ()
    ) -> Repository:
        """The repository at `path`. `guard` is a file descriptor that every git command inherits, `settings`
        are git's own that win over all others.

        Raises InvalidInput when that is no checkout of one, GitFailed without git.
        """
        git_version()
        git_dir = find_git_dir(path)
        common = git_dir / "commondir"
        try:
            shared = (git_dir / common.read_text().strip()).resolve() if common.is_file() else git_dir
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} is a damaged git worktree.", why=str(error)) from error
        answer = await run_git(["config", "-z", "--list"], cwd=path, personal=True, environment=_at(git_dir))
        silence = silence_programs(answer.stdout, lfs=shutil.which("git-lfs") is not None)
        silence += tuple(settings)
        return cls(path=path, git_dir=git_dir, common_dir=shared, silence=silence, guard=guard)

    async def git(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        work_tree: Path | None = None,
        index: Path | None = None,
        stdin: bytes | None = None,
        check: bool = True,
        ok: tuple[int, ...] = (0,),
        environment: Mapping[str, str] | None = None,
        limit_bytes: int | None = None,
    ) -> Answer:
        """A hardened git command on this repository; without `work_tree` it touches no files."""
        where = git_dir or self.common_dir
        extra = {**_at(where), **(environment or {})}
        if work_tree is not None:
            extra["GIT_WORK_TREE"] = str(work_tree)
        if index is not None:
            extra["GIT_INDEX_FILE"] = str(index)
        for attempt in range(_HALF_MADE_ATTEMPTS):
            try:
                return await run_git(
                    arguments,
                    cwd=work_tree or where,
                    settings=self._silence,
                    environment=extra,
                    stdin=stdin,
                    check=check,
                    ok=ok,
                    pass_fds=self.pass_fds,
                    limit_bytes=limit_bytes,
                )
            except GitFailed as error:
                # git reads every worktree's folder and dies of one that another git is just making.
                if attempt + 1 == _HALF_MADE_ATTEMPTS or not _HALF_MADE.search(error.stderr):
                    raise
                await asyncio.sleep(0.02 * 2**attempt)
        raise AssertionError("not reached")

    # --- commits and refs

    async def resolve(self, revision: str) -> str | None:
        """The commit that `revision` names, or None."""
        answer = await self.git(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", ok=(0, 1, 128)
        )
        return answer.stdout.decode().strip() or None if answer.exit_code == 0 else None

    async def main_commit(self, branch: str) -> str:
        """The tip of the main branch. Raises GitFailed naming the branches that are there."""
        if commit := await self.resolve(f"refs/heads/{branch}"):
            return commit
        there = [ref.removeprefix("refs/heads/") for ref in await self.refs("refs/heads/")]
        if not there:
            raise GitFailed(
                f"{self.path} has no commits.",
                hint="Commit something on the main branch first.",
            )
        raise GitFailed(
            f"{self.path} has no branch '{branch}'.",
            why=f"Its branches: {', '.join(there[:10])}.",
            hint="Set the project's main branch to one of them.",
        )

    async def refs(self, *prefixes: str) -> dict[str, str]:
        """Object ids by full ref name."""
        answer = await self.git("for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
        pairs = (line.split(" ", 1) for line in os.fsdecode(answer.stdout).splitlines())
        return {name: oid for oid, name in pairs}

    async def tree_of(self, commit: str) -> str:
        return await _remembered.get(("tree", self.common_dir), (commit,), lambda: self._tree_of(commit))

    async def _tree_of(self, commit: str) -> str:
        answer = await self.git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}")
        return answer.stdout.decode().strip()

    async def is_ancestor(self, ancestor: str, commit: str) -> bool:
        answer = await self.git("merge-base", "--is-ancestor", ancestor, commit, ok=(0, 1))
        return answer.exit_code == 0

    async def merge_base(self, one: str, other: str) -> str | None:
        answer = await self.git("merge-base", one, other, ok=(0, 1))
        return answer.stdout.decode().split("\n")[0] or None

    async def update_ref(self, ref: str, new: str, old: str | None, *, reason: str = "orchard") -> None:
        """Move `ref`; `old` is what it must be now (None: absent). Raises GitFailed when it is not."""
        await self.git("update-ref", "-m", reason, "--no-deref", ref, new, old or NO_OID)

    async def delete_ref(self, ref: str) -> None:
        await self.git("update-ref", "--no-deref", "-d", ref)

    async def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, identity: Identity | None = None
    ) -> str:
        """A commit object; no ref moves."""
        who = identity or await self.identity()
        named = {
            "GIT_AUTHOR_NAME": who.name,
            "GIT_AUTHOR_EMAIL": who.email,
            "GIT_COMMITTER_NAME": who.name,
            "GIT_COMMITTER_EMAIL": who.email,
        }
        arguments = [part for parent in parents for part in ("-p", parent)]
        text = message.encode("utf-8", "replace").replace(b"\0", b"")
        answer = await self.git("commit-tree", tree, *arguments, stdin=text, environment=named)
        commit = answer.stdout.decode().strip()
        if len(tree) == len(commit):  # an object id, no other name of a tree
            _remembered.put(("tree", self.common_dir), (commit,), tree)
        return commit

    async def identity(self) -> Identity:
        """`user.name` and `user.email` of this repository's own configuration, else Orchard's."""
        answer = await self.git("config", "--local", "-z", "--get-regexp", r"^user\.(name|email)$", ok=(0, 1))
        pairs = (
            entry.partition("\n") for entry in answer.stdout.decode(errors="replace").split("\0") if entry
        )
        found = {key: value.strip() for key, _, value in pairs if value.strip()}
        return Identity(
            name=found.get("user.name", "Orchard"), email=found.get("user.email", "orchard@localhost")
        )

    # --- trees

    async def entries(self, tree: str, *paths: str) -> tuple[Entry, ...]:
        """Every file of a tree, or of the folders and files named; in git's order."""
        question = ("entries", self.common_dir, paths)
        return await _remembered.get(question, (tree,), lambda: self._entries(tree, paths))

    async def _entries(self, tree: str, paths: Sequence[str]) -> tuple[Entry, ...]:
        answer = await self.git("ls-tree", "-r", "-z", "--full-tree", tree, "--", *paths)
        found = []
        for line in answer.stdout.split(b"\0"):
            if line:
                head, _, name = line.partition(b"\t")
                mode, _, oid = head.decode().split(" ")
                found.append(Entry(path=os.fsdecode(name), mode=mode, oid=oid))
        return tuple(found)

    async def read_file(self, tree: str, path: str) -> bytes | None:
        """A file's content in a tree (or commit), or None when there is no such file."""
        answer = await self.git("cat-file", "blob", f"{tree}:{path}", ok=(0, 128))
        return answer.stdout if answer.exit_code == 0 else None

    async def read_files(self, tree: str, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of those paths that are files in a tree, by one command."""
        if not paths:
            return {}
        plain = [path for path in paths if "\n" not in path]
        request = b"".join(os.fsencode(f"{tree}:{path}") + b"\n" for path in plain)
        answer = await self.git("cat-file", "--batch", stdin=request)
        found: dict[str, bytes] = {}
        at = 0
        for path in plain:
            end = answer.stdout.index(b"\n", at)
            head = answer.stdout[at:end].rsplit(b" ", 2)
            at = end + 1
            if head[-1] in (b"missing", b"ambiguous"):
                continue
            size = int(head[-1])
            if head[-2] == b"blob":
                found[path] = answer.stdout[at : at + size]
            at += size + 1
        for path in set(paths) - set(plain):
            if (content := await self.read_file(tree, path)) is not None:
                found[path] = content
        return found

    async def changes(self, old: str, new: str) -> tuple[Change, ...]:
        """What differs between two trees or commits, with counts of lines."""
        question = ("changes", self.common_dir)
        return await _remembered.get(question, (old, new), lambda: self._changes(old, new))

    async def _changes(self, old: str, new: str) -> tuple[Change, ...]:
        arguments = ["diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv"]
        answer = await self.git(*arguments, "--raw", "--numstat", old, new)
        return parse_changes(answer.stdout)

    async def diff(self, old: str, new: str, *paths: str, limit_bytes: int = 1 << 20) -> str:
        """The change as text for people, cut at `limit_bytes` with a word about it."""
        arguments = ["diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color"]
        answer = await self.git(*arguments, old, new, "--", *paths)
        text = answer.stdout[:limit_bytes].decode(errors="replace")
        over = len(answer.stdout) - limit_bytes
        return text if over <= 0 else f"{text}\n... {over} more bytes of difference"

    async def merge_trees(self, ours: str, theirs: str) -> MergeResult:
        """Both commits' changes since their merge base, in one tree. Touches no files."""
        answer = await self.git(
            "merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs, ok=(0, 1)
        )
        tree, *rest = answer.stdout.split(b"\0")
        if answer.exit_code == 0:
            return MergeResult(tree=tree.decode().strip())
        names = rest[: rest.index(b"")] if b"" in rest else rest
        words = b" ".join(part for part in rest[len(names) + 1 :] if part.endswith(b"\n"))
        return MergeResult(
            tree=tree.decode().strip(),
            conflicts=tuple(dict.fromkeys(os.fsdecode(name) for name in names)),
            messages=words.decode(errors="replace").strip(),
        )

    # --- folders

    @asynccontextmanager
    async def private_index(self) -> AsyncIterator[Path]:
        """A path for an index that nobody else uses."""
        with tempfile.TemporaryDirectory(prefix="orchard-index-") as folder:
            yield Path(folder) / "index"

    async def checkout(self, tree: str, folder: Path, *, index: Path | None = None) -> None:
        """Make `folder` hold exactly the tree's files: modes, symlinks, fresh times, nothing left out.

        `index` is what the folder held before; without one the folder must be empty. Ignored files and nested
        repositories stay. Submodules become empty folders.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if index is not None:
            await self._read_tree(tree, folder, index)
            return
        async with self.private_index() as fresh:
            await self._read_tree(tree, folder, fresh)

    async def _read_tree(self, tree: str, folder: Path, index: Path) -> None:
        await self.git(
            "read-tree", "--reset", "-u", "--no-sparse-checkout", tree, work_tree=folder, index=index
        )

    async def stage(self, folder: Path, index: Path) -> Staged:
        """The folder's files, ignored ones left out, as a tree, by Orchard's own index of it.

        `git add -A` would run `git status` inside of submodules, under configuration that an agent may have
        written there; listing and updating by ourselves starts nothing. Submodules stay as the index has
        them.
        """
        listing = await self.git(
            "ls-files", "-z", "-t", "-m", "-d", "-o", "--exclude-standard", work_tree=folder, index=index
        )
        tagged = [entry for entry in listing.stdout.split(b"\0") if entry]
        # What is known before what is new: a file that became a folder must leave before its children come.
        tagged.sort(key=lambda entry: entry.startswith(b"?"))
        names = list(dict.fromkeys(entry[2:] for entry in tagged))
        nested = tuple(os.fsdecode(name[:-1]) for name in names if name.endswith(b"/"))
        todo = [name for name in names if not name.endswith(b"/") and not _is_submodule(folder, name)]
        if todo:
            await self.git(
                "update-index",
                "-z",
                "--add",
                "--remove",
                "--replace",
                "--stdin",
                work_tree=folder,
                index=index,
                stdin=b"\0".join(todo) + b"\0",
            )
        answer = await self.git("write-tree", index=index)
        return Staged(tree=answer.stdout.decode().strip(), nested=nested)


def _is_submodule(folder: Path, name: bytes) -> bool:
    path = folder / os.fsdecode(name)
    return path.is_dir() and not path.is_symlink() and (path / ".git").exists()


def _at(git_dir: Path) -> dict[str, str]:
    return {"GIT_DIR": str(git_dir)}


def find_git_dir(path: Path) -> Path:
    """The git folder of a checkout. Raises InvalidInput with what is there instead."""
    mark = path / ".git"
    try:
        if mark.is_dir():
            found = mark.resolve()
        elif mark.is_file():
            text = mark.read_text()
            if not text.startswith("gitdir:"):
                raise InvalidInput(f"{mark} is not git's.", hint="Register the top of a git repository.")
            found = (path / text.removeprefix("gitdir:").strip()).resolve()
        else:
            raise InvalidInput(
                f"{path} is not the top folder of a git repository.",
                why="It has no .git.",
                hint="Run `git init` there and commit, or register another folder.",
            )
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read.", why=str(error)) from error
    if not (found / "HEAD").is_file():
        raise InvalidInput(f"{path} points to a git folder that is not there.", why=f"{found} has no HEAD.")
    return found
