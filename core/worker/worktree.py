"""One worktree a story, set to the exact commit where its next phase starts; whatever else is found there is
saved first.

    <state_path>/worktrees/<project>/<story>            the files, on branch orchard/<story>
    <state_path>/worktrees/<project>/.orchard/          Orchard's own index of each, and notes on refused
    attempts refs/orchard/salvage/<story>/<n>                    what was found and saved
    refs/orchard/made/<story>/<commit>                  commits that Orchard made: known ones, kept from
    pruning refs/orchard/stories/<story>                        where the branch stood when the worktree was
    removed
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.agents.confined import write_text
from core.agents.roles import spec_path
from core.domain.lifecycles import Phase
from core.ids import branch_of
from core.worker.contract import Salvage
from core.worker.git import GitFailed, Repository, Staged

_SALVAGE = "refs/orchard/salvage"
_MADE = "refs/orchard/made"
_KEPT = "refs/orchard/stories"
_EXCLUDED = ".orch-state/"


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
class Prepared:
    worktree: Worktree
    salvage: Salvage | None = None
    resumed: bool = False  # it goes on with what a refused attempt left


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What stands in a story's place before it is set."""

    tree: str  # of the commit that it is to be set to
    usable: bool  # git can work with it
    head: str | None  # the worktree's commit, or the branch's where there is no usable worktree
    attached: bool  # HEAD is the story's branch
    tip: str | None  # of the story's branch
    staged: Staged | None  # None: no files
    known: frozenset[str]  # commits that Orchard made
    salvaged: int  # the highest salvage number so far


def exclude(common_dir: Path, *patterns: str) -> None:
    """Keep files out of the user's commits, by the repository's private ignore file."""
    path = common_dir / "info" / "exclude"
    text = path.read_text(errors="surrogateescape") if path.exists() else ""
    missing = [pattern for pattern in patterns if pattern not in text.splitlines()]
    if missing:
        path.parent.mkdir(exist_ok=True)
        gap = "" if not text or text.endswith("\n") else "\n"
        with path.open("a", errors="surrogateescape") as stream:
            stream.write(gap + "".join(f"{pattern}\n" for pattern in missing))


class Worktrees:
    """The worktrees of one project. One call a story at a time: the caller holds the story's lock."""

    def __init__(self, repository: Repository, *, project: str, state_path: Path) -> None:
        self._repository = repository
        self.folder = state_path.resolve() / "worktrees" / project
        self._own = self.folder / ".orchard"
        self._aside = state_path.resolve() / "salvage" / project

    async def ensure(self, story: str, commit: str, *, spec: str, phase: Phase) -> Prepared:
        """The story's worktree at `commit`, with its spec mirrored.

        A retry after a refusal goes on in the files as the refused attempt left them: the agent is told
        what was wrong with them and amends them. That holds only when nothing happened since
        (`note_refused`): after a crash or an agent's failure nobody judged the files, so the phase starts
        from `commit` and they are saved.
        """
        self._own.mkdir(parents=True, exist_ok=True)
        self.exclude(_EXCLUDED)
        worktree = await self._registered(story)
        unfinished = self._setting(story).exists()
        found = await self._look(story, worktree, commit)
        staged = found.staged
        if worktree is not None and staged is not None and not staged.nested and not unfinished:
            self._repair_link(worktree)
            if found.attached and found.head == commit == found.tip:
                refused = self._refused_tree(story, commit, phase)
                self._forget_refused(story)
                if staged.tree in (refused, found.tree):
                    resumed = staged.tree == refused
                    if not resumed:
                        self._share_index(worktree)
                    if not (resumed and phase is Phase.DESIGN):  # there the draft of the spec is the work
                        self._mirror(worktree, spec)
                    return Prepared(worktree=worktree, resumed=resumed)
        # What an interrupted setting left is nobody's work: the rest was saved before it began.
        salvage = None if unfinished else await self._salvage(story, commit, found)
        self._forget_refused(story)
        worktree = await self._set(
            story, worktree if found.usable else None, commit, staged.nested if staged else ()
        )
        self._mirror(worktree, spec)
        return Prepared(worktree=worktree, salvage=salvage)

    async def stage(self, worktree: Worktree) -> Staged:
        """The worktree's files as a tree."""
        return await self._repository.stage(worktree.path, worktree.index)

    async def commit(self, worktree: Worktree, tree: str, *, parent: str, message: str) -> str:
        """A phase's commit on the story's branch; the agent's own view of git is brought up to it.

        Raises GitFailed when the branch is not at `parent` any more.
        """
        commit = await self._repository.commit_tree(tree, [parent], message)
        await self.keep(worktree.story_id, commit, branch=worktree.branch, old=parent)
        self._share_index(worktree)
        return commit

    async def keep(
        self, story: str, *commits: str, branch: str | None = None, old: str | None = None
    ) -> None:
        """Note commits as Orchard's own; with `branch` also move it to the last one. One transaction."""
        lines = [f"update {_MADE}/{story}/{commit} {commit}" for commit in commits]
        if branch is not None:
            lines.append(f"update {branch} {commits[-1]} {old}")
        await self._update_refs(lines)

    async def remove(self, story: str) -> Salvage | None:
        """Remove worktree and branch; fine when there is none.

        What was not committed is saved; the branch's head stays at refs/orchard/stories/<story>.
        """
        worktree = await self._registered(story)
        branch = f"refs/heads/{branch_of(story)}"
        tip = await self._repository.resolve(branch)
        salvage = None
        if tip is not None:
            found = await self._look(story, worktree, tip)
            salvage = await self._salvage(story, tip, found)
        _remove_tree(self.folder / story)
        if worktree is not None:
            _remove_tree(worktree.git_dir)
        lines = [f"delete {ref}" for ref in await self._repository.refs(f"{_MADE}/{story}/")]
        if tip is not None:
            lines += [f"update {_KEPT}/{story} {tip}", f"delete {branch} {tip}"]
        await self._update_refs(lines)
        for left in (self._index(story), self._note(story), self._setting(story)):
            left.unlink(missing_ok=True)
        return salvage

    async def _update_refs(self, lines: list[str]) -> None:
        if lines:
            await self._repository.git("update-ref", "--stdin", stdin="\n".join([*lines, ""]).encode())

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

    def is_swapped(self, worktree: Worktree) -> bool:
        """Whether the worktree's `.git` file is not the one that was put there."""
        mark = worktree.path / ".git"
        try:
            return mark.is_symlink() or not mark.is_file() or mark.read_bytes() != worktree.link.encode()
        except OSError:
            return True

    def exclude(self, *patterns: str) -> None:
        exclude(self._repository.common_dir, *patterns)

    # --- notes beside the worktrees

    def _index(self, story: str) -> Path:
        return self._own / f"{story}.index"

    def _note(self, story: str) -> Path:
        return self._own / f"{story}.refused"

    def _setting(self, story: str) -> Path:
        return self._own / f"{story}.setting"

    def note_refused(self, story: str, *, commit: str, phase: Phase, tree: str) -> None:
        """Remember that a gate judged exactly this: the next attempt may go on from it."""
        _write(self._note(story), json.dumps({"commit": commit, "phase": phase, "tree": tree}))

    def _refused_tree(self, story: str, commit: str, phase: Phase) -> str | None:
        try:
            note = json.loads(self._note(story).read_text())
            return str(note["tree"]) if (note["commit"], note["phase"]) == (commit, phase) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _forget_refused(self, story: str) -> None:
        self._note(story).unlink(missing_ok=True)

    # --- looking

    async def _registered(self, story: str) -> Worktree | None:
        """The worktree that git knows at the story's place; None where there is none or it is damaged."""
        pointers = (self._repository.common_dir / "worktrees").glob("*/gitdir")
        for pointer in sorted(pointers, key=lambda path: path.parent.name != story):
            try:
                target = pointer.read_text().strip()
            except (OSError, UnicodeDecodeError):
                continue
            if target == str(self.folder / story / ".git"):
                git_dir = pointer.parent
                if (git_dir / "HEAD").is_file() and (git_dir / "commondir").is_file():
                    return self._worktree(story, git_dir)
                _remove_tree(git_dir)  # half-made: git itself cannot use it
        return None

    def _worktree(self, story: str, git_dir: Path) -> Worktree:
        return Worktree(
            story_id=story,
            path=self.folder / story,
            git_dir=git_dir,
            index=self._index(story),
            branch=f"refs/heads/{branch_of(story)}",
        )

    async def _look(self, story: str, worktree: Worktree | None, commit: str) -> _Found:
        branch = f"refs/heads/{branch_of(story)}"
        refs = await self._repository.refs(branch, f"{_MADE}/{story}/", f"{_SALVAGE}/{story}/")
        tip = refs.get(branch)
        tree, head, attached = await self._stands_at(worktree, commit)
        return _Found(
            tree=tree,
            usable=head is not None,
            head=head or tip,
            attached=attached,
            tip=tip,
            staged=await self._stage_found(story, head or tip or commit),
            known=frozenset(oid for ref, oid in refs.items() if ref.startswith(_MADE)),
            salvaged=max((_number(ref) for ref in refs if ref.startswith(_SALVAGE)), default=0),
        )

    async def _stands_at(self, worktree: Worktree | None, commit: str) -> tuple[str, str | None, bool]:
        """The commit's tree, the worktree's own commit, and whether its HEAD is the branch."""
        head, attached = await self.position(worktree) if worktree is not None else (None, False)
        try:
            return await self._repository.tree_of(commit), head, attached
        except GitFailed as error:
            raise GitFailed(f"Commit {commit} is not in {self._repository.path}.", why=error.why) from error

    async def _stage_found(self, story: str, head: str) -> Staged | None:
        place = self.folder / story
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            self._move_aside(place)
        if not place.is_dir() or all(path.name == ".git" for path in place.iterdir()):
            return None
        index = self._index(story)
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

    # --- saving

    async def _salvage(self, story: str, commit: str, found: _Found) -> Salvage | None:
        """Save files and commits that are not Orchard's; None when there are none."""
        heads = dict.fromkeys(oid for oid in (found.head, found.tip) if oid is not None)
        foreign = [oid for oid in heads if oid != commit and oid not in found.known]
        staged = found.staged
        base = found.head or commit
        base_tree = found.tree if base == commit else await self._repository.tree_of(base)
        nested = staged.nested if staged else ()
        if not (foreign or nested or (staged is not None and staged.tree != base_tree)):
            return None
        saved = staged.tree if staged else base_tree
        if nested:
            saved = await self._with_nested(story, saved, nested)
        message = f"Found in the worktree of {story}\n\nOrchard-Story: {story}\n"
        oid = await self._repository.commit_tree(saved, list(dict.fromkeys([base, *foreign])), message)
        ref = f"{_SALVAGE}/{story}/{found.salvaged + 1}"
        await self._repository.update_ref(ref, oid, None, reason="found in the worktree")
        changed = await self._repository.changes(found.tree, saved)
        return Salvage(story_id=story, ref=ref, files=tuple(change.path for change in changed))

    async def _with_nested(self, story: str, tree: str, nested: Iterable[str]) -> str:
        """The tree with the plain files of repositories that somebody made in the worktree, but for their
        `.git`.

        Symbolic links in them, and names with a line break, are left out.
        """
        place = self.folder / story
        names: list[str] = []
        for folder in nested:
            for here, folders, files in os.walk(place / folder):
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

    def _move_aside(self, path: Path) -> None:
        """Out of the way and out of the sandbox, but not lost."""
        self._aside.mkdir(parents=True, exist_ok=True)
        path.rename(self._aside / f"{path.parent.name}-{path.name.lstrip('.')}-{secrets.token_hex(4)}")

    # --- setting

    async def _set(
        self, story: str, worktree: Worktree | None, commit: str, nested: Iterable[str]
    ) -> Worktree:
        self._setting(story).touch()
        place = self.folder / story
        if worktree is None or not place.is_dir():
            if (unusable := await self._registered(story)) is not None:
                _remove_tree(unusable.git_dir)
            _remove_tree(place)  # saved before: what is left are ignored files
            self._index(story).unlink(missing_ok=True)
            await self._repository.git("worktree", "add", "--no-checkout", "--detach", str(place), commit)
            worktree = await self._registered(story)
            if worktree is None:
                raise GitFailed(f"git did not make the worktree {place}.")
        for name in nested:
            _remove_tree(place / name)
        await self._repository.checkout(commit, place, index=worktree.index)
        # Known from now on: finding it there later is no foreign work.
        await self._update_refs(
            [f"update {_MADE}/{story}/{commit} {commit}", f"update {worktree.branch} {commit}"]
        )
        await self._repository.git(
            "symbolic-ref", "-m", "orchard", "HEAD", worktree.branch, git_dir=worktree.git_dir
        )
        self._repair_link(worktree)
        self._share_index(worktree)
        self._setting(story).unlink()
        return worktree

    def _repair_link(self, worktree: Worktree) -> None:
        if self.is_swapped(worktree):
            mark = worktree.path / ".git"
            if mark.is_dir() and not mark.is_symlink():
                self._move_aside(mark)  # a repository that an agent made in its place
            else:
                mark.unlink(missing_ok=True)
            _write(mark, worktree.link)

    def _share_index(self, worktree: Worktree) -> None:
        """So that the agent's `git status` and `git diff` show its own changes, and quickly."""
        fresh = worktree.git_dir / f"index.{secrets.token_hex(4)}"
        shutil.copyfile(worktree.index, fresh)
        fresh.replace(worktree.git_dir / "index")

    def _mirror(self, worktree: Worktree, spec: str) -> None:
        """Write the spec where the agent looks for it. Links that an agent planted on the way are removed."""
        relative = PurePosixPath(spec_path(worktree.story_id))
        for part in (*reversed(relative.parents[:-1]), relative):
            if (worktree.path / part).is_symlink():
                (worktree.path / part).unlink()
        if spec:
            write_text(worktree.path, str(relative), spec)
        elif (worktree.path / relative).is_file():
            (worktree.path / relative).unlink()


def _number(ref: str) -> int:
    last = ref.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.write_text(text)
    fresh.replace(path)


def _remove_tree(path: Path) -> None:
    """Remove a folder (or whatever is there), also where modes forbid it to its owner."""

    def mend(function: Callable[..., object], name: str, _: object) -> None:
        parent = Path(name).parent
        with suppress(OSError):
            parent.chmod(0o700)
            if Path(name).is_dir() and not Path(name).is_symlink():
                Path(name).chmod(0o700)
        if function in (os.scandir, os.open, os.listdir):
            shutil.rmtree(name)
        else:
            function(name)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=mend)
