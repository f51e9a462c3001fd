"""Sprints at GitHub: a milestone while they run, a draft release when they are over."""

from __future__ import annotations

import sqlite3
from contextlib import suppress

from config.github_settings import ProjectGithub
from core.domain.github import Link
from core.domain.story import Sprint
from core.github.api.facts import MilestoneFacts, ReleaseFacts
from core.github.api.repo import Repo
from core.github.api.trouble import GithubMissing, GithubRefused
from core.github.markers import SPRINT, marked, marker
from core.github.outward.release_notes import release_body, release_name, release_tag
from core.github.outward.sprint_notes import notes_of
from core.github.quoting import plain
from core.known_secrets import known_secrets
from core.store import github_heard, github_links, github_milestones, github_releases, sprints
from core.store.columns import to_time
from core.store.database import Store
from core.store.github_milestones import Milestone
from core.store.transaction import Transaction

_HAS_ISSUES = (
    "SELECT 1 FROM stories s JOIN github_issues_here g ON g.story_id = s.id WHERE s.sprint_id = ? LIMIT 1"
)


class SprintsOut:
    """Of one repository."""

    def __init__(self, store: Store, link: Link, settings: ProjectGithub) -> None:
        self._store = store
        self._link = link
        self._settings = settings

    async def is_due(self) -> bool:
        """Whether anything is to be done; asks nothing of GitHub."""
        return any(await self._store.read(self._due))

    async def milestones(self, repo: Repo) -> int:
        """How many were made or closed. Raises GithubError."""
        opened, closed, _ = await self._store.read(self._due)
        if opened is not None:
            await self._open(repo, opened)
        for milestone in closed:
            await self._close(repo, milestone)
        return (opened is not None) + len(closed)

    async def releases(self, repo: Repo) -> int:
        """How many were made. Raises GithubError."""
        *_, due = await self._store.read(self._due)
        for sprint in due:
            await self._release(repo, sprint)
        return len(due)

    def _due(self, conn: sqlite3.Connection) -> tuple[Sprint | None, list[Milestone], list[Sprint]]:
        """A sprint that needs a milestone, milestones of sprints that are over, sprints to be released."""
        project = self._link.project
        opened, closed, released = None, list[Milestone](), list[Sprint]()
        if self._settings.milestones_as_sprints:
            now = sprints.current(conn, project)
            if now is not None and github_milestones.of_sprint(conn, now.id) is None:
                opened = now if conn.execute(_HAS_ISSUES, (now.id,)).fetchone() else None
            for milestone in github_milestones.of_project(conn, project):
                sprint_id = milestone.sprint_id if milestone.is_open else None
                if sprint_id is not None and sprints.get(conn, sprint_id).ended_at is not None:
                    closed.append(milestone)
        if self._settings.release_notes:
            since = to_time(self._link.linked_at)  # those of before are nobody's wish
            released = [sprints.get(conn, each) for each in github_releases.due(conn, project, since)]
        return opened, closed, released

    # -- milestones ----------------------------------------------------------------------------------

    async def _open(self, repo: Repo, sprint: Sprint) -> None:
        what = f"milestone:{sprint.id}"
        is_first = await self._store.write(lambda tx: github_heard.intend(tx, sprint.project, what))
        found = None if is_first else await self._there(repo, sprint, title=None)
        if found is None:
            title = known_secrets.text(f"Sprint {sprint.number}")
            if goal := plain(known_secrets.text(sprint.goal), 80):
                title += f": {goal}"
            mark = marker(SPRINT, sprint.id)
            try:
                found = await repo.create_milestone(title, description=f"Planned in Orchard. {mark}")
            except GithubRefused:  # there is one of the title: it is meant
                found = await self._there(repo, sprint, title=title)
                if found is None:
                    raise
        there = found

        def made(tx: Transaction) -> None:
            github_links.check(tx.conn, self._link)
            github_milestones.note(tx, sprint.project, there.number, title=there.title, is_open=there.is_open)
            github_milestones.bind(tx, sprint.project, there.number, sprint.id)
            github_heard.settle(tx, sprint.project, what)

        await self._store.write(made)

    async def _there(self, repo: Repo, sprint: Sprint, *, title: str | None) -> MilestoneFacts | None:
        """By its mark; with a title, also one that nothing else is."""
        taken = {
            each.number
            for each in await self._store.read(
                lambda conn: github_milestones.of_project(conn, sprint.project)
            )
            if each.sprint_id is not None
        }
        for each in await repo.milestones():
            if each.number not in taken and (
                marked(each.description, SPRINT, sprint.id) or (title is not None and each.title == title)
            ):
                return each
        return None

    async def _close(self, repo: Repo, milestone: Milestone) -> None:
        with suppress(GithubMissing):  # deleted by a person
            await repo.edit_milestone(milestone.number, is_open=False)

        def closed(tx: Transaction) -> None:
            github_links.check(tx.conn, self._link)
            github_milestones.closed(tx, milestone.project, milestone.number)

        await self._store.write(closed)

    # -- releases ------------------------------------------------------------------------------------

    async def _release(self, repo: Repo, sprint: Sprint) -> None:
        what = f"release:{sprint.id}"
        is_first = await self._store.write(lambda tx: github_heard.intend(tx, sprint.project, what))
        found = None if is_first else await self._released(repo, sprint)
        if found is None:
            notes = await self._store.read(lambda conn: notes_of(conn, sprint))
            found = await repo.create_release(
                release_tag(sprint),
                name=known_secrets.text(release_name(sprint)),
                body=release_body(sprint, notes),
                draft=True,
                target=self._link.default_branch,
            )
        there = found

        def made(tx: Transaction) -> None:
            github_releases.made(tx, sprint.project, sprint.id, there.id, there.url)
            github_heard.settle(tx, sprint.project, what)

        await self._store.write(made)

    async def _released(self, repo: Repo, sprint: Sprint) -> ReleaseFacts | None:
        for release in await repo.releases():
            if marked(release.body, SPRINT, sprint.id):
                return release
        return None
