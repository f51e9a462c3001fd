"""One story's issue, made what it should be: its words, its comment, its label, open or closed.

Each step says in the store what it did before the next begins. Whatever a crash cut off is done again, and
changes nothing where it had been done.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.domain.github import IssueLink
from core.github.api.facts import CommentFacts, IssueFacts
from core.github.api.repo import Repo
from core.github.api.trouble import GithubMissing
from core.github.inward.issue_labels import label_edits, parse_marks
from core.github.inward.issue_text import (
    changed_marks,
    changed_words,
    parse_seen,
    parse_words,
    seen_marks,
    seen_words,
)
from core.github.markers import PROGRESS, marked
from core.github.outward import telling
from core.github.outward.standing import Standing
from core.github.outward.state_labels import ALL
from core.github.outward.telling import Told
from core.store import github_heard, github_issues
from core.store.database import Store
from core.store.transaction import Transaction

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What was changed outside."""

    words: bool = False
    comment: bool = False
    labels: bool = False
    milestone: bool = False
    closed: bool = False

    def __bool__(self) -> bool:
        return self.words or self.comment or self.labels or self.milestone or self.closed


class IssueOut:
    """Of one repository. `known_labels`: those that were made sure of, shared by its calls."""

    def __init__(self, store: Store, repo: Repo, known_labels: set[str]) -> None:
        self._store = store
        self._repo = repo
        self._known_labels = known_labels

    async def bring(self, standing: Standing) -> Done:
        """Raises GithubError; what was done before it is kept."""
        done = Done()
        if standing.changed or standing.changed_marks:
            there = await self._repo.issue(standing.link.number)
            later = standing.edited_at.isoformat() > _moment(there.updated_at)
            done = replace(
                done,
                words=await self._write_words(standing, there, later=later),
                labels=await self._write_marks(standing, there, later=later),
            )
        told = standing.told
        said = standing.wanted.comment
        if said is not None and telling.digest(said) != told.comment:
            await self._say(standing.link, said)
            told = await self._tell(standing.link, replace(told, comment=telling.digest(said)))
            done = replace(done, comment=True)
        add, remove = telling.label_changes(told, standing.wanted)
        if add or remove:
            told = await self._label(standing.link, told, add, remove)
            done = replace(done, labels=True)
        if (number := standing.wanted.milestone) is not None and told.milestone != number:
            moved = await self._move(standing.link, number)
            told = await self._tell(standing.link, replace(told, milestone=number))
            done = replace(done, milestone=moved)
        if standing.wanted.closed and not told.closed:
            closes = standing.link.is_open
            if closes:
                await self._repo.edit_issue(standing.link.number, is_open=False, state_reason="completed")
            told = await self._tell(standing.link, replace(told, closed=True), is_open=False)
            done = replace(done, closed=closes)
        if standing.wanted.over and not told.over:
            await self._tell(standing.link, replace(told, over=True))
        return done

    # -- comment -------------------------------------------------------------------------------------

    async def _say(self, link: IssueLink, text: str) -> None:
        if link.comment_id is not None:
            try:
                await self._repo.edit_comment(link.comment_id, text)
            except GithubMissing:  # deleted there, by a person
                await self._store.write(lambda tx: github_issues.commented(tx, link.story_id, None))
            else:
                return
        what = f"comment:{link.story_id}"
        is_first = await self._store.write(lambda tx: github_heard.intend(tx, link.project, what))
        found = None if is_first else await self._comment_there(link)
        if found is None:
            found = await self._repo.create_comment(link.number, text)
        elif found.body != text:
            await self._repo.edit_comment(found.id, text)
        comment_id = found.id

        def made(tx: Transaction) -> None:
            github_issues.commented(tx, link.story_id, comment_id)
            github_heard.settle(tx, link.project, what)

        await self._store.write(made)

    async def _comment_there(self, link: IssueLink) -> CommentFacts | None:
        """Made before a crash. Who copies the mark into a comment of their own has not made one of ours."""
        me = (await self._repo.me()).casefold()
        for comment in await self._repo.issue_comments(link.number):
            if comment.author.login.casefold() == me and marked(comment.body, PROGRESS, link.story_id):
                return comment
        return None

    # -- labels --------------------------------------------------------------------------------------

    async def _label(
        self, link: IssueLink, told: Told, add: tuple[str, ...], remove: tuple[str, ...]
    ) -> Told:
        for label in ALL:
            if label.name in add and label.name not in self._known_labels:
                await self._repo.ensure_label(label.name, color=label.color, description=label.description)
                self._known_labels.add(label.name)
        if add and told.labels:
            await self._tell(link, telling.about_to_label(told, add))
        await self._repo.set_labels(link.number, add=add, remove=remove)
        return await self._tell(link, replace(told, labels=add))

    async def _move(self, link: IssueLink, milestone: int) -> bool:
        """Into its sprint's milestone, once: who takes it out again at GitHub has meant that."""
        seen = parse_seen(link.seen)
        if seen is not None and seen.milestone == milestone:
            return False
        await self._repo.edit_issue(link.number, milestone=milestone)
        await self._store.write(lambda tx: _saw(tx, link.story_id, {"milestone": milestone}))
        return True

    # -- words ---------------------------------------------------------------------------------------

    async def _write_words(self, standing: Standing, there: IssueFacts, *, later: bool) -> bool:
        """Of words that both sides changed, those that were changed later stay; the others are taken in.
        `later`: ours."""
        link = standing.link
        read = parse_words(there.title, there.body, number=link.number)
        theirs = changed_words(parse_seen(link.seen), read)
        ours = tuple(name for name in standing.changed if later or name not in theirs)
        if not ours:
            return False
        title, body = telling.edited(there.title, there.body, link.number, standing.words, ours)
        if title is not None or body is not None:
            await self._repo.edit_issue(link.number, title=title, body=body)
        digests = seen_words(standing.kept)
        wrote = {name: digests[name] for name in ours}
        await self._store.write(lambda tx: _saw(tx, link.story_id, wrote))
        return title is not None or body is not None

    async def _write_marks(self, standing: Standing, there: IssueFacts, *, later: bool) -> bool:
        """Likewise the labels and the priority."""
        link, own, marks = standing.link, standing.own_label, standing.marks
        theirs = changed_marks(parse_seen(link.seen), parse_marks(there.labels, own=own))
        ours = tuple(name for name in standing.changed_marks if later or name not in theirs)
        if not ours:
            return False
        add, remove = label_edits(there.labels, marks, ours, own=own)
        if add or remove:
            await self._repo.set_labels(link.number, add=add, remove=remove)
        values = seen_marks(marks)
        wrote = {name: values[name] for name in ours}
        await self._store.write(lambda tx: _saw(tx, link.story_id, wrote))
        return bool(add or remove)

    async def _tell(self, link: IssueLink, told: Told, *, is_open: bool | None = None) -> Told:
        text = told.to_text()
        await self._store.write(lambda tx: github_issues.told(tx, link.story_id, text, is_open=is_open))
        return told


def _saw(tx: Transaction, story_id: str, changes: Mapping[str, Any]) -> None:
    """What Orchard wrote is no news when it is read. `updated_at` stays: what people changed besides is still
    to be taken in."""
    link = github_issues.of_story(tx.conn, story_id)
    seen = parse_seen(link.seen) if link is not None else None
    if link is None or seen is None:
        return
    text = replace(seen, **changes).to_text()
    github_issues.took_in(tx, story_id, updated_at=link.updated_at, seen=text, is_open=link.is_open)


def _moment(text: str) -> str:
    """GitHub's time as ISO text that compares with ours."""
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return ""
