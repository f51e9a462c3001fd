"""What an agent did where it had nothing to do: commits and branches, and files outside its worktree.

From level `filesystem` on the sandbox prevents nearly all of it, and only the worktree itself is looked at.
At level `process` pictures from before and after the turn are compared. Those are cheap, not complete:
ignored files of the checkout and the rest of the machine are not in them.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.domain.evidence import Refusal, RefusalCode
from core.worker.contract import ProjectSetup
from core.worker.found import Worktree
from core.worker.git import Repository
from core.worker.worktree import Worktrees

AGENT_EMAIL = "agent@orchard.localhost"

# Who an agent's own commits are by: so that a person's, made in the checkout meanwhile, are not taken for
# them.
AGENT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Orchard agent",
    "GIT_AUTHOR_EMAIL": AGENT_EMAIL,
    "GIT_COMMITTER_NAME": "Orchard agent",
    "GIT_COMMITTER_EMAIL": AGENT_EMAIL,
}

_WATCHED_REFS = ("refs/heads", "refs/tags", "refs/stash", "refs/replace", "refs/notes")
_OWN_REFS = ("refs/heads/orchard/", "refs/orchard/")
# In Orchard's folder these change by themselves.
_LIVELY = (
    "orchard.",
    "audit.head",
    ".audit.head.",
    "control.sock",
    "logs",
    "transcripts",
    "runs",
    "environments",
    "worktrees",
    "backups",
    "salvage",
)
_SHOWN = 10

Signature = tuple[int, int] | None


class AtWork:
    """The stories whose files Orchard sets or their own agents change: `now`, and how often it began."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.begun: Counter[str] = Counter()

    @contextmanager
    def within(self, story: str) -> Iterator[None]:
        self.begun[story] += 1
        self.now.add(story)
        try:
            yield
        finally:
            self.now.discard(story)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    refs: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Signature] = field(default_factory=dict)  # by absolute path: what stands out
    siblings: frozenset[str] = frozenset()  # stories whose worktrees were looked into
    at_work: frozenset[str] = frozenset()  # stories whose worktrees changed for reasons of their own
    begun: Mapping[str, int] = field(default_factory=Counter)  # as of AtWork


class Surroundings:
    """Of one story's turn."""

    def __init__(
        self, repository: Repository, worktrees: Worktrees, setup: ProjectSetup, *, story: str
    ) -> None:
        self._repository = repository
        self._worktrees = worktrees
        self._setup = setup
        self._story = story

    async def picture(self, busy: AtWork, *, since: Picture | None = None) -> Picture:
        """Everything around, as it is now; with `since`, also what stood out then."""
        begun = Counter(busy.begun)
        refs = await self._repository.refs(*_WATCHED_REFS)
        at_work = frozenset(busy.now)
        siblings = self._siblings(at_work)
        own = self._worktrees.folder / ".orchard"
        listed = await asyncio.gather(
            self._dirty(self._repository.path, None),
            *(self._dirty(place, own / f"{place.name}.index") for place in siblings),
        )
        paths = {path for group in listed for path in group}
        paths.update(self._of_orchard(at_work), (Path(path) for path in (since.files if since else ())))
        return Picture(
            refs={name: oid for name, oid in refs.items() if not name.startswith(_OWN_REFS)},
            files={os.fspath(path): _signature(path) for path in paths},
            siblings=frozenset(place.name for place in siblings),
            at_work=at_work,
            # What began while we looked began between the two pictures.
            begun=begun if since is None else Counter(busy.begun),
        )

    async def compare(self, before: Picture, after: Picture, *, start: str) -> tuple[Refusal, ...]:
        """What the turn did around its worktree; `start` is the commit where it began."""
        refusals = []
        # A sibling at which somebody of ours worked meanwhile, however shortly, changed for that.
        restless = {
            self._worktrees.folder / story
            for story in {*before.siblings, *after.siblings, *before.begun, *after.begun}
            if (story in before.siblings) != (story in after.siblings)
            or story in before.at_work | after.at_work
            or before.begun.get(story, 0) != after.begun.get(story, 0)
        }
        touched = sorted(
            path
            for path in {*before.files, *after.files}
            if before.files.get(path) != after.files.get(path)
            and not any(Path(path).is_relative_to(sibling) for sibling in restless)
        )
        if touched:
            refusals.append(
                Refusal(
                    code=RefusalCode.WROTE_OUTSIDE,
                    # Not "put them back": a person may be at work there, and nobody can tell the two apart.
                    sentence=f"Files outside the worktree were changed during the turn: {_list(touched)}. "
                    "Leave them as they are now, and change only what is in the worktree.",
                    files=tuple(touched),
                )
            )
        moved = [name for name in before.refs if name not in after.refs]
        for name, oid in after.refs.items():
            if before.refs.get(name) != oid and (oid == start or await self._is_by_agent(oid)):
                moved.append(name)
        if moved:
            refusals.append(
                Refusal(
                    code=RefusalCode.FOREIGN_COMMIT,
                    sentence=f"Branches or tags were made, moved or deleted during the turn: {_list(moved)}. "
                    "Only Orchard does that; leave your changes uncommitted.",
                )
            )
        return tuple(refusals)

    async def _is_by_agent(self, oid: str) -> bool:
        answer = await self._repository.git("log", "-1", "--format=%ce", oid, "--", check=False)
        return answer.stdout.decode(errors="replace").strip() == AGENT_EMAIL

    def _siblings(self, busy: Collection[str]) -> list[Path]:
        folder = self._worktrees.folder
        stories = [path.stem for path in (folder / ".orchard").glob("*.index")]
        # Where a person works, changes are the person's.
        quiet = [name for name in stories if name not in busy and not self._worktrees.is_taken(name)]
        return [folder / name for name in quiet if (folder / name).is_dir()]

    def _of_orchard(self, at_work: Collection[str]) -> list[Path]:
        """What lies openly in Orchard's own folders: where an agent that leaves its worktree lands."""
        state = self._setup.state_path.resolve()
        folder = self._worktrees.folder
        known = {path.stem for path in (folder / ".orchard").glob("*.index")}
        found = [path for path in _listed(state) if not path.name.startswith(_LIVELY)]
        found += _listed(state / "projects.d")
        found += [path for path in _listed(state / "worktrees") if not path.name.startswith(".")]
        known |= {".orchard", self._story, *at_work}  # one that is just being set has no index yet
        found += [path for path in _listed(folder) if path.name not in known]
        return [path for path in found if not path.is_dir() or path.parent == folder]

    async def _dirty(self, place: Path, index: Path | None) -> list[Path]:
        """Files that differ from the index, and untracked ones."""
        answer = await self._repository.git(
            "ls-files",
            "-z",
            "-m",
            "-d",
            "-o",
            "--exclude-standard",
            git_dir=self._repository.git_dir,
            work_tree=place,
            index=index,
            check=False,  # a sibling that is being removed is nobody's fault
        )
        return [place / os.fsdecode(name) for name in dict.fromkeys(answer.stdout.split(b"\0")) if name]


async def foreign_work(
    repository: Repository, worktrees: Worktrees, worktree: Worktree, *, start: str
) -> Refusal | None:
    """Commits or a repository that the agent made in its worktree:

    HEAD, the branch or `.git` is not as it was.
    """
    if worktrees.is_swapped(worktree):
        return Refusal(
            code=RefusalCode.FOREIGN_COMMIT,
            sentence="The worktree's `.git` file was replaced. Leave it alone, and make no repository.",
            files=(".git",),
        )
    head, attached = await worktrees.position(worktree)
    tip = await repository.resolve(worktree.branch)
    if head == start == tip and attached:
        return None
    made = [oid for oid in dict.fromkeys((head, tip)) if oid is not None and oid != start]
    commits = []
    for oid in made:
        answer = await repository.git(
            "log", f"--max-count={_SHOWN}", "--format=%h %s", f"{start}..{oid}", "--", check=False
        )
        commits += answer.stdout.decode(errors="replace").splitlines()
    what = (
        f"Commits that Orchard did not make: {_list(dict.fromkeys(commits))}."
        if commits
        else "The worktree's HEAD or branch was moved."
    )
    return Refusal(
        code=RefusalCode.FOREIGN_COMMIT,
        sentence=f"{what} Only Orchard commits, after its gate has passed; leave your changes uncommitted.",
    )


def _signature(path: Path) -> Signature:
    try:
        stat = path.lstat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _list(names: Collection[str]) -> str:
    shown = list(names)[:_SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + more
