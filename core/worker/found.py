"""What stands in a story's place before it is set, and how it is saved.

Finder.look      files, commits and branch as they are: nothing is changed, but for what git cannot use
Finder.salvage   to refs/orchard/salvage/<story>/<n>, whatever is not Orchard's own
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.ids import branch_of
from core.removal import remove_tree
from core.walking import walk
from core.worker.contract import Salvage
from core.worker.git import GitFailed, Repository
from core.worker.gitobjects import Staged

SALVAGE = "refs/orchard/salvage"
MADE = "refs/orchard/made"
KEPT = "refs/orchard/stories"  # where a story's branch stood when its worktree was removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A story's files.

    `git_dir` is its folder below the repository's `.git/worktrees`; `index` is Orchard's own.
    """

    story_id: str
    path: Path
    git_dir: Path
    index: Path
    branch: str  # full ref name

    @property
    def link(self) -> str:
        """What its `.git` file says."""
        return f"gitdir: {self.git_dir}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stands in a story's place before it is set."""

    tree: str  # of the commit that it is to be set to
    usable: bool  # git can work with it
    head: str | None  # the worktree's commit, or the branch's where there is no usable worktree
    attached: bool  # HEAD is the story's branch
    tip: str | None  # of the story's branch
    staged: Staged | None  # None: no files
    known: frozenset[str]  # commits that Orchard made
    salvaged: int  # the highest salvage number so far

    def foreign(self, commit: str) -> list[str]:
        """Heads that Orchard did not make, other than `commit`."""
        heads = dict.fromkeys(oid for oid in (self.head, self.tip) if oid is not None)
        return [oid for oid in heads if oid != commit and oid not in self.known]


class Finder:
    """For the worktrees of one project in `folder`; what cannot be a commit is moved to `aside`."""

    def __init__(self, repository: Repository, *, folder: Path, aside: Path) -> None:
        self._repository = repository
        self._folder = folder
        self._aside = aside

    def index(self, story: str) -> Path:
        """Orchard's own index of a story's files."""
        return self._folder / ".orchard" / f"{story}.index"

    async def registered(self, story: str) -> Worktree | None:
        """The worktree that git knows at the story's place; None where there is none or it is damaged."""
        pointers = (self._repository.common_dir / "worktrees").glob("*/gitdir")
        for pointer in sorted(pointers, key=lambda path: path.parent.name != story):
            try:
                target = pointer.read_text().strip()
            except (OSError, UnicodeDecodeError):
                continue
            if target == str(self._folder / story / ".git"):
                git_dir = pointer.parent
                if (git_dir / "HEAD").is_file() and (git_dir / "commondir").is_file():
                    return self._worktree(story, git_dir)
                remove_tree(git_dir)  # half-made: git itself cannot use it
        return None

    def _worktree(self, story: str, git_dir: Path) -> Worktree:
        return Worktree(
            story_id=story,
            path=self._folder / story,
            git_dir=git_dir,
            index=self.index(story),
            branch=f"refs/heads/{branch_of(story)}",
        )

    async def look(self, story: str, worktree: Worktree | None, commit: str) -> Found:
        """What is there now, where `commit` is to be. Raises GitFailed when there is no such commit."""
        branch = f"refs/heads/{branch_of(story)}"
        refs = await self._repository.refs(branch, f"{MADE}/{story}/", f"{SALVAGE}/{story}/")
        tip = refs.get(branch)
        tree, head, attached = await self._stands_at(worktree, commit)
        return Found(
            tree=tree,
            usable=head is not None,
            head=head or tip,
            attached=attached,
            tip=tip,
            staged=await self._stage_found(story, head or tip or commit),
            known=frozenset(oid for ref, oid in refs.items() if ref.startswith(MADE)),
            salvaged=max((_number(ref) for ref in refs if ref.startswith(SALVAGE)), default=0),
        )

    async def _stands_at(self, worktree: Worktree | None, commit: str) -> tuple[str, str | None, bool]:
        """The commit's tree, the worktree's own commit, and whether its HEAD is the branch."""
        head, attached = await self.position(worktree) if worktree is not None else (None, False)
        try:
            return await self._repository.tree_of(commit), head, attached
        except GitFailed as error:
            raise GitFailed(f"Commit {commit} is not in {self._repository.path}.", why=error.why) from error

    async def _stage_found(self, story: str, head: str) -> Staged | None:
        place = self._folder / story
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            self.move_aside(place)
        if not place.is_dir() or all(path.name == ".git" for path in place.iterdir()):
            return None
        index = self.index(story)
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # of a git that was killed
        try:
            if not index.exists():
                await self._repository.git("read-tree", head, index=index)
            return await self._repository.stage(place, index)
        except GitFailed:
            # An index that is damaged, or speaks of objects that are gone: made anew, every file is read
            # again.
            index.unlink(missing_ok=True)
            await self._repository.git("read-tree", head, index=index)
            return await self._repository.stage(place, index)

    async def position(self, worktree: Worktree) -> tuple[str | None, bool]:
        """The worktree's own commit, and whether its HEAD is the story's branch."""
        answer = await self._repository.git(
            "rev-parse",
            "HEAD^{commit}",
            "--symbolic-full-name",
            "HEAD",
            git_dir=worktree.git_dir,
            check=False,
        )
        if answer.exit_code != 0:
            return None, False
        head, name = answer.stdout.decode().split()
        return head, name == worktree.branch

    # --- saving

    async def salvage(self, story: str, commit: str, found: Found) -> Salvage | None:
        """Save files and commits that are not Orchard's; None when there are none."""
        foreign = found.foreign(commit)
        staged = found.staged
        base = found.head or commit
        base_tree = found.tree if base == commit else await self._repository.tree_of(base)
        nested = staged.nested if staged else ()
        if not (foreign or nested or (staged is not None and staged.tree != base_tree)):
            return None
        saved = staged.tree if staged else base_tree
        if nested:
            saved = await self._with_nested(story, saved, nested)
        parents = list(dict.fromkeys([base, *foreign]))
        return await self.save(story, found.salvaged + 1, saved, parents, unlike=found.tree)

    async def save(
        self, story: str, number: int, tree: str, parents: Sequence[str], *, unlike: str
    ) -> Salvage:
        """A story's tree at its salvage ref of that number; its files: those that differ from `unlike`."""
        message = f"Found in the worktree of {story}\n\nOrchard-Story: {story}\n"
        oid = await self._repository.commit_tree(tree, parents, message)
        ref = f"{SALVAGE}/{story}/{number}"
        await self._repository.update_ref(ref, oid, None, reason="found in the worktree")
        changed = await self._repository.changes(unlike, tree)
        return Salvage(story_id=story, ref=ref, files=tuple(change.path for change in changed))

    async def _with_nested(self, story: str, tree: str, nested: Iterable[str]) -> str:
        """The tree with the plain files of repositories that somebody made in the worktree, but for their
        `.git`.

        Symbolic links in them, and names with a line break, are left out.
        """
        place = self._folder / story
        names: list[str] = []
        for folder in nested:
            for here, folders, files in walk(place / folder):
                folders[:] = [name for name in folders if name != ".git"]
                paths = [Path(here) / name for name in files]
                plain = [path for path in paths if path.is_file() and not path.is_symlink()]
                names += [str(path.relative_to(place)) for path in plain if "\n" not in str(path)]
        if not names:
            return tree
        async with self._repository.private_index() as index:
            await self._repository.git("read-tree", tree, index=index)
            hashed = await self._repository.git(
                "hash-object",
                "-w",
                "--no-filters",
                "--stdin-paths",
                work_tree=place,
                stdin=b"".join(os.fsencode(name) + b"\n" for name in names),
            )
            pairs = zip(names, hashed.stdout.split(), strict=True)
            info = b"".join(b"100644 %b\t%b\0" % (oid, os.fsencode(name)) for name, oid in pairs)
            await self._repository.git(
                "update-index", "-z", "--add", "--replace", "--index-info", index=index, stdin=info
            )
            answer = await self._repository.git("write-tree", index=index)
        return answer.stdout.decode().strip()

    def move_aside(self, path: Path) -> None:
        """Out of the way and out of the sandbox, but not lost."""
        self._aside.mkdir(parents=True, exist_ok=True)
        path.rename(self._aside / f"{path.parent.name}-{path.name.lstrip('.')}-{secrets.token_hex(4)}")


def _number(ref: str) -> int:
    last = ref.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0
