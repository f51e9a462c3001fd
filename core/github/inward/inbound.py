"""The way in: what changed in a project's repository since it was read last becomes stories, and what people
say to stories.

A look reads issues and comments by time of change, page by page. A page is one transaction together with the
cursor: after a crash it comes again, and changes nothing the second time. What Orchard itself wrote to
meanwhile, and what would become a story once more, is read again by its number before it is believed.
"""

from __future__ import annotations

import dataclasses
import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import Protocol

from config.github_settings import Permission, ProjectGithub
from core.clock import Clock
from core.domain.event import EventKind
from core.domain.github import Link
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.errors import OrchardError
from core.github.api.facts import IssueFacts, NotModified, Person
from core.github.api.repo import Repo
from core.github.api.trouble import GithubMissing
from core.github.inward import consent
from core.github.inward.hearing import Hearing, Permissions
from core.github.inward.issue_entry import (
    ACTOR,
    TOLD_ALONE,
    Entry,
    Snapshot,
    Taken,
    accepted,
    doubtful,
    end_gone,
    end_unwanted,
    snapshot,
    tell_followed,
)
from core.github.inward.milestone_plans import MilestonePlans, replan
from core.github.inward.steering import Steering
from core.github.inward.taking_in import Wish, is_same_login
from core.known_secrets import known_secrets
from core.orchestrator.commands.topic import Engine
from core.store import github_issues, github_links, projects
from core.store.database import Store
from core.store.transaction import Transaction

_log = logging.getLogger(__name__)

READ_AGAIN_SECONDS = 3600.0  # so often some issues of stories at work are asked for by number
_READ_AGAIN = 5  # of a project; listings do not tell of what was deleted
_UNSURE_ROUNDS = 3


class Gateway(Protocol):
    async def repo(self, project: str) -> Repo: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCount:
    """What one look took in. `held`: why no issue was taken in; ""."""

    added: int = 0
    edited: int = 0
    closed: int = 0
    reopened: int = 0
    heard: int = 0  # comments
    planned: bool = False  # a milestone, as the next sprint
    first: bool = False
    held: str = ""


class Inbound:
    """One look at a time a project. `settings` gives a `github:` section; it may raise Unavailable."""

    def __init__(
        self,
        store: Store,
        gateway: Gateway,
        settings: Callable[[str], ProjectGithub],
        clock: Clock,
        engine: Engine,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._settings = settings
        self._clock = clock
        self._engine = engine
        self._steering = Steering(store, engine)
        self._permissions = Permissions(clock)
        self._read_again_at: dict[str, float] = {}
        self._turn: dict[str, int] = {}
        # Issues that Orchard wrote to each time they were read: a listing's cursor has passed them by.
        self._unsure: dict[str, set[int]] = {}

    async def sync(self, project: str, look_at: Collection[int] = ()) -> SyncCount:
        """`look_at`: numbers of issues that may have been deleted or transferred, which no listing says.

        Raises GithubError; what was taken in before stays, and the next look goes on there.
        """
        settings = self._settings(project)
        repo = await self._gateway.repo(project)
        unsure = self._unsure.setdefault(project, set())
        look = _Look(
            self._store,
            repo,
            project,
            settings,
            await repo.me(),
            self._engine,
            self._steering,
            self._permissions,
            unsure,
        )
        await self._steering.pass_on(project)  # what a killed Orchard had kept
        link, held = await look.begin()
        count = Taken()
        planned = False
        if not held:
            again = self._is_time(project)
            doubted = {*look_at, *unsure, *(await look.doubtful(self._next_turn(project)) if again else ())}
            await look.issues(link, count)
            await look.by_number(doubted - look.numbers, count)
            await look.accepted(count)
            await look.unwanted(count)
            if settings.milestones_as_sprints:
                planned = await MilestonePlans(self._store, repo, project).plan(
                    look_again=again or bool(look_at)
                )
        heard = await look.comments(link)
        if heard and not held:
            await look.accepted(count)
        first = link.synced_at is None
        await self._store.write(
            lambda tx: _synced(tx, link, count, first=first and not held, held=bool(held))
        )
        return SyncCount(
            added=count.added,
            edited=count.edited,
            closed=count.closed,
            reopened=count.reopened,
            heard=heard,
            planned=planned,
            first=first,
            held=held,
        )

    def _is_time(self, project: str) -> bool:
        now = self._clock.monotonic()
        last = self._read_again_at.get(project)
        if last is not None and now - last < READ_AGAIN_SECONDS:
            return False
        self._read_again_at[project] = now
        return True

    def _next_turn(self, project: str) -> int:
        self._turn[project] = turn = self._turn.get(project, -1) + 1
        return turn


class _Look:
    def __init__(
        self,
        store: Store,
        repo: Repo,
        project: str,
        settings: ProjectGithub,
        me: str,
        engine: Engine,
        steering: Steering,
        permissions: Permissions,
        unsure: set[int],
    ) -> None:
        """`unsure`: numbers of issues that the next look is to read; kept up to date here."""
        self._unsure = unsure
        self._store = store
        self._repo = repo
        self._project = project
        self._settings = settings
        self._me = me
        self._engine = engine
        self._steering = steering
        self._permissions = permissions
        self._wish = Wish(
            label=settings.label,
            milestone=settings.milestone,
            assignee=me if settings.assigned else None,
            me=me,
        )
        self.numbers: set[int] = set()  # of what came in a listing

    async def begin(self) -> tuple[Link, str]:
        """The link, and why no issue can be taken in now."""

        def look(conn: sqlite3.Connection) -> tuple[Link, Project]:
            self._check_linked(conn)
            return github_links.get(conn, self._project), projects.get(conn, self._project)

        link, project = await self._store.read(look)
        if project.status is ProjectStatus.ARCHIVED:
            return link, f"{self._project} is archived."
        if project.workflow is WorkflowState.SPRINT_REVIEW:
            return link, "The last sprint waits for its review: issues are taken in after it."
        return link, ""

    def _check_linked(self, conn: sqlite3.Connection) -> None:
        """A page is not taken in as another repository's, nor its cursor kept as that one's. Raises LostRace,
        and NotFound."""
        github_links.check(conn, self._repo.link)

    # -- issues ------------------------------------------------------------------------------

    async def issues(self, link: Link, count: Taken) -> None:
        """All that changed since the cursor."""
        before = await self._store.read(lambda conn: snapshot(conn, self._project))
        path = self._repo.issues_path(link.cursor)
        etag = (await self._store.read(lambda conn: github_links.etags(conn, self._project))).get(path, "")
        page = await self._repo.issues(link.cursor, etag)
        while not isinstance(page, NotModified):
            self.numbers.update(issue.number for issue in page.items)
            kept = page.etag if page.next is None and page.cursor == link.cursor else ""
            await self._take(
                page.items, before, count, confirmed=False, cursor=page.cursor, path=page.path, etag=kept
            )
            if page.next is None:
                return
            before = await self._store.read(lambda conn: snapshot(conn, self._project))
            page = await self._repo.issues(link.cursor, after=page.next)

    async def by_number(
        self, numbers: Collection[int], count: Taken, *, rounds: int = _UNSURE_ROUNDS
    ) -> None:
        """Each as it is this moment. One that is not there any more ends its story."""
        for number in sorted(numbers):
            before = await self._store.read(lambda conn: snapshot(conn, self._project))
            try:
                issue = await self._repo.issue(number)
            except GithubMissing:
                await self._gone(number, count)
            else:
                await self._take([issue], before, count, confirmed=True, rounds=rounds - 1)

    async def _take(
        self,
        issues: Sequence[IssueFacts],
        before: Snapshot,
        count: Taken,
        *,
        confirmed: bool,
        cursor: str | None = None,
        path: str = "",
        etag: str = "",
        rounds: int = _UNSURE_ROUNDS,
    ) -> None:
        discreet = [_discreet(issue) for issue in issues]
        may_edit = await self._may_edit(discreet)
        entry = Entry(self._project, self._wish, before, may_edit=may_edit, confirmed=confirmed)

        def take(tx: Transaction) -> Taken:
            self._check_linked(tx.conn)
            taken = Taken()
            for issue in discreet:
                entry.take(tx, issue, taken)
            tell_followed(tx, taken, count)
            if self._settings.milestones_as_sprints:
                replan(tx, self._project, taken.moved)
            if cursor is not None:
                github_links.read_up_to(tx, self._project, cursor=cursor or None)
            if path:
                github_links.keep_etag(tx, self._project, path, etag)
            return taken

        taken = await self._store.write(take)
        self._unsure.difference_update(issue.number for issue in discreet)
        self._unsure |= taken.unsure
        await self._follow_up(taken, count)
        if taken.unsure and rounds > 0:
            await self.by_number(taken.unsure, count, rounds=rounds)

    async def _may_edit(self, issues: Sequence[IssueFacts]) -> Collection[int]:
        """The ids of issues that only people edit who may steer. Only those are asked about whose words are
        others than were taken in."""
        least = self._settings.steer_permission
        if consent.everybody_may(least):
            return {issue.id for issue in issues}
        doubted = await self._store.read(lambda conn: doubtful(conn, self._project, issues))
        return {issue.id for issue in doubted if consent.may_edit(await self._right_of(issue.author), least)}

    async def _right_of(self, author: Person) -> Permission:
        if is_same_login(self._me, (author.login,)):
            return Permission.WRITE  # nobody edits what Orchard wrote with less
        if author.is_bot:
            return Permission.NONE
        return await self._permissions.of(self._repo, self._project, author.login)

    async def accepted(self, count: Taken) -> None:
        """Words that waited, and that a person wants taken in."""
        await self.by_number(await self._store.read(lambda conn: accepted(conn, self._project)), count)

    async def _gone(self, number: int, count: Taken) -> None:
        def gone(tx: Transaction) -> Taken:
            self._check_linked(tx.conn)
            taken = Taken()
            if (link := github_issues.of_number(tx.conn, self._project, number)) is not None:
                end_gone(tx, link, taken)
            tell_followed(tx, taken, count)
            return taken

        taken = await self._store.write(gone)
        self._unsure.discard(number)
        await self._follow_up(taken, count)

    async def unwanted(self, count: Taken) -> None:
        def end(tx: Transaction) -> Taken:
            taken = end_unwanted(tx, self._project)
            tell_followed(tx, taken, count)
            return taken

        await self._follow_up(await self._store.write(end), count)

    async def doubtful(self, turn: int) -> Collection[int]:
        """Some of the issues of stories that are chosen for a sprint, others at each turn."""
        rows = await self._store.read(
            lambda conn: [
                row["number"]
                for row in conn.execute(
                    "SELECT g.number FROM github_issues_here g JOIN stories s ON s.id = g.story_id"
                    " WHERE g.project = ? AND g.is_open = 1"
                    " AND s.state IN ('planned', 'active') ORDER BY g.number",
                    (self._project,),
                )
            ]
        )
        begin = turn * _READ_AGAIN % max(len(rows), 1)
        return (rows + rows)[begin : begin + min(_READ_AGAIN, len(rows))]

    async def _follow_up(self, taken: Taken, count: Taken) -> None:
        """The store has it all; what runs is told, and a failure of that loses nothing."""
        count.add(taken)
        await self._steering.pass_on(self._project)
        try:
            for story in taken.to_cancel:
                await self._engine.cancel(self._project, story.id)
        except OrchardError as error:
            _log.warning("%s: a change of an issue did not reach what runs: %s", self._project, error)

    # -- comments ----------------------------------------------------------------------------

    async def comments(self, link: Link) -> int:
        """All that changed since the cursor, at first since the project was linked."""
        linked_at = link.linked_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        hearing = Hearing(
            self._store,
            self._repo,
            self._project,
            self._settings,
            self._permissions,
            self._engine,
            self._steering,
            me=self._me,
            not_before=linked_at,
        )
        await hearing.answer_all()
        since, heard = link.comments_cursor or linked_at, 0
        path = self._repo.comments_path(since)
        etag = (await self._store.read(lambda conn: github_links.etags(conn, self._project))).get(path, "")
        page = await self._repo.comments(since, etag)
        while not isinstance(page, NotModified):
            heard += await hearing.hear(page.items)
            kept = page.etag if page.next is None and page.cursor == since else ""
            await self._store.write(partial(self._heard_up_to, cursor=page.cursor, path=page.path, etag=kept))
            if page.next is None:
                break
            page = await self._repo.comments(since, after=page.next)
        return heard

    def _heard_up_to(self, tx: Transaction, cursor: str, path: str, etag: str) -> None:
        self._check_linked(tx.conn)
        if cursor:
            github_links.read_up_to(tx, self._project, comments_cursor=cursor)
        github_links.keep_etag(tx, self._project, path, etag)


def _synced(tx: Transaction, link: Link, count: Taken, *, first: bool, held: bool) -> None:
    if held:
        return
    github_links.synced(tx, link.project, tx.now)
    if first or count.added or len(count.followed) > TOLD_ALONE:  # else each is told by itself
        tx.emit(
            EventKind.GITHUB_SYNCED,
            project=link.project,
            actor=ACTOR,
            data={
                "repository": link.repository,
                "added": count.added,
                "edited": count.edited,
                "closed": count.closed,
                "reopened": count.reopened,
                "first": first,
            },
        )


def _discreet(issue: IssueFacts) -> IssueFacts:
    """People paste secrets into issues, too."""
    return dataclasses.replace(
        issue, title=known_secrets.text(issue.title), body=known_secrets.text(issue.body)
    )
