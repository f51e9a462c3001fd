"""One worktree a story, set to the exact commit where its next phase starts; whatever else is found there is
saved first.

    <state_path>/worktrees/<project>/<story>      the files, on branch orchard/<story>
    <state_path>/worktrees/<project>/.orchard/    Orchard's own index of each, and notes on refused attempts
    refs/orchard/salvage/<story>/<n>              what was found and saved
    refs/orchard/made/<story>/<commit>            commits that Orchard made: known ones, kept from pruning
    refs/orchard/stories/<story>                  where the branch stood when the worktree was removed
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from core.agents.confined import read_text, write_text
from core.agents.roles import spec_path
from core.domain.lifecycles import Phase
from core.errors import NotAllowed, NotFound
from core.ids import branch_of
from core.removal import remove_tree
from core.worker.byhand import end_operations, keep_commits, show_as_changes, staged_elsewhere, with_file
from core.worker.contract import Salvage
from core.worker.found import KEPT, MADE, Finder, Found, Worktree
from core.worker.git import GitFailed, Repository
from core.worker.gitobjects import Staged
from core.worker.left import Left, write_whole

_EXCLUDED = ".orch-state/"
_SNAPSHOTS = 3  # attempts at files that somebody is changing


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    worktree: Worktree
    salvage: Salvage | None = None
    resumed: bool = False  # it goes on with what an attempt left that did not pass
    parked: bool = False  # that one was interrupted to make place


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A worktree as a person left it; `salvages` hold what its files do not show."""

    worktree: Worktree
    salvages: tuple[Salvage, ...] = ()


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


def taken_mark(state_path: Path, project: str, story: str) -> Path:
    """A file that is there while a person works in the story's worktree, from when it was opened for them."""
    return state_path.resolve() / "worktrees" / project / ".orchard" / f"{story}.taken"


def place_of(state_path: Path, project: str, story: str) -> tuple[Path, Path, Path]:
    """Where a story's files are, Orchard's own index of them, and the mark that is there while they are being
    set."""
    folder = state_path.resolve() / "worktrees" / project
    own = folder / ".orchard"
    return folder / story, own / f"{story}.index", own / f"{story}.setting"


class Worktrees:
    """The worktrees of one project. One call a story at a time: the caller holds the story's lock."""

    def __init__(self, repository: Repository, *, project: str, state_path: Path) -> None:
        self._repository = repository
        self._project = project
        self._state_path = state_path
        self.folder = state_path.resolve() / "worktrees" / project
        self._own = self.folder / ".orchard"
        self._finder = Finder(
            repository, folder=self.folder, aside=state_path.resolve() / "salvage" / project
        )

    async def ensure(self, story: str, commit: str, *, spec: str, phase: Phase) -> Prepared:
        """The story's worktree at `commit`, with its spec mirrored.

        A retry after a refusal goes on in the files as the refused attempt left them: the agent is told
        what was wrong with them and amends them; so does a turn that was interrupted to make place. That
        holds only when nothing happened since (`note_left`): after a crash or an agent's failure nobody
        judged the files, so the phase starts from `commit` and they are saved.
        """
        self._own.mkdir(parents=True, exist_ok=True)
        self._taken(story).unlink(missing_ok=True)
        self.exclude(_EXCLUDED)
        worktree = await self._finder.registered(story)
        unfinished = self._setting(story).exists()
        found = await self._finder.look(story, worktree, commit)
        staged = found.staged
        if worktree is not None and staged is not None and not staged.nested and not unfinished:
            self._repair_link(worktree)
            if found.attached and found.head == commit == found.tip:
                left = Left.read(self._note(story))
                resumed = left is not None and left[:3] == (commit, phase, staged.tree)
                if resumed or staged.tree == found.tree:
                    salvage = None
                    if not resumed:
                        salvage = await self._save_found(story, commit, found, phase, spec)
                        self._share_index(worktree)
                    if not (resumed and phase is Phase.DESIGN):  # there the draft of the spec is the work
                        self._mirror(worktree, spec)
                    self._forget_left(story)
                    parked = left is not None and resumed and left.parked
                    return Prepared(worktree=worktree, salvage=salvage, resumed=resumed, parked=parked)
        # What an interrupted setting left is nobody's work: the rest was saved before it began.
        salvage = None if unfinished else await self._save_found(story, commit, found, phase, spec)
        self._forget_left(story)
        worktree = await self._set(
            story, worktree if found.usable else None, commit, staged.nested if staged else ()
        )
        self._mirror(worktree, spec)
        return Prepared(worktree=worktree, salvage=salvage)

    async def _save_found(
        self, story: str, commit: str, found: Found, phase: Phase | None, spec: str
    ) -> Salvage | None:
        """What is there and not Orchard's own; of a design that did not pass also its draft, which is in no
        tree of the worktree."""
        draft = self._draft(story) if phase is Phase.DESIGN else ""
        if found.staged is not None and draft and draft != spec:
            tree = await with_file(
                self._repository, found.staged.tree, spec_path(story), draft.encode(errors="replace")
            )
            found = replace(found, staged=replace(found.staged, tree=tree))
        return await self._finder.salvage(story, commit, found)

    async def parked_at(self, story: str, phase: Phase) -> str | None:
        """The commit on which a parked turn of this phase can go on; None when there is none, or when its
        files or its branch are not as it left them."""
        left = Left.read(self._note(story))
        if left is None or not left.parked or left.phase != phase or self._setting(story).exists():
            return None
        worktree = await self._finder.registered(story)
        if worktree is None or await self._repository.resolve(left.commit) is None:
            return None
        found = await self._finder.look(story, worktree, left.commit)
        stands = found.attached and found.head == left.commit == found.tip
        kept = found.staged is not None and not found.staged.nested and found.staged.tree == left.tree
        return left.commit if stands and kept else None

    # --- by hand

    async def adopt(self, story: str, commit: str, *, spec: str, phase: Phase) -> Adopted:
        """The story's worktree on its branch at `commit`, with the files as a person left them.

        It does not matter where they are: uncommitted, committed on the branch, on another one or on none.
        Where no files are left, those of the branch count. Commits stay at refs/orchard/hands; what the files
        do not show is saved: the branch's tip when the person went elsewhere, what was staged and then
        changed again, a changed spec in a phase that does not write it. The next attempt may go on from
        these files, whatever becomes of this one.
        """
        self._own.mkdir(parents=True, exist_ok=True)
        self._taken(story).unlink(missing_ok=True)
        self.exclude(_EXCLUDED)
        worktree = await self._finder.registered(story)
        found = await self._finder.look(story, worktree, commit)
        hands = found.foreign(commit)
        await keep_commits(self._repository, story, hands)
        draft = self._draft(story)
        salvages: list[Salvage] = []
        if self._setting(story).exists() or worktree is None or not found.usable or found.staged is None:
            saved, worktree, tree = await self._rebuild(story, worktree, commit, found)
            salvages += saved
        else:
            tree = found.staged.tree
            self._repair_link(worktree)
            salvages += await self._save_unseen(story, worktree, commit, found, tree)
        if draft and draft != spec and phase is not Phase.DESIGN:
            number = found.salvaged + len(salvages) + 1
            salvages.append(await self._save_draft(story, number, tree, commit, draft))
        self.note_left(story, commit=commit, phase=phase, tree=tree)
        await self.attach(worktree, commit)
        self._mirror(worktree, draft if phase is Phase.DESIGN and draft else spec)
        return Adopted(worktree=worktree, salvages=tuple(salvages))

    async def _rebuild(
        self, story: str, worktree: Worktree | None, commit: str, found: Found
    ) -> tuple[list[Salvage], Worktree, str]:
        """A worktree for files that git cannot work with, or that are gone: saved first, then put back."""
        unfinished = self._setting(story).exists()
        if found.staged is None:
            tree = await self._repository.tree_of(found.tip if found.tip in found.foreign(commit) else commit)
            salvage = None
        else:
            tree = found.tree if unfinished else found.staged.tree
            salvage = await self._finder.salvage(story, commit, found)
        nested = found.staged.nested if found.staged else ()
        made = await self._set(story, worktree if found.usable else None, commit, nested)
        await self._repository.checkout(tree, made.path, index=made.index)
        return [salvage] if salvage is not None else [], made, tree

    async def _save_unseen(
        self, story: str, worktree: Worktree, commit: str, found: Found, tree: str
    ) -> list[Salvage]:
        head, tip = found.head or commit, found.tip
        unseen: list[tuple[str, str]] = []  # a tree, and the commit that it belongs to
        if tip is not None and tip in found.foreign(commit) and not await self._holds(head, tip):
            unseen.append((await self._repository.tree_of(tip), tip))
        staged = await staged_elsewhere(
            self._repository, worktree, await self._repository.tree_of(head), tree
        )
        if staged is not None:
            unseen.append((staged, head))
        first = found.salvaged + 1
        return [
            await self._finder.save(story, number, saved, [parent], unlike=tree)
            for number, (saved, parent) in enumerate(unseen, start=first)
            if saved != tree
        ]

    async def _holds(self, head: str, tip: str) -> bool:
        return head == tip or await self._repository.is_ancestor(tip, head)

    async def _save_draft(self, story: str, number: int, tree: str, commit: str, draft: str) -> Salvage:
        with_draft = await with_file(self._repository, tree, spec_path(story), draft.encode(errors="replace"))
        return await self._finder.save(story, number, with_draft, [commit], unlike=tree)

    def _draft(self, story: str) -> str:
        """The spec as it stands in the worktree; nothing where there is no plain file."""
        try:
            return read_text(self.folder / story, spec_path(story))
        except (NotFound, NotAllowed, OSError):
            return ""

    async def attach(self, worktree: Worktree, commit: str) -> None:
        """The branch at `commit` and HEAD on the branch; no file changes."""
        await self._update_refs([f"update {worktree.branch} {commit}"])
        await self._repository.git(
            "symbolic-ref", "-m", "orchard", "HEAD", worktree.branch, git_dir=worktree.git_dir
        )
        end_operations(worktree)
        await show_as_changes(self._repository, worktree, commit)

    # --- use

    async def snapshot(self, story: str) -> Staged | None:
        """A story's files as they are now, as a tree, while others may be at work in them.

        By an index of its own, so that nobody is disturbed. None where there are no files, or while they are
        being set. Raises GitFailed when they change faster than they can be read.
        """
        place, own = self.folder / story, self._finder.index(story)
        for attempt in range(_SNAPSHOTS):
            if self._setting(story).exists() or place.is_symlink() or not place.is_dir():
                return None
            try:
                async with self._repository.private_index() as index:
                    if own.exists():
                        shutil.copyfile(own, index)
                    staged = await self._repository.stage(place, index)
            except (GitFailed, OSError) as error:
                if attempt + 1 == _SNAPSHOTS:
                    raise GitFailed(f"The files of {story} cannot be read.", why=str(error)) from error
                continue
            if not self._setting(story).exists():
                return staged
        return None

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
        lines = [f"update {MADE}/{story}/{commit} {commit}" for commit in commits]
        if branch is not None:
            lines.append(f"update {branch} {commits[-1]} {old}")
        await self._update_refs(lines)

    async def remove(self, story: str) -> Salvage | None:
        """Remove worktree and branch; fine when there is none.

        What was not committed is saved; the branch's head stays at refs/orchard/stories/<story>.
        """
        worktree = await self._finder.registered(story)
        branch = f"refs/heads/{branch_of(story)}"
        tip = await self._repository.resolve(branch)
        salvage = None
        if tip is not None:
            found = await self._finder.look(story, worktree, tip)
            note = Left.read(self._note(story))
            salvage = await self._save_found(story, tip, found, note.phase if note else None, "")
        remove_tree(self.folder / story)
        if worktree is not None:
            remove_tree(worktree.git_dir)
        lines = [f"delete {ref}" for ref in await self._repository.refs(f"{MADE}/{story}/")]
        if tip is not None:
            lines += [f"update {KEPT}/{story} {tip}", f"delete {branch} {tip}"]
        await self._update_refs(lines)
        for left in (self._finder.index(story), self._note(story), self._setting(story), self._taken(story)):
            left.unlink(missing_ok=True)
        return salvage

    async def _update_refs(self, lines: list[str]) -> None:
        if lines:
            await self._repository.git("update-ref", "--stdin", stdin="\n".join([*lines, ""]).encode())

    async def position(self, worktree: Worktree) -> tuple[str | None, bool]:
        """The worktree's own commit, and whether its HEAD is the story's branch."""
        return await self._finder.position(worktree)

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

    def _note(self, story: str) -> Path:
        return self._own / f"{story}.refused"

    def _setting(self, story: str) -> Path:
        return place_of(self._state_path, self._project, story)[2]

    def _taken(self, story: str) -> Path:
        return taken_mark(self._state_path, self._project, story)

    def note_taken(self, story: str) -> None:
        """Remember that a person works in it, until it is adopted or ensured again."""
        self._taken(story).touch()

    def is_taken(self, story: str) -> bool:
        return self._taken(story).exists()

    def note_left(self, story: str, *, commit: str, phase: Phase, tree: str, parked: bool = False) -> None:
        """Remember exactly this, of an attempt that did not pass: the next one may go on from it.

        `parked`: its turn was interrupted to make place.
        """
        Left(commit, phase, tree, parked).write(self._note(story))

    def _forget_left(self, story: str) -> None:
        self._note(story).unlink(missing_ok=True)

    # --- setting

    async def _set(
        self, story: str, worktree: Worktree | None, commit: str, nested: Iterable[str]
    ) -> Worktree:
        self._setting(story).touch()
        place = self.folder / story
        if worktree is None or not place.is_dir():
            if (unusable := await self._finder.registered(story)) is not None:
                remove_tree(unusable.git_dir)
            remove_tree(place)  # saved before: what is left are ignored files
            self._finder.index(story).unlink(missing_ok=True)
            await self._repository.git("worktree", "add", "--no-checkout", "--detach", str(place), commit)
            worktree = await self._finder.registered(story)
            if worktree is None:
                raise GitFailed(f"git did not make the worktree {place}.")
        for name in nested:
            remove_tree(place / name)
        await self._repository.checkout(commit, place, index=worktree.index)
        # Known from now on: finding it there later is no foreign work.
        await self._update_refs(
            [f"update {MADE}/{story}/{commit} {commit}", f"update {worktree.branch} {commit}"]
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
                self._finder.move_aside(mark)  # a repository that an agent made in its place
            else:
                mark.unlink(missing_ok=True)
            write_whole(mark, worktree.link)

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
