"""The main branch from the repository elsewhere, and commits to it.

What the other side held when both were the same is kept as refs/orchard/followed/<branch>: that tells a
branch which went on from one that was rewritten. A person's commits and uncommitted changes are never
touched.
"""

from __future__ import annotations

import re

from core.worker.contract import FastForwardEnd, FastForwardJob, ForwardStep
from core.worker.elsewhere import Denied, Elsewhere, Unreachable
from core.worker.forward import fast_forward
from core.worker.git import GitFailed, Repository
from core.worker.remote_contract import FetchEnd, FetchMain, FetchReport, Push, PushEnd, PushReport

FOLLOWED = "refs/orchard/followed"
_TRIES = 3  # while a person commits to the main branch in the same moment
_MOVED = re.compile(r"stale info|fetch first|non-fast-forward|cannot lock ref|reference already exists")
_WORDS = 500


# --- fetch


async def fetch_main(repository: Repository, job: FetchMain) -> FetchReport:
    """Raises GitFailed for a checkout that does not answer."""
    branch = job.project.main_branch
    main = await repository.main_commit(branch)
    followed = await repository.resolve(f"{FOLLOWED}/{branch}")
    try:
        async with Elsewhere.open(repository, job.remote, main, followed or "") as there:
            heads = await there.heads(branch)
            commit = heads.commits.get(branch)
            if commit is None:
                return _missing(job, main, heads.default)
            if commit != main:
                await there.fetch(branch, commit)
    except Denied as error:
        return _failed(FetchEnd.DENIED, error)
    except Unreachable as error:
        return _failed(FetchEnd.UNREACHABLE, error)
    for _ in range(_TRIES):
        report = await _follow(repository, job, main, commit, followed)
        now = await repository.main_commit(branch)
        if report is not None:
            if report.end is FetchEnd.FOLLOWED and followed != commit:
                ref = f"{FOLLOWED}/{branch}"
                await repository.git("update-ref", "-m", "orchard: followed", "--no-deref", ref, commit)
            return report
        main = now
    return FetchReport(
        end=FetchEnd.UNREACHABLE,
        main_commit=main,
        remote_commit=commit,
        error=f"{branch} keeps moving in {repository.path}.",
        hint="It is tried again.",
    )


async def _follow(
    repository: Repository, job: FetchMain, main: str, commit: str, followed: str | None
) -> FetchReport | None:
    """None: the main branch here moved meanwhile."""
    if main == commit:
        return FetchReport(end=FetchEnd.FOLLOWED, main_commit=main, remote_commit=commit)
    if not await repository.is_ancestor(main, commit):
        return await _apart(repository, job, main, commit, followed)
    step = ForwardStep(story_id=job.remote.repository, candidate=commit)
    forward = FastForwardJob(project=job.project, main_commit=main, steps=(step,))
    done = await fast_forward(repository, forward)
    if done.end is FastForwardEnd.MOVED:
        return None
    if done.end is FastForwardEnd.BLOCKED:
        return FetchReport(
            end=FetchEnd.BLOCKED,
            main_commit=main,
            remote_commit=commit,
            error=f"{job.project.main_branch} cannot follow {job.remote.repository}. {done.error}",
            hint=done.hint,
        )
    return FetchReport(end=FetchEnd.FOLLOWED, main_commit=commit, remote_commit=commit)


async def _apart(
    repository: Repository, job: FetchMain, main: str, commit: str, followed: str | None
) -> FetchReport:
    branch, there, path = job.project.main_branch, job.remote.repository, repository.path
    own = await _count(repository, commit, main)
    theirs = await _count(repository, main, commit)
    rewritten = followed is not None and not await repository.is_ancestor(followed, commit)
    if rewritten:
        assert followed is not None
        end = FetchEnd.REWRITTEN
        error = f"{branch} of {there} was force-pushed: it held {followed[:10]}, and is {commit[:10]} now."
        hint = (
            f"{own} here {_is_are(own)} not in it. To take it over as it is, with {branch} checked out:"
            f" git -C {path} reset --keep {commit[:10]}; to bring the old one back:"
            f" git -C {path} push --force {job.remote.url} {branch}."
        )
    elif theirs.startswith("0 "):
        end = FetchEnd.AHEAD
        error = f"{branch} here has {own} that {_is_are(own)} not in {there}."
        hint = f"Push them: git -C {path} push {job.remote.url} {branch}."
    else:
        end = FetchEnd.DIVERGED
        error = f"{branch} here and in {there} have gone apart: {own} only here, {theirs} only there."
        hint = (
            f"Bring them together: git -C {path} pull --rebase {job.remote.url} {branch}, and push;"
            f" or give those here up: git -C {path} reset --keep {commit[:10]}."
        )
    return FetchReport(end=end, main_commit=main, remote_commit=commit, error=error, hint=hint)


async def _count(repository: Repository, behind: str, ahead: str) -> str:
    answer = await repository.git("rev-list", "--count", f"{behind}..{ahead}")
    count = answer.stdout.decode().strip()
    return f"{count} {'commit' if count == '1' else 'commits'}"


def _is_are(count: str) -> str:
    return "is" if count.startswith("1 ") else "are"


def _missing(job: FetchMain, main: str, default: str) -> FetchReport:
    branch, there, path = job.project.main_branch, job.remote.repository, job.project.path
    if default and default != branch:
        error = f"{there} has no branch '{branch}' any more: its default branch is '{default}'."
        hint = (
            f"Where it was renamed, do so here: git -C {path} branch -m {branch} {default}, and set"
            f" main_branch: {default} for {job.project.name};"
            f" else push it: git -C {path} push {job.remote.url} {branch}."
        )
    else:
        error = f"{there} has no branch '{branch}': nothing was ever pushed to it, or it was deleted."
        hint = f"Push it: git -C {path} push {job.remote.url} {branch}."
    return FetchReport(end=FetchEnd.MISSING, main_commit=main, error=error, hint=hint)


def _failed(end: FetchEnd, error: GitFailed) -> FetchReport:
    return FetchReport(end=end, error=f"{error.message} {error.why}".strip(), hint=error.hint)


# --- push


async def push(repository: Repository, job: Push) -> PushReport:
    """Raises GitFailed when the commit is not here."""
    await repository.tree_of(job.commit)
    try:
        async with Elsewhere.open(repository, job.remote, job.commit) as there:
            found = (await there.heads(job.branch)).commits.get(job.branch, "")
            if found == job.commit:
                return PushReport(end=PushEnd.PUSHED, found=found)
            if job.story_id:
                return await _push_story(job, there, found)
            return await _push_forward(repository, job, there, found)
    except (Denied, Unreachable) as error:
        end = PushEnd.DENIED if isinstance(error, Denied) else PushEnd.UNREACHABLE
        return PushReport(end=end, error=f"{error.message} {error.why}".strip(), hint=error.hint)


async def _push_story(job: Push, there: Elsewhere, found: str) -> PushReport:
    """In the place of what is there, when that was made for the story: candidates are in the store before
    anything is pushed, so a push that nobody recorded is known, too."""
    if found and found not in job.known:
        return _moved(job, found)
    ref = f"refs/heads/{job.branch}"
    answer = await there.push(f"--force-with-lease={ref}:{found}", there.url, f"{job.commit}:{ref}")
    if answer.exit_code == 0:
        return PushReport(end=PushEnd.PUSHED, found=job.commit)
    return _rejected(job, answer.stdout + answer.stderr.encode(), found)


async def _push_forward(repository: Repository, job: Push, there: Elsewhere, found: str) -> PushReport:
    if found:
        await there.fetch(job.branch, found)
        if await repository.is_ancestor(job.commit, found):
            return PushReport(end=PushEnd.PUSHED, found=found)  # it went on from there
        if not await repository.is_ancestor(found, job.commit):
            return _moved(job, found)
    answer = await there.push(there.url, f"{job.commit}:refs/heads/{job.branch}")
    if answer.exit_code == 0:
        return PushReport(end=PushEnd.PUSHED, found=job.commit)
    return _rejected(job, answer.stdout + answer.stderr.encode(), found)


def _rejected(job: Push, said: bytes, found: str) -> PushReport:
    words = said.decode(errors="replace")
    if _MOVED.search(words):
        return _moved(job, "")
    lines = [
        line.removeprefix("remote:").strip() for line in words.splitlines() if line.startswith("remote:")
    ]
    why = re.search(r"\[remote rejected\] \(?([^)\n]*)\)?", words)
    told = " ".join(filter(None, lines)) or (why[1] if why else words.strip())
    return PushReport(
        end=PushEnd.REFUSED,
        found=found,
        error=f"{job.remote.repository} does not take it on {job.branch}: {told[:_WORDS]}",
        hint="See the branch's rules in the repository's settings.",
    )


def _moved(job: Push, found: str) -> PushReport:
    at = f" It is at {found[:10]}." if found else ""
    return PushReport(
        end=PushEnd.MOVED,
        found=found,
        error=f"Somebody else pushed to {job.branch} of {job.remote.repository}.{at}",
        hint="What is there is looked at first.",
    )
