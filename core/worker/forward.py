"""The last step of a batch: the main branch to its candidates, and with it the folder where a person has it
checked out.

Before it the control plane writes the candidates down, so a crash neither loses a merge nor merges twice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.worker.contract import FastForwardEnd, FastForwardJob, FastForwardReport, ForwardStep
from core.worker.git import GitFailed, Repository, find_git_dir
from core.worker.gitcommand import Answer, run_git

_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """A folder where the main branch is checked out."""

    path: Path
    git_dir: Path


async def fast_forward(repository: Repository, job: FastForwardJob) -> FastForwardReport:
    """Put the candidates on the main branch, as far as it goes; those that are there already are left alone.

    A person's uncommitted changes are never touched: where they overlap, the answer is BLOCKED and names
    them; the candidates before the first of those that would touch them go in. No hook runs. Raises GitFailed
    for a repository that does not answer.
    """
    ref = f"refs/heads/{job.project.main_branch}"
    tip = await repository.main_commit(job.project.main_branch)
    landed = await _landed(repository, job, tip)
    last = len(job.steps) if job.go is None else job.go
    if landed >= last:
        return FastForwardReport(end=FastForwardEnd.MERGED, landed=landed)
    if tip != (job.steps[landed - 1].candidate if landed else job.main_commit):
        return _moved(job, landed, tip)
    if rebasing := _rebasing(repository, ref):
        return FastForwardReport(
            end=FastForwardEnd.BLOCKED,
            landed=landed,
            error=f"A rebase of {job.project.main_branch} is under way in {rebasing}.",
            hint="Finish it there (git rebase --continue) or give it up (git rebase --abort).",
        )
    holder = await _holder(repository, ref)
    if holder is None:
        steps = job.steps[landed:last]
        try:
            await repository.update_ref(ref, steps[-1].candidate, tip, reason=f"orchard: {_named(steps)}")
        except GitFailed:
            return _moved(job, landed, await repository.main_commit(job.project.main_branch))
        return FastForwardReport(end=FastForwardEnd.MERGED, landed=last)
    # To its end, also when the worker is told to stop: half a checkout would be a mess in a person's folder.
    return await asyncio.shield(_Forward(repository, job, ref, holder).go(tip, landed, last))


async def _landed(repository: Repository, job: FastForwardJob, tip: str) -> int:
    """How many of the steps the main branch holds."""
    if tip == job.main_commit:
        return 0
    for count, step in reversed(list(enumerate(job.steps, 1))):
        if step.candidate == tip or await repository.is_ancestor(step.candidate, tip):
            return count
    return 0


class _Forward:
    """In a checkout of the main branch."""

    def __init__(self, repository: Repository, job: FastForwardJob, ref: str, holder: _Holder) -> None:
        self._repository = repository
        self._job = job
        self._ref = ref
        self._holder = holder

    async def go(self, tip: str, landed: int, last: int) -> FastForwardReport:
        """From `tip`, which holds `landed` steps, to the first `last`, or to the last one before trouble."""
        target = self._job.steps[last - 1].candidate
        answer = await self._merge(target)
        now = await self._repository.resolve(self._ref)
        if now == target:
            return FastForwardReport(end=FastForwardEnd.MERGED, landed=last)
        if now != tip:
            return _moved(self._job, landed, now or "gone")
        path = self._holder.path
        before = tip
        for count, step in enumerate(self._job.steps[landed:last], landed):
            if names := await self._in_the_way(tip, before, step.candidate):
                trouble = FastForwardReport(
                    end=FastForwardEnd.BLOCKED,
                    landed=count,
                    error=f"Uncommitted changes in {path} are in the way: {names}.",
                    hint="Commit, stash or remove them there.",
                )
                if count == landed:
                    return trouble
                first = await self.go(tip, landed, count)
                return trouble if first.end is FastForwardEnd.MERGED else first
            before = step.candidate
        return self._stuck(answer, landed)

    async def _merge(self, target: str) -> Answer:
        who = await self._repository.identity()
        return await run_git(
            ["merge", "--ff-only", "--no-overwrite-ignore", "--no-stat", "--quiet", target],
            cwd=self._holder.path,
            environment={
                "GIT_DIR": str(self._holder.git_dir),
                "GIT_WORK_TREE": str(self._holder.path),
                "GIT_COMMITTER_NAME": who.name,
                "GIT_COMMITTER_EMAIL": who.email,
            },
            personal=True,  # the files are a person's: line endings and LFS as that person has them
            check=False,
            pass_fds=self._repository.pass_fds,
        )

    def _stuck(self, answer: Answer, landed: int) -> FastForwardReport:
        path, lock = self._holder.path, self._holder.git_dir / "index.lock"
        said = answer.stderr.strip().splitlines()
        hint = f"See what `git status` says in {path}."
        if "index.lock" in answer.stderr:
            hint = f"If no git command runs there, remove {lock}."
        return FastForwardReport(
            end=FastForwardEnd.BLOCKED,
            landed=landed,
            error=f"git does not fast-forward {path}: {said[0] if said else f'exit code {answer.exit_code}'}",
            hint=hint,
        )

    async def _in_the_way(self, tip: str, before: str, candidate: str) -> str:
        """Files of one step that a person has changed, staged or made, and has not committed; by name."""
        repository, holder = self._repository, self._holder
        incoming = [change.path for change in await repository.changes(before, candidate)]
        listed = await repository.git(
            "ls-files", "-z", "-m", "-d", git_dir=holder.git_dir, work_tree=holder.path
        )
        staged = await repository.git(
            "diff-index", "--cached", "--name-only", "-z", "--no-renames", tip, git_dir=holder.git_dir
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
        names = list(dict.fromkeys(found))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ", ".join(names[:_SHOWN]) + more


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


def _named(steps: Sequence[ForwardStep]) -> str:
    return ", ".join(step.story_id for step in steps)


def _moved(job: FastForwardJob, landed: int, tip: str) -> FastForwardReport:
    branch, expected = job.project.main_branch, job.main_commit[:12]
    return FastForwardReport(
        end=FastForwardEnd.MOVED, landed=landed, error=f"{branch} is at {tip[:12]}, not at {expected}."
    )
