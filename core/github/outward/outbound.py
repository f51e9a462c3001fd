"""The way out: what GitHub shows of a project's stories is made what the store says, and no more than that.

Level-triggered: an event only says whose turn it is to be compared. What is wanted is compared with what was
said last, and where it is the same nothing is asked of GitHub.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from config.github_settings import ProjectGithub
from core.clock import Clock
from core.domain.event import EventKind
from core.domain.github import Link
from core.domain.story import OVER, StoryState
from core.github.api.repo import Repo
from core.github.api.trouble import GithubForbidden, GithubMissing, GithubRefused
from core.github.inward.issue_labels import marks_of
from core.github.inward.issue_text import changed_marks, changed_words, parse_seen, words_of
from core.github.outward import own_issues, standing
from core.github.outward.issue_out import Done, IssueOut
from core.github.outward.own_issues import OwnIssues
from core.github.outward.sprints_out import SprintsOut
from core.github.outward.telling import SILENT, parse_told
from core.store import events, github_issues, github_links, stories
from core.store.database import Store

_log = logging.getLogger(__name__)

T = TypeVar("T")

GAP_SECONDS = 2.0  # between two edits of one story: a burst of events is one edit
_EVENTS_READ = 1000
_FORBIDDEN = 3  # so many in a row are no matter of single issues
# What changes how all stories of a project stand.
_OF_ALL = frozenset(
    {
        EventKind.WORKFLOW_CHANGED,
        EventKind.PROJECT_STARTED,
        EventKind.PROJECT_STOPPED,
        EventKind.PROJECT_MAINTAINED,
        EventKind.PROJECT_ARCHIVED,
        EventKind.PROJECT_REOPENED,
        EventKind.SPRINT_PLANNED,
        EventKind.SPRINT_STARTED,
        EventKind.SPRINT_FINISHED,
        EventKind.USAGE_LIMITED,
        EventKind.USAGE_RESET,
    }
)
_ENDS = frozenset({EventKind.STORY_MERGED, EventKind.STORY_SKIPPED, EventKind.STORY_ABORTED})


class Repos(Protocol):
    async def repo(self, project: str) -> Repo: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What was changed outside. `again_in`: seconds until a story that was edited just now may be edited
    again; None: nothing waits for that. `problems`: sentences, of single stories."""

    issues: int = 0  # made
    words: int = 0
    comments: int = 0
    labels: int = 0
    closed: int = 0
    milestones: int = 0
    releases: int = 0
    again_in: float | None = None
    problems: tuple[str, ...] = ()

    @property
    def changes(self) -> int:
        edits = self.issues + self.words + self.comments + self.labels + self.closed
        return edits + self.milestones + self.releases


@dataclass(slots=True)
class _Project:
    """`pending`: stories to be compared; they stay until that is done."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    repository_id: int | None = None
    read_up_to: int | None = None  # the last event that was looked at; None: everything is to be
    pending: dict[str, None] = field(default_factory=dict)
    edited_at: dict[str, float] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)


class Outbound:
    """`settings` gives a project's `github:` section; it may raise Unavailable."""

    def __init__(
        self,
        store: Store,
        repos: Repos,
        settings: Callable[[str], ProjectGithub],
        clock: Clock,
        *,
        gap_seconds: float = GAP_SECONDS,
    ) -> None:
        self._store = store
        self._repos = repos
        self._settings = settings
        self._clock = clock
        self._gap = gap_seconds
        self._projects: dict[str, _Project] = {}

    async def bring_up(self, project: str, story_ids: Collection[str] | None = None) -> None:
        """As `bring`, until no story waits for its next edit any more."""
        brought = await self.bring(project, story_ids)
        while brought.again_in is not None:
            await asyncio.sleep(brought.again_in)
            brought = await self.bring(project, ())

    async def bring(self, project: str, story_ids: Collection[str] | None = None) -> Brought:
        """Compares these stories, and whatever had events since the last call; None: all of them.

        Raises GithubError when GitHub cannot be asked or refuses everything, and LostRace when the project is
        linked with another repository meanwhile: what was not done then is done by a later call. A project
        without a repository, or with one that has not answered yet, costs nothing.
        """
        kept = self._projects.setdefault(project, _Project())
        async with kept.lock:
            link = await self._store.read(lambda conn: github_links.find(conn, project))
            if link is None or link.repository_id is None:
                return Brought()
            if kept.repository_id != link.repository_id:
                kept = self._projects[project] = _Project(lock=kept.lock, repository_id=link.repository_id)
            settings = self._settings(project)
            await self._choose(project, kept, story_ids, settings)
            return await self._bring_all(link, kept, settings)

    async def _choose(
        self, project: str, kept: _Project, story_ids: Collection[str] | None, settings: ProjectGithub
    ) -> None:
        after = None if story_ids is None else kept.read_up_to

        def look(conn: sqlite3.Connection) -> tuple[int, list[str]]:
            last = conn.execute("SELECT coalesce(max(seq), 0) AS seq FROM events").fetchone()["seq"]
            chosen = (
                _differing(conn, project, settings.label) if after is None else _touched(conn, project, after)
            )
            if after is None and settings.create_issues:
                chosen += own_issues.without_issue(conn, project)
            return last, chosen

        last, chosen = await self._store.read(look)
        kept.pending.update(dict.fromkeys((*chosen, *(story_ids or ()))))
        kept.read_up_to = last

    async def _bring_all(self, link: Link, kept: _Project, settings: ProjectGithub) -> Brought:
        """Issues of our own first, since a milestone is of sprints that have some; then what is said."""
        sprints = SprintsOut(self._store, link, settings)
        if not kept.pending and not await sprints.is_due():
            return Brought()
        repo = await self._repos.repo(link.project)
        await self._store.read(lambda conn: github_links.check(conn, link))
        work = _Work(link=link, settings=settings, repo=repo, kept=kept)
        if settings.create_issues:
            own = OwnIssues(self._store, repo, link.project, settings)
            for story_id in list(kept.pending):
                work.issues += bool(await work.tried(story_id, own.make(story_id)))
        if await sprints.is_due():
            work.milestones = await work.tried("the sprint's milestone", sprints.milestones(repo)) or 0
            if work.milestones:
                at_work = await self._store.read(lambda conn: _at_work(conn, link.project))
                kept.pending.update(dict.fromkeys(at_work))
        for story_id in list(kept.pending):
            if self._too_soon(kept, story_id) > 0:
                continue
            done = await work.tried(story_id, self._bring_one(work, story_id))
            if done:
                work.add(done)
                kept.edited_at[story_id] = self._clock.monotonic()
            if story_id not in work.forbidden:
                kept.pending.pop(story_id, None)
        if await sprints.is_due():
            work.releases = await work.tried("the sprint's release", sprints.releases(repo)) or 0
        if work.forbidden:
            raise next(iter(work.forbidden.values()))
        again = min((self._too_soon(kept, each) for each in kept.pending), default=None)
        return work.brought(again)

    async def _bring_one(self, work: _Work, story_id: str) -> Done | None:
        link, settings = work.link, work.settings
        seen = await self._store.read(
            lambda conn: standing.read(conn, story_id, settings, html_url=link.html_url)
        )
        if seen is None or seen.link.project != link.project or seen.link.repository_id != link.repository_id:
            return None
        return await IssueOut(self._store, work.repo, work.kept.labels).bring(seen)

    def _too_soon(self, kept: _Project, story_id: str) -> float:
        """Seconds until it may be edited again."""
        if (before := kept.edited_at.get(story_id)) is None:
            return 0.0
        left = before + self._gap - self._clock.monotonic()
        if left <= 0:
            del kept.edited_at[story_id]
        return max(left, 0.0)


@dataclass(slots=True, kw_only=True)
class _Work:
    """One pass over a project, and what it came to. `forbidden`: by story or what else it was of."""

    link: Link
    settings: ProjectGithub
    repo: Repo
    kept: _Project
    issues: int = 0
    words: int = 0
    comments: int = 0
    labels: int = 0
    closed: int = 0
    milestones: int = 0
    releases: int = 0
    problems: list[str] = field(default_factory=list)
    forbidden: dict[str, GithubForbidden] = field(default_factory=dict)

    async def tried(self, what: str, work: Coroutine[Any, Any, T]) -> T | None:
        """What GitHub refuses of one thing holds up nothing else; where it forbids one after the other it is
        asked no more. Raises GithubError."""
        try:
            return await work
        except (GithubMissing, GithubRefused) as error:
            _log.warning("GitHub does not take what is said of %s: %s", what, error)
            self.problems.append(f"{what}: {error}")
        except GithubForbidden as error:
            self.forbidden[what] = error
            if len(self.forbidden) == _FORBIDDEN:
                raise
        return None

    def add(self, done: Done) -> None:
        self.words += done.words
        self.comments += done.comment
        self.labels += done.labels
        self.closed += done.closed

    def brought(self, again_in: float | None) -> Brought:
        return Brought(
            issues=self.issues,
            words=self.words,
            comments=self.comments,
            labels=self.labels,
            closed=self.closed,
            milestones=self.milestones,
            releases=self.releases,
            again_in=again_in,
            problems=tuple(self.problems),
        )


def _at_work(conn: sqlite3.Connection, project: str) -> tuple[str, ...]:
    states = (StoryState.PLANNED, StoryState.ACTIVE)
    return tuple(story.id for story in stories.of_project(conn, project, states=states))


def _differing(conn: sqlite3.Connection, project: str, own_label: str | None) -> list[str]:
    """Of all that are issues, those of which something may have to be said."""
    found = []
    known = {story.id: story for story in stories.of_project(conn, project)}
    for link in github_issues.of_project(conn, project):
        story, told = known[link.story_id], parse_told(link.told)
        if story.state in OVER and (told.over or (story.state is StoryState.REMOVED and not link.told)):
            continue
        seen = parse_seen(link.seen)
        silent = story.state in SILENT and not link.told and link.comment_id is None
        if (
            not silent
            or (seen is not None and changed_words(seen, words_of(story)))
            or changed_marks(seen, marks_of(story, own=own_label))
        ):
            found.append(story.id)
    return found


def _touched(conn: sqlite3.Connection, project: str, after: int) -> list[str]:
    """Stories with events since then, and those that need a story which ended, also one of elsewhere."""
    found: dict[str, None] = {}
    everybody = False
    while True:
        news = events.since(conn, after, limit=_EVENTS_READ)
        for event in news:
            ours = event.project == project
            if ours and event.story_id is not None:
                found[event.story_id] = None
            everybody = everybody or (ours and event.kind in _OF_ALL)
            if event.kind in _ENDS and event.story_id is not None:
                found.update(dict.fromkeys(_needing(conn, project, event.story_id)))
        if len(news) < _EVENTS_READ:
            break
        after = news[-1].seq
    if everybody:
        found.update(dict.fromkeys(_at_work(conn, project)))
    return list(found)


def _needing(conn: sqlite3.Connection, project: str, story_id: str) -> list[str]:
    rows = conn.execute(
        "SELECT n.story_id FROM story_needs n JOIN stories s ON s.id = n.story_id"
        " WHERE n.needs_id = ? AND s.project = ?",
        (story_id, project),
    )
    return [row["story_id"] for row in rows]
