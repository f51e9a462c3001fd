"""A story on another commit than the one that it was made on. Moves no branch and touches no files.

rebase_story    early: the story's own commits, while it is at work
stand_on        at last: one commit, the candidate for the main branch
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.worker.contract import MergeJob
from core.worker.git import GitFailed, Repository
from core.worker.gitobjects import MergeResult

_SIDE_CHARACTERS = 4000  # of one file that conflicts
_SIDES_CHARACTERS = 16000

Keep = Callable[..., Awaitable[None]]  # (story id, *commits): protect them from pruning


def message_of(story: StoryBrief, phase: Phase) -> str:
    """A commit message: the story's title, and trailers that say where it comes from."""
    title = " ".join(story.title.split()) or story.id
    return f"{title}\n\nOrchard-Story: {story.id}\nOrchard-Phase: {phase.value}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A story squashed onto a commit, as it would stand on the main branch."""

    job: MergeJob
    onto: str
    commit: str
    tree: str  # of `commit`
    red: str  # the story's red, on `onto`: the gate compares with the tests as they are there
    merged: str  # the story's own tree on `onto`, without the design that may go with it
    moved: bool  # the story stood on something older

    async def rebased_head(self, repository: Repository) -> str:
        """Where the story goes on from: its work as a commit on `red`."""
        if not self.moved:
            return self.job.head_commit
        return await repository.commit_tree(
            self.merged, [self.red], message_of(self.job.story, Phase.CODE_GREEN)
        )


async def stand_on(repository: Repository, job: MergeJob, onto: str) -> Candidate | MergeResult:
    """The story's candidate on a commit, or what conflicts there. Raises GitFailed."""
    merged = await repository.merge_trees(onto, job.head_commit)
    if merged.conflicts:
        return merged
    red = job.red_commit
    moved = not await repository.is_ancestor(onto, job.head_commit)
    if moved:
        rebased = await repository.merge_trees(onto, job.red_commit)
        if rebased.conflicts:
            return rebased
        red = await repository.commit_tree(rebased.tree, [onto], message_of(job.story, Phase.TEST_RED))
    tree = await _with_spec(repository, job, merged.tree)
    commit = await repository.commit_tree(tree, [onto], message_of(job.story, Phase.COMMIT))
    return Candidate(job=job, onto=onto, commit=commit, tree=tree, red=red, merged=merged.tree, moved=moved)


async def _with_spec(repository: Repository, job: MergeJob, tree: str) -> str:
    """The tree with the story's design beside it, where the project wants its designs kept."""
    folder = (job.project.design_docs_path or "").strip("/")
    if not folder or ".." in PurePosixPath(folder).parts or not job.story.spec.strip():
        return tree
    path = (PurePosixPath(folder) / f"{job.story.id}.md").as_posix()
    written = await repository.git("hash-object", "-w", "--stdin", stdin=job.story.spec.encode())
    async with repository.private_index() as index:
        await repository.git("read-tree", tree, index=index)
        entry = f"100644 {written.stdout.decode().strip()}\t{path}\0"
        await repository.git(
            "update-index", "-z", "--add", "--replace", "--index-info", index=index, stdin=entry.encode()
        )
        answer = await repository.git("write-tree", index=index)
    return answer.stdout.decode().strip()


async def both_sides(repository: Repository, merged: MergeResult) -> str:
    """What conflicts, for the agent's next prompt."""
    parts = [merged.messages]
    for path in merged.conflicts:
        content = await repository.read_file(merged.tree, path)
        if content is None:
            parts.append(f"{path}: deleted on one side, changed on the other")
        elif b"\0" in content:
            parts.append(f"{path}: a binary file")
        else:
            text = content.decode(errors="replace")
            cut = text[:_SIDE_CHARACTERS] + ("\n[...]" if len(text) > _SIDE_CHARACTERS else "")
            parts.append(f"{path}, with both sides (first the main branch's, then the story's):\n{cut}")
    return "\n\n".join(parts)[:_SIDES_CHARACTERS]


# --- rebase


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebased:
    """Where a story stands now. With `conflicts` (files) it stands where it stood."""

    base: str
    red: str | None
    head: str | None
    conflicts: tuple[str, ...] = ()
    conflict_detail: str = ""  # both sides


async def rebase_story(
    repository: Repository,
    *,
    story: StoryBrief,
    onto: str,
    base: str,
    red: str | None,
    head: str | None,
    keep: Keep,
) -> Rebased:
    """The story's commits, each with its message, on `onto` instead of `base`. Moves no branch, no files.

    A story that stands on `onto` or on something newer stays as it is. `keep` protects the new commits.
    Raises GitFailed.
    """
    if await repository.is_ancestor(onto, base):
        return Rebased(base=base, red=red, head=head)
    moved = {base: onto}
    tip = onto
    for commit, message in await _commits(repository, base, head or base):
        merged = await repository.merge_trees(onto, commit)
        if merged.conflicts:
            return Rebased(
                base=base,
                red=red,
                head=head,
                conflicts=merged.conflicts,
                conflict_detail=await both_sides(repository, merged),
            )
        tip = moved[commit] = await repository.commit_tree(merged.tree, [tip], message)
    if tip != onto:
        await keep(story.id, *(commit for commit in moved.values() if commit != onto))
    if missing := [commit for commit in (red, head) if commit is not None and commit not in moved]:
        raise GitFailed(f"{missing[0]} is not in the history of {story.id}, which starts at {base}.")
    return Rebased(
        base=onto,
        red=None if red is None else moved[red],
        head=None if head is None else moved[head],
    )


async def _commits(repository: Repository, base: str, head: str) -> list[tuple[str, str]]:
    """A story's own commits, oldest first, with their messages."""
    if base == head:
        return []
    wanted = ["--reverse", "--first-parent", "--no-show-signature", "-z", "--format=%H%n%B"]
    answer = await repository.git("log", *wanted, f"{base}..{head}")
    entries = (entry.decode(errors="replace") for entry in answer.stdout.split(b"\0") if entry)
    return [(entry[: entry.index("\n")], entry.partition("\n")[2]) for entry in entries]
