"""A project's repository elsewhere, as the merge queue and those who look after pull requests use it: what is
asked of the worker, what comes of it in the store.

Nothing here speaks to GitHub's API: the two meet in the table `pulls`, and here. Who looks after pull
requests
- has a WANTED one pushed (`push_story`), opens it, and says LANDABLE when its checks and reviews are there,
  but only where the merge queue merges (merge_by: orchard);
- merges by the API where GitHub does (merge_by: github) unless `may_land` says no, then `fetch_main` and
  `record_landed`; likewise where a person merged it by hand;
- leaves a story alone that the merge queue has in its hands: `may_land` and `record_landed` say so.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from config.github_settings import Delivery, MergeBy
from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.domain.github import Pull
from core.domain.lifecycles import CycleState, ProjectStatus, WorkflowState
from core.domain.story import Cycle, Hold, StoryState
from core.errors import LostRace, OrchardError, Unavailable
from core.orchestrator.merge_reports import record_landed
from core.orchestrator.overlaps import mark_rebases
from core.orchestrator.remote_access import NoRemotes, RemoteAccess
from core.orchestrator.setups import Setups
from core.orchestrator.story_guards import go_on, let_go
from core.orchestrator.supervisor import Supervisor
from core.store import approvals, cycles, events, github_links, leases, merges, projects, pulls, stories
from core.store.database import Store, Transaction
from core.worker.remote_contract import FetchEnd, FetchMain, FetchReport, Push, PushEnd, PushReport, Remote

# Of a main branch that cannot follow: for people. The others are told where the API is spoken.
_TOLD = (FetchEnd.AHEAD, FetchEnd.DIVERGED, FetchEnd.REWRITTEN, FetchEnd.MISSING, FetchEnd.BLOCKED)
_LOOKED_AT = 50  # events of a project's repository, the newest first


class NotNow(Unavailable):
    """The repository elsewhere, or the main branch here, keeps stories from landing; nothing is wrong with
    them."""

    slug = "not_now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """How the stories of a linked project reach the main branch."""

    remote: Remote
    deliver: Delivery
    merge_by: MergeBy
    up_to_date: bool  # checks have to have passed on top of the newest main branch

    @property
    def by_pull(self) -> bool:
        return self.deliver is Delivery.PULL_REQUEST


class Publishing:
    """`access` is set by who knows of links; without it no project has any."""

    def __init__(self, store: Store, supervisor: Supervisor, setups: Setups) -> None:
        self._store = store
        self._supervisor = supervisor
        self._setups = setups
        self.access: RemoteAccess = NoRemotes()
        self._fetching: dict[str, asyncio.Lock] = {}  # by project

    async def landing(self, project: str) -> Landing | None:
        """None for a project that is linked with nothing. Raises Unavailable."""
        remote = await self.access.remote(project)
        if remote is None:
            await self._check_unlinked(project)
            return None
        settings = self._setups.settings(project).github
        return Landing(
            remote=remote,
            deliver=settings.deliver,
            merge_by=settings.merge_by,
            up_to_date=settings.up_to_date,
        )

    # -- for the merge queue -----------------------------------------------------------------

    async def follow(self, project: str, owner: str, landing: Landing) -> str:
        """The main branch's commit, here as there. Raises NotNow when the two are not the same, PeerGone."""
        report = await self._fetch(project, owner, landing.remote)
        if report.end is not FetchEnd.FOLLOWED:
            raise NotNow(report.error, hint=report.hint)
        return report.main_commit

    async def push_main(self, project: str, owner: str, landing: Landing, commit: str) -> PushReport:
        setup = self._setups.project(project)
        job = Push(project=setup, remote=landing.remote, branch=setup.main_branch, commit=commit)
        return await self._supervisor.request(PushReport, owner, "push", job)

    async def push_branch(self, owner: str, landing: Landing, pull: Pull) -> PushReport:
        job = Push(
            project=self._setups.project(pull.project),
            remote=landing.remote,
            branch=pull.branch,
            commit=pull.candidate,
            story_id=pull.story_id,
            known=await self._store.read(lambda conn: made_for(conn, pull.story_id)),
        )
        report = await self._supervisor.request(PushReport, owner, "push", job)
        if report.end is PushEnd.PUSHED:
            await self._store.write(lambda tx: pulls.pushed(tx, pull.story_id, pull.candidate))
        return report

    # -- for who looks after pull requests ---------------------------------------------------

    async def push_story(self, pull: Pull) -> PushReport:
        """Its candidate to its branch; recorded when it is there. Raises LostRace when another is wanted by
        now, Unavailable, and PeerGone when the worker ended meanwhile: then ask again."""
        landing = await self._linked(pull.project)
        owner = await self._supervisor.ensure(pull.project)
        return await self.push_branch(owner, landing, pull)

    async def fetch_main(self, project: str) -> FetchReport:
        """Has the main branch here follow the one there. Raises Unavailable and PeerGone."""
        landing = await self._linked(project)
        return await self._fetch(project, await self._supervisor.ensure(project), landing.remote)

    async def record_landed(
        self, story_id: str, commit: str, tell: Callable[[Transaction], object] = lambda tx: None
    ) -> Cycle:
        """The main branch there holds the story, as `commit`: it is done, also where it was sent back before;
        end then what runs for it. Fetch the main branch first. A story that is done already stays as it is,
        and of that nothing is to `tell`. Raises LostRace while the merge queue or a person has it, or when it
        is over."""
        return await self._store.write(lambda tx: _landed_outside(tx, story_id, commit, tell))

    async def give_up_stale(self) -> tuple[str, ...]:
        """Closes the pull requests that nobody looks after any more: of projects that are linked no longer or
        deliver directly now, and of stories that went another way. Returns the stories."""
        waiting = await self._store.read(_projects_waiting)
        if not waiting:
            return ()
        unkept = {
            project
            for project, linked in waiting.items()
            if not self._by_pull(project) or not (linked or await self._reaches(project))
        }

        def stale(conn: sqlite3.Connection) -> tuple[str, ...]:
            return tuple(
                pull.story_id
                for pull in pulls.at_work(conn)
                if pull.project in unkept or not _waits(cycles.get(conn, pull.story_id))
            )

        def close(tx: Transaction) -> tuple[str, ...]:
            found = stale(tx.conn)
            for story_id in found:
                pulls.close(tx, story_id)
            return found

        return await self._store.write(close) if await self._store.read(stale) else ()

    def _by_pull(self, project: str) -> bool:
        settings = self._setups.configured(project)
        return settings is None or settings.github.deliver is Delivery.PULL_REQUEST

    async def _reaches(self, project: str) -> bool:
        try:
            return await self.access.remote(project) is not None
        except OrchardError:  # linked, and out of reach for now
            return True

    # -- inside ------------------------------------------------------------------------------

    async def _check_unlinked(self, project: str) -> None:
        """Work begins before whoever knows of links does: what is linked waits for them, and does not land
        as if it were not."""
        if not isinstance(self.access, NoRemotes):
            return
        link = await self._store.read(lambda conn: github_links.find(conn, project))
        if link is not None:
            raise Unavailable(f"{link.repository} was not reached yet.", hint="It is tried again.")

    async def _linked(self, project: str) -> Landing:
        if (landing := await self.landing(project)) is not None:
            return landing
        raise Unavailable(
            f"{project} is linked with no repository on GitHub.",
            hint=f"Link it: /github link {project} OWNER/NAME.",
        )

    async def _fetch(self, project: str, owner: str, remote: Remote) -> FetchReport:
        job = FetchMain(project=self._setups.project(project), remote=remote)
        # The worker does one after the other, too; and what people are told last is what was found last.
        async with self._fetching.setdefault(project, asyncio.Lock()):
            report = await self._supervisor.request(FetchReport, owner, "fetch_main", job)
            if await self._store.read(lambda conn: _is_news(conn, project, report)):
                await self._store.write(lambda tx: _tell(tx, project, remote.repository, report))
        return report


def may_land(conn: sqlite3.Connection, story_id: str) -> str:
    """Why nobody may merge the story's pull request now, in a sentence; "": it may be."""
    cycle = cycles.get(conn, story_id)
    if cycle is None or cycle.state is not CycleState.COMMIT:
        return f"{story_id} is not ready to be merged."
    if cycle.hold is not Hold.NONE:
        return f"{story_id} is held by {cycle.held_by or 'a person'}."
    if cycle.blocked_reason:
        return f"{story_id} is blocked: {cycle.blocked_reason.partition(chr(10))[0]}"
    project = projects.get(conn, cycle.project)
    if project.status is not ProjectStatus.ACTIVE or project.workflow is not WorkflowState.SPRINT_ACTIVE:
        return f"{project.name} is not at work ({project.status}, {project.workflow})."
    if _in_hand(conn, cycle):
        return f"{story_id} is being merged this moment."
    return ""


def _in_hand(conn: sqlite3.Connection, cycle: Cycle) -> bool:
    return any(lease.story_id == cycle.story_id for lease in leases.held(conn, cycle.project))


def _landed_outside(
    tx: Transaction, story_id: str, commit: str, tell: Callable[[Transaction], object]
) -> Cycle:
    cycle, story = cycles.get(tx.conn, story_id), stories.get(tx.conn, story_id)
    if cycle is not None and cycle.state is CycleState.DONE:
        return cycle
    if cycle is None or story.state is not StoryState.ACTIVE or cycle.hold is Hold.TAKEN:
        at = f"is {story.state}" if cycle is None or cycle.hold is Hold.NONE else "is with a person"
        raise LostRace(f"{story_id} went another way than its pull request.", why=f"It {at}.")
    if cycle.state is not CycleState.COMMIT:
        let_go(tx, story)
        approvals.cancel_of_story(
            tx, story_id, ApprovalKind.MERGE, by="github", reason="Its pull request was merged on GitHub."
        )
    elif _in_hand(tx.conn, cycle):
        raise LostRace(f"{story_id} is being merged this moment.", hint="Look again in a few seconds.")
    for merge in merges.open_of(tx.conn, cycle.project):
        if merge.story_id == story_id:
            merges.finish(tx, merge.id, "abandoned" if merge.candidate is None else "merged")
    if cycle.blocked_reason:  # a person helped it, over there
        cycles.unblock(tx, story_id, cycle.feedback)
        go_on(tx, cycle.project, "github")
    done = record_landed(tx, cycle, commit)
    mark_rebases(tx, cycle.project, story_id, commit)
    tell(tx)
    return done


def made_for(conn: sqlite3.Connection, story_id: str) -> tuple[str, ...]:
    """All that Orchard ever made to be pushed for the story."""
    pull = pulls.find(conn, story_id)
    rows = conn.execute(
        "SELECT commit_hash AS made FROM gates WHERE story_id = ? AND phase = 'commit'"
        " UNION SELECT candidate FROM merges WHERE story_id = ?",
        (story_id, story_id),
    )
    found = {row["made"] for row in rows} | ({pull.head, pull.candidate} if pull is not None else set())
    return tuple(sorted(each for each in found if each))


def _waits(cycle: Cycle | None) -> bool:
    return cycle is not None and cycle.state is CycleState.COMMIT


def _projects_waiting(conn: sqlite3.Connection) -> dict[str, bool]:
    """Those with a story that waits for its pull request, and whether they are linked."""
    names = {pull.project for pull in pulls.at_work(conn)}
    return {name: github_links.find(conn, name) is not None for name in sorted(names)}


# --- what people are told of a main branch that cannot follow, once, and that it can again


def _told(conn: sqlite3.Connection, project: str) -> tuple[str, str]:
    """State and text of what they heard last; both empty when it was that all is well."""
    kinds = (EventKind.GITHUB_TROUBLED, EventKind.GITHUB_RECOVERED)
    for event in reversed(events.latest(conn, project=project, kinds=kinds, limit=_LOOKED_AT)):
        if event.data.get("state") in _TOLD:
            troubled = event.kind is EventKind.GITHUB_TROUBLED
            return (str(event.data["state"]), str(event.data.get("text", ""))) if troubled else ("", "")
    return "", ""


def _is_news(conn: sqlite3.Connection, project: str, report: FetchReport) -> bool:
    if report.end is FetchEnd.FOLLOWED:
        return _told(conn, project) != ("", "")
    return report.end in _TOLD and _told(conn, project) != (str(report.end), _text(report))


def _tell(tx: Transaction, project: str, repository: str, report: FetchReport) -> None:
    if not _is_news(tx.conn, project, report):
        return
    if report.end is FetchEnd.FOLLOWED:
        data = {"repository": repository, "state": _told(tx.conn, project)[0]}
        tx.emit(EventKind.GITHUB_RECOVERED, project=project, data=data)
        return
    data = {"repository": repository, "state": str(report.end), "text": _text(report)}
    tx.emit(EventKind.GITHUB_TROUBLED, project=project, data=data)


def _text(report: FetchReport) -> str:
    return f"{report.error} {report.hint}".strip()
