"""A candidate that the merge queue wants outside: on its branch, and in a pull request that tells of it."""

from __future__ import annotations

import sqlite3
from functools import partial

from config.github_settings import ProjectGithub
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.github import Pull
from core.domain.lifecycles import Phase
from core.domain.project import Project
from core.github.api.facts import PullFacts
from core.github.api.repo import Repo
from core.github.api.trouble import GithubForbidden, GithubMissing, GithubRefused, GithubUnreachable
from core.github.pulls import reports as pull_reports
from core.github.pulls import text as pull_text
from core.github.pulls.text import Description, Proof
from core.orchestrator.gate_events import summarise
from core.orchestrator.publishing import Publishing
from core.store import cycles, events, gates, github_heard, github_issues, stories
from core.store.database import Store
from core.worker.remote_contract import PushEnd, PushReport

_PROVEN = (Phase.TEST_RED, Phase.CODE_GREEN, Phase.REFACTOR, Phase.COMMIT)


class PullOpening:
    def __init__(self, store: Store, publishing: Publishing) -> None:
        self._store = store
        self._publishing = publishing

    async def open(self, repo: Repo, project: Project, settings: ProjectGithub, pull: Pull) -> Pull | None:
        """Pushes and opens it, or says the new state in the one that is open. None: people were asked.

        Raises LostRace when another candidate is wanted by now, and GithubError. Whatever was done before
        is found again: the branch by its commit, the pull request by its branch.
        """
        if await self._store.read(lambda conn: pull_reports.waiting(conn, pull)) is None:
            return None
        report = await self._publishing.push_story(pull)
        if report.end is PushEnd.DENIED:
            raise GithubForbidden(report.error, hint=report.hint)
        if report.end is PushEnd.UNREACHABLE:
            raise GithubUnreachable(report.error, hint=report.hint)
        if report.end is not PushEnd.PUSHED:
            reason = _not_pushed(pull, report)
            await self._store.write(lambda tx: pull_reports.ask_people(tx, pull, reason))
            return None
        describe = partial(_describe, story_id=pull.story_id, settings=settings)
        description = await self._store.read(describe)
        title, body = pull_text.title(description.story), pull_text.body(description)
        found = await self._there(repo, pull)
        if found is None:
            made = await self._make(repo, project, pull, title=title, body=body)
            return None if made is None else await self._opened(pull, made, new=True)
        if (found.title, found.body) != (title, body):
            found = await repo.edit_pull(found.number, title=title, body=body)
        return await self._opened(pull, found, new=found.number != pull.number)

    async def _there(self, repo: Repo, pull: Pull) -> PullFacts | None:
        """The open pull request of the branch, if it is known or may have been made before a crash."""
        if pull.number is not None:
            try:
                found = await repo.pull(pull.number)
            except GithubMissing:
                found = None
            if found is not None and found.is_open and found.head_branch == pull.branch:
                return found
        fresh = await self._store.write(
            lambda tx: github_heard.intend(tx, pull.project, pull_reports.intent(pull.story_id))
        )
        return None if fresh else await _of_branch(repo, pull)

    async def _make(
        self, repo: Repo, project: Project, pull: Pull, *, title: str, body: str
    ) -> PullFacts | None:
        try:
            return await repo.open_pull(title=title, body=body, branch=pull.branch, base=project.main_branch)
        except GithubRefused as error:
            if (found := await _of_branch(repo, pull)) is not None:
                return found
            about = await repo.about()
            renamed = about.default_branch not in ("", project.main_branch)
            hint = (
                f" The repository's own branch is {about.default_branch}: where {project.main_branch} was "
                f"renamed, rename it in the checkout and set main_branch: {about.default_branch}."
                if renamed
                else ""
            )
            reason = f"GitHub opened no pull request of {pull.branch}: {error}{hint} Then /suggest_fix."
            await self._store.write(lambda tx: pull_reports.ask_people(tx, pull, reason))
            return None

    async def _opened(self, pull: Pull, facts: PullFacts, *, new: bool) -> Pull:
        return await self._store.write(lambda tx: pull_reports.record_opened(tx, pull, facts, new=new))


async def _of_branch(repo: Repo, pull: Pull) -> PullFacts | None:
    found = await repo.pull_of_branch(pull.branch)
    return found if found is not None and found.is_open else None


def _not_pushed(pull: Pull, report: PushReport) -> str:
    said = f"{report.error} {report.hint}".strip()
    if report.end is PushEnd.MOVED:
        return (
            f"{said} Nothing was overwritten. Take the story over (/story takeover) to bring those "
            f"commits in, or leave them; then delete the branch {pull.branch} on GitHub and /suggest_fix."
        )
    return f"The branch {pull.branch} could not be pushed. {said} Then /suggest_fix."


def _describe(conn: sqlite3.Connection, *, story_id: str, settings: ProjectGithub) -> Description:
    story, cycle = stories.get(conn, story_id), cycles.get(conn, story_id)
    proofs = [
        Proof(phase=phase, said=summarise(phase, row.verdict), commit=row.commit or "")
        for phase in _PROVEN
        if (row := gates.last_passed(conn, story_id, phase)) is not None
    ]
    issue = github_issues.here(conn, story_id)
    return Description(
        story=story,
        spec=cycle.spec if cycle is not None else "",
        proofs=tuple(proofs),
        approved_by=_approved_by(conn, story_id),
        issue=issue.number if issue is not None else None,
        closes=settings.close_issues,
    )


def _approved_by(conn: sqlite3.Connection, story_id: str) -> str:
    """Who agreed to the merge last; "": nobody was asked."""
    for event in events.latest(conn, story_id=story_id, kinds=[EventKind.APPROVAL_ANSWERED], limit=20):
        if event.data.get("kind") == ApprovalKind.MERGE and event.data.get("state") == ApprovalState.APPROVED:
            return str(event.data.get("by", ""))
    return ""
