"""Issues for stories that come from elsewhere: made once, also where Orchard was killed meanwhile."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from config.github_settings import ProjectGithub
from core.domain.story import OVER, Story, StoryState
from core.errors import LostRace
from core.github.api.facts import IssueFacts, NotModified
from core.github.api.repo import Repo
from core.github.inward.issue_labels import labels_of, marks_of, parse_marks
from core.github.inward.issue_text import Seen, seen_of, words_of
from core.github.markers import STORY, issue_intent, marked, marker
from core.github.outward.standing import discreet
from core.github.outward.telling import new_issue
from core.store import github_heard, github_issues, github_links, stories
from core.store.columns import from_time
from core.store.database import Store
from core.store.transaction import Transaction

_CLOCKS_APART = timedelta(hours=26)  # between this machine's and GitHub's; a page more costs little


def without_issue(conn: sqlite3.Connection, project: str) -> tuple[str, ...]:
    """Stories that were approved and are not over, by number."""
    rows = conn.execute(
        "SELECT s.id, s.state FROM stories s LEFT JOIN github_issues g ON g.story_id = s.id"
        " WHERE s.project = ? AND g.story_id IS NULL ORDER BY s.number",
        (project,),
    )
    return tuple(row["id"] for row in rows if _is_due(StoryState(row["state"])))


class OwnIssues:
    def __init__(self, store: Store, repo: Repo, project: str, settings: ProjectGithub) -> None:
        self._store = store
        self._repo = repo
        self._project = project
        self._settings = settings

    async def make(self, story_id: str) -> bool:
        """Whether the story is an issue by this. Raises GithubError."""
        story = await self._store.read(lambda conn: self._story(conn, story_id))
        if story is None:
            return False
        what = issue_intent(story_id)
        is_first = await self._store.write(lambda tx: github_heard.intend(tx, self._project, what))
        issue = None if is_first else await self._there(story_id)
        if issue is None:
            mark = marker(STORY, story_id)
            title, body = new_issue(words_of(discreet(story)), mark)
            own = self._settings.label
            labels = [*([] if own is None else [own]), *labels_of(marks_of(story, own=own))]
            issue = await self._repo.create_issue(title, body, labels=labels)
        return await self._store.write(lambda tx: self._link(tx, story, issue))

    def _story(self, conn: sqlite3.Connection, story_id: str) -> Story | None:
        if github_issues.of_story(conn, story_id) is not None:
            return None
        story = stories.find(conn, story_id)
        return story if story is not None and _is_due(story.state) else None

    async def _there(self, story_id: str) -> IssueFacts | None:
        """The issue that a killed Orchard made, among all that changed since it began to."""
        begun = await self._store.read(lambda conn: _begun(conn, self._project, issue_intent(story_id)))
        me = (await self._repo.me()).casefold()
        page = await self._repo.issues(begun)
        while not isinstance(page, NotModified):
            for issue in page.items:
                if issue.author.login.casefold() == me and marked(issue.body, STORY, story_id):
                    return issue
            if page.next is None:
                break
            page = await self._repo.issues(begun, after=page.next)
        return None

    def _link(self, tx: Transaction, story: Story, issue: IssueFacts) -> bool:
        github_links.check(tx.conn, self._repo.link)
        github_heard.settle(tx, self._project, issue_intent(story.id))
        seen: Seen = seen_of(
            words_of(story),
            parse_marks(issue.labels, own=self._settings.label),
            milestone=issue.milestone.number if issue.milestone else None,
            wanted=True,
        )
        try:
            github_issues.link(
                tx,
                story.id,
                project=self._project,
                number=issue.number,
                issue_id=issue.id,
                url=issue.url,
                updated_at=issue.updated_at,
                seen=seen.to_text(),
            )
        except LostRace:  # what came in was quicker: a webhook of this very issue
            return False
        return True


def _is_due(state: StoryState) -> bool:
    return state not in OVER and state is not StoryState.PROPOSED


def _begun(conn: sqlite3.Connection, project: str, intent: str) -> str:
    row = conn.execute(
        "SELECT begun_at FROM github_intents WHERE project = ? AND what = ?", (project, intent)
    ).fetchone()
    if row is None:
        return ""
    return (from_time(row["begun_at"]) - _CLOCKS_APART).strftime("%Y-%m-%dT%H:%M:%SZ")
