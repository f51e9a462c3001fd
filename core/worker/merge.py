"""A story onto the main branch: early, while it is at work, and as its last step.

    rebase_story    the story's commits on a newer commit of the main branch. Moves nothing.
    prepare_merge   main branch + story -> candidate commit -> gate on the candidate's tree. Moves nothing.
    fast_forward    the main branch to the candidate, and with it the folder where a person has it checked
    out.

Between the two the control plane writes down the candidate, so a crash neither loses a merge nor merges
twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.domain.evidence import Verdict
from core.domain.lifecycles import Phase
from core.worker.contract import (
    FastForwardEnd,
    FastForwardJob,
    FastForwardReport,
    MergeEnd,
    MergeJob,
    MergeReport,
    StoryBrief,
)
from core.worker.git import GitFailed, MergeResult, Repository, find_git_dir
from core.worker.gitcommand import run_git

_SIDE_CHARACTERS = 4000  # of one file that conflicts
_SIDES_CHARACTERS = 16000
_SHOWN = 10

Judge = Callable[
    [str, str, str], Awaitable[Verdict]
]  # (candidate, main commit, red) -> the commit gate's verdict
Keep = Callable[..., Awaitable[None]]  # (story id, *commits): protect them from pruning


def message_of(story: StoryBrief, phase: Phase) -> str:
    """A commit message: the story's title, and trailers that say where it comes from."""
    title = " ".join(story.title.split()) or story.id
    return f"{title}\n\nOrchard-Story: {story.id}\nOrchard-Phase: {phase.value}\n"


async def prepare_merge(repository: Repository, job: MergeJob, *, judge: Judge, keep: Keep) -> MergeReport:
    """The story squashed onto the main branch's tip, and the gate's word on it. Raises GitFailed."""
    main = await repository.main_commit(job.project.main_branch)
    merged = await repository.merge_trees(main, job.head_commit)
    if merged.conflicts:
        return await _conflict(repository, job, main, merged)
    red = job.red_commit
    moved = not await repository.is_ancestor(main, job.head_commit)
    if moved:  # the gate compares with red's tests as they are on this main branch
        rebased = await repository.merge_trees(main, job.red_commit)
        if rebased.conflicts:
            return await _conflict(repository, job, main, rebased)
        red = await repository.commit_tree(rebased.tree, [main], message_of(job.story, Phase.TEST_RED))
    tree = await _with_spec(repository, job, merged.tree)
    candidate = await repository.commit_tree(tree, [main], message_of(job.story, Phase.COMMIT))
    verdict = await judge(candidate, main, red)
    if verdict.passed:
        await keep(job.story.id, candidate)
        return MergeReport(
            story_id=job.story.id,
            generation=job.generation,
            end=MergeEnd.READY,
            candidate=candidate,
            main_commit=main,
            verdict=verdict,
        )
    head = job.head_commit
    if moved:
        head = await repository.commit_tree(merged.tree, [red], message_of(job.story, Phase.CODE_GREEN))
        await keep(job.story.id, red, head)
    return MergeReport(
        story_id=job.story.id,
        generation=job.generation,
        end=MergeEnd.REFUSED,
        main_commit=main,
        rebased_red=red,
        rebased_head=head,
        verdict=verdict,
    )


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


async def _conflict(repository: Repository, job: MergeJob, main: str, merged: MergeResult) -> MergeReport:
    return MergeReport(
        story_id=job.story.id,
        generation=job.generation,
        end=MergeEnd.CONFLICT,
        main_commit=main,
        conflicts=merged.conflicts,
        conflict_detail=await _both_sides(repository, merged),
    )


async def _both_sides(repository: Repository, merged: MergeResult) -> str:
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
                conflict_detail=await _both_sides(repository, merged),
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


# --- fast forward


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """A folder where the main branch is checked out."""

    path: Path
    git_dir: Path


async def fast_forward(repository: Repository, job: FastForwardJob) -> FastForwardReport:
    """Put the candidate on the main branch; nothing happens when it is there already.

    A person's uncommitted changes are never touched: where they overlap, the answer is BLOCKED and names
    them. No hook runs. Raises GitFailed for a repository that does not answer.
    """
    ref = f"refs/heads/{job.project.main_branch}"
    tip = await repository.main_commit(job.project.main_branch)
    if tip == job.candidate or await repository.is_ancestor(job.candidate, tip):
        return _report(job, FastForwardEnd.MERGED)
    if tip != job.main_commit:
        return _moved(job, tip)
    if rebasing := _rebasing(repository, ref):
        return _report(
            job,
            FastForwardEnd.BLOCKED,
            f"A rebase of {job.project.main_branch} is under way in {rebasing}.",
            "Finish it there (git rebase --continue) or give it up (git rebase --abort).",
        )
    holder = await _holder(repository, ref)
    if holder is None:
        try:
            await repository.update_ref(
                ref, job.candidate, job.main_commit, reason=f"orchard: {job.story_id}"
            )
        except GitFailed:
            return _moved(job, await repository.main_commit(job.project.main_branch))
        return _report(job, FastForwardEnd.MERGED)
    # To its end, also when the worker is told to stop: half a checkout would be a mess in a person's folder.
    return await asyncio.shield(_merge_at(repository, job, ref, holder))


async def _merge_at(
    repository: Repository, job: FastForwardJob, ref: str, holder: _Holder
) -> FastForwardReport:
    who = await repository.identity()
    answer = await run_git(
        ["merge", "--ff-only", "--no-overwrite-ignore", "--no-stat", "--quiet", job.candidate],
        cwd=holder.path,
        environment={
            "GIT_DIR": str(holder.git_dir),
            "GIT_WORK_TREE": str(holder.path),
            "GIT_COMMITTER_NAME": who.name,
            "GIT_COMMITTER_EMAIL": who.email,
        },
        personal=True,  # the files are a person's: line endings and LFS as that person has them
        check=False,
        pass_fds=repository.pass_fds,
    )
    tip = await repository.resolve(ref)
    if tip == job.candidate:
        return _report(job, FastForwardEnd.MERGED)
    if tip != job.main_commit:
        return _moved(job, tip or "gone")
    in_the_way = await _in_the_way(repository, job, holder)
    if in_the_way:
        names = ", ".join(in_the_way[:_SHOWN])
        more = f" and {len(in_the_way) - _SHOWN} more" if len(in_the_way) > _SHOWN else ""
        return _report(
            job,
            FastForwardEnd.BLOCKED,
            f"Uncommitted changes in {holder.path} are in the way: {names}{more}.",
            "Commit, stash or remove them there.",
        )
    said = answer.stderr.strip().splitlines()
    hint = f"See what `git status` says in {holder.path}."
    if "index.lock" in answer.stderr:
        hint = f"If no git command runs there, remove {holder.git_dir / 'index.lock'}."
    return _report(
        job,
        FastForwardEnd.BLOCKED,
        f"git does not fast-forward {holder.path}: {said[0] if said else f'exit code {answer.exit_code}'}",
        hint,
    )


async def _in_the_way(repository: Repository, job: FastForwardJob, holder: _Holder) -> list[str]:
    """Incoming files that a person has changed, staged or made, and has not committed."""
    incoming = [change.path for change in await repository.changes(job.main_commit, job.candidate)]
    listed = await repository.git("ls-files", "-z", "-m", "-d", git_dir=holder.git_dir, work_tree=holder.path)
    staged = await repository.git(
        "diff-index", "--cached", "--name-only", "-z", "--no-renames", job.main_commit, git_dir=holder.git_dir
    )
    known = await repository.git("ls-files", "-z", git_dir=holder.git_dir)
    changed = {os.fsdecode(name) for name in (listed.stdout + staged.stdout).split(b"\0")}
    tracked = {os.fsdecode(name) for name in known.stdout.split(b"\0")}
    found = []
    for path in incoming:
        place = holder.path / path
        if path in changed or (path not in tracked and (place.exists() or place.is_symlink())):
            found.append(path)
        elif blocking := [
            parent for parent in place.parents if parent.is_file() and _within(parent, holder.path)
        ]:
            name = blocking[0].relative_to(holder.path).as_posix()
            if name not in tracked:
                found.append(name)
    return list(dict.fromkeys(found))


def _within(path: Path, folder: Path) -> bool:
    return path != folder and path.is_relative_to(folder)


async def _holder(repository: Repository, ref: str) -> _Holder | None:
    """Where the branch is checked out: the registered checkout first, else another worktree of a person."""
    own = await repository.git("symbolic-ref", "--quiet", "HEAD", git_dir=repository.git_dir, ok=(0, 1))
    if own.stdout.decode(errors="replace").strip() == ref:
        return _Holder(path=repository.path, git_dir=repository.git_dir)
    listed = await repository.git("worktree", "list", "--porcelain", "-z")
    for block in listed.stdout.split(b"\0\0"):
        fields = dict(line.partition(b" ")[::2] for line in block.split(b"\0") if line)
        path = Path(os.fsdecode(fields.get(b"worktree", b"")))
        if fields.get(b"branch") == ref.encode() and path != repository.path and path.is_dir():
            return _Holder(path=path, git_dir=find_git_dir(path))
    return None


def _rebasing(repository: Repository, ref: str) -> Path | None:
    """The git folder of a checkout in which a rebase has the branch in its hands."""
    for git_dir in (repository.common_dir, *(repository.common_dir / "worktrees").glob("*")):
        for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
            try:
                if (git_dir / name).read_text().strip() == ref:
                    return repository.path if git_dir == repository.git_dir else git_dir
            except (OSError, UnicodeDecodeError):
                continue
    return None


def _moved(job: FastForwardJob, tip: str) -> FastForwardReport:
    branch = job.project.main_branch
    return _report(job, FastForwardEnd.MOVED, f"{branch} is at {tip[:12]}, not at {job.main_commit[:12]}.")


def _report(job: FastForwardJob, end: FastForwardEnd, error: str = "", hint: str = "") -> FastForwardReport:
    return FastForwardReport(
        story_id=job.story_id, generation=job.generation, end=end, error=error, hint=hint
    )
