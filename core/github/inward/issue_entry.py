"""An issue is taken in: what was decided of it is done to its story, in one transaction with others.

By the use cases and guards of the commands. What a guard refuses now (a story whose sprint is paused) is not
lost: what the issue said last is kept, and `end_unwanted` tries again at the next look.
"""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.domain.event import EventKind
from core.domain.github import IssueLink
from core.domain.story import OVER, Priority, Story, StoryState
from core.errors import NotAllowed, OrchardError
from core.github.api.facts import IssueFacts
from core.github.inward.issue_text import parse_seen
from core.github.inward.steering import steer
from core.github.inward.taking_in import (
    Act,
    Decision,
    End,
    Known,
    Wish,
    actor_of,
    decide,
    how_to_end,
    is_doubtful,
    is_given_up,
    told_of_edit,
)
from core.github.markers import STORY, issue_intent, name_in
from core.orchestrator.commands import backlog
from core.orchestrator.commands.cycles import skip_story
from core.orchestrator.commands.sprints import plan_sprint
from core.store import cycles, github_heard, github_issues, sprints, stories
from core.store.transaction import Transaction

ACTOR = "github"  # GitHub does not say who changed an issue
TOLD_ALONE = 3  # so many issues that change in one look are told of one by one
Snapshot = Mapping[int, tuple[str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What became of a story's issue: "edited", "closed", "reopened", "gone"."""

    story: Story
    number: int
    url: str
    what: str


@dataclass(slots=True, kw_only=True)
class Taken:
    """What one transaction did, and what is to follow its commit."""

    added: int = 0
    edited: int = 0
    closed: int = 0
    reopened: int = 0
    unsure: set[int] = field(default_factory=set)  # numbers of issues that are to be read once more
    to_cancel: list[Story] = field(default_factory=list)  # what runs for them
    moved: list[tuple[Story, int | None]] = field(default_factory=list)  # and the milestones' numbers
    followed: list[Followed] = field(default_factory=list)

    def add(self, other: Taken) -> None:
        self.added += other.added
        self.edited += other.edited
        self.closed += other.closed
        self.reopened += other.reopened
        self.followed += other.followed


@contextmanager
def part(tx: Transaction) -> Iterator[None]:
    """What raises in here is undone alone, with its events."""
    events = len(tx.events)
    tx.conn.execute("SAVEPOINT part")
    try:
        yield
    except BaseException as raised:
        traceback.clear_frames(raised.__traceback__)
        tx.conn.execute("ROLLBACK TO part")
        tx.conn.execute("RELEASE part")
        del tx.events[events:]
        raise
    tx.conn.execute("RELEASE part")


def snapshot(conn: sqlite3.Connection, project: str) -> Snapshot:
    """By issue, what was seen of it and written to it, before GitHub is asked."""
    rows = conn.execute(
        "SELECT issue_id, seen, is_open FROM github_issues WHERE project = ? AND is_current = 1", (project,)
    )
    return {row["issue_id"]: (row["seen"], bool(row["is_open"])) for row in rows}


def doubtful(conn: sqlite3.Connection, project: str, issues: Iterable[IssueFacts]) -> list[IssueFacts]:
    """Of these, the stories' issues whose words may wait for a person."""
    return [issue for issue in issues if is_doubtful(issue, _known(conn, project, issue))]


def accepted(conn: sqlite3.Connection, project: str) -> list[int]:
    """Numbers of open issues whose words a person has accepted, and that are not taken in yet."""
    rows = conn.execute(
        "SELECT number FROM github_issues_here WHERE project = ? AND is_open = 1"
        " AND json_valid(seen) AND json_extract(seen, '$.accepted') <> '' ORDER BY number",
        (project,),
    )
    return [row["number"] for row in rows]


def _known(conn: sqlite3.Connection, project: str, issue: IssueFacts) -> Known | None:
    link = github_issues.of_issue(conn, project, issue.id)
    return None if link is None else Known(link=link, story=stories.get(conn, link.story_id))


class Entry:
    """Of one project. `before`: taken before the issues were read; where Orchard itself wrote to an issue
    since, it is read once more rather than believed."""

    def __init__(
        self,
        project: str,
        wish: Wish,
        before: Snapshot,
        *,
        may_edit: Collection[int] = (),
        confirmed: bool = False,
    ) -> None:
        """`may_edit`: the ids of issues whose words were changed by who may, if they were."""
        self._project = project
        self._wish = wish
        self._before = before
        self._may_edit = may_edit
        self._confirmed = confirmed  # each was asked for by its number, so is no page of some time ago

    def take(self, tx: Transaction, issue: IssueFacts, taken: Taken) -> None:
        known = _known(tx.conn, self._project, issue)
        link = known.link if known is not None else None
        if link is not None and link.repository_id is None:
            github_issues.stands_here(tx, link.story_id)
        decision = decide(
            issue,
            self._wish,
            known,
            may_edit=issue.id in self._may_edit,
            adoptable=self._adoptable(tx.conn, issue, link),
        )
        if decision.act is Act.IGNORE:
            return
        if link is not None and self._before.get(issue.id, ("", True)) != (link.seen, link.is_open):
            taken.unsure.add(issue.number)
            return
        if decision.act is Act.ADOPT:
            self._adopt(tx, issue, decision)
        elif decision.act is Act.ENTER:
            self._enter(tx, issue, decision, taken)
            taken.added += 1
        elif decision.act is Act.REENTER:
            if not self._confirmed:
                taken.unsure.add(issue.number)
                return
            story = self._enter(tx, issue, decision, taken)
            taken.reopened += 1
            taken.followed.append(_followed(story, issue, "reopened"))
        elif known is not None:
            self._follow(tx, issue, known, decision, taken)

    def _adoptable(self, conn: sqlite3.Connection, issue: IssueFacts, link: IssueLink | None) -> bool:
        name = name_in(issue.body, STORY) if link is None else None
        story = stories.find(conn, name) if name is not None else None
        return (
            story is not None
            and story.project == self._project
            and github_issues.of_story(conn, story.id) is None
        )

    def _adopt(self, tx: Transaction, issue: IssueFacts, decision: Decision) -> None:
        name = name_in(issue.body, STORY)
        assert name is not None  # it is adoptable by it
        github_heard.settle(tx, self._project, issue_intent(name))
        self._link(tx, stories.get(tx.conn, name), issue, decision)

    def _enter(self, tx: Transaction, issue: IssueFacts, decision: Decision, taken: Taken) -> Story:
        story = backlog.add_story(
            tx,
            self._project,
            dict(decision.changes),
            priority=decision.priority or Priority.NORMAL,
            actor=actor_of(issue.author.login),
        )
        self._link(tx, story, issue, decision)
        if decision.seen.milestone is not None:
            taken.moved.append((story, decision.seen.milestone))
        return story

    def _link(self, tx: Transaction, story: Story, issue: IssueFacts, decision: Decision) -> None:
        github_issues.link(
            tx,
            story.id,
            project=self._project,
            number=issue.number,
            issue_id=issue.id,
            url=issue.url,
            updated_at=issue.updated_at,
            seen=decision.seen.to_text(),
        )

    def _follow(
        self, tx: Transaction, issue: IssueFacts, known: Known, decision: Decision, taken: Taken
    ) -> None:
        story = known.story
        github_issues.took_in(
            tx,
            story.id,
            updated_at=issue.updated_at,
            seen=decision.seen.to_text(),
            is_open=issue.is_open,
        )
        if decision.holds:
            _tell_held(tx, story, issue, decision.seen.held)
        if story.state in OVER:
            return
        if decision.changes or decision.priority is not None:
            self._change(tx, issue, story, decision, taken)
        if decision.moved:
            taken.moved.append((story, decision.seen.milestone))
        if decision.end and end_story(
            tx, story, decision.end, taken, given_up=is_given_up(issue), number=issue.number, url=issue.url
        ):
            taken.closed += 1

    def _change(
        self, tx: Transaction, issue: IssueFacts, story: Story, decision: Decision, taken: Taken
    ) -> None:
        changes = dict(decision.changes)
        if story.state is StoryState.ACTIVE:
            if changes:
                _change_at_work(tx, story, issue.number, changes)
        elif changes:
            backlog.edit_story(tx, story.id, changes, actor=ACTOR)
        if decision.priority is not None:
            backlog.prioritize_story(tx, story.id, decision.priority, actor=ACTOR)
        taken.edited += 1
        taken.followed.append(_followed(story, issue, "edited"))


def _change_at_work(tx: Transaction, story: Story, number: int, changes: dict[str, Any]) -> None:
    """The record is changed; its agent is told, where it can still heed that."""
    stories.edit(tx, story.id, states=(StoryState.ACTIVE,), **changes)
    backlog.tell(tx, EventKind.STORY_EDITED, story, ACTOR, {"fields": sorted(changes)})
    if not (text := told_of_edit(number, changes)):
        return
    try:
        with part(tx):
            steer(tx, story.id, text, actor=ACTOR)
    except NotAllowed:
        return  # blocked, asked about or about to go in: its next prompt, if there is one, has the new text


def end_story(
    tx: Transaction,
    story: Story,
    why: str,
    taken: Taken,
    *,
    given_up: bool,
    number: int,
    url: str,
    what: str = "closed",
) -> bool:
    """Whether the story is over by this; else a guard keeps it, for now."""
    cycle = cycles.get(tx.conn, story.id)
    how = how_to_end(story.state, cycle.state if cycle is not None else None, given_up=given_up)
    if how in (End.NOTHING, End.WAIT):
        return False
    try:
        with part(tx):
            if how is End.SKIP:
                ended = skip_story(tx, story.id, why, actor=ACTOR)
            else:
                if how is End.UNPLAN:
                    _unplan(tx, story)
                ended = backlog.remove_story(tx, story.id, why, actor=ACTOR)
    except OrchardError:
        return False
    taken.followed.append(Followed(story=ended, number=number, url=url, what=what))
    if how is End.SKIP:
        taken.to_cancel.append(ended)
    return True


def end_unwanted(tx: Transaction, project: str) -> Taken:
    """Ends what an issue wanted ended before, when a guard did not let it."""
    rows = tx.conn.execute(
        "SELECT g.story_id FROM github_issues g JOIN stories s ON s.id = g.story_id WHERE g.project = ?"
        " AND g.is_current = 1 AND s.state IN ('proposed', 'backlog', 'planned', 'active')"
        " AND (g.is_open = 0 OR (json_valid(g.seen) AND json_extract(g.seen, '$.wanted') = 0))",
        (project,),
    ).fetchall()
    taken = Taken()
    for row in rows:
        link = github_issues.of_story(tx.conn, row["story_id"])
        assert link is not None
        story = stories.get(tx.conn, link.story_id)
        seen = parse_seen(link.seen)
        why = "is closed" if not link.is_open or seen is None else "is no longer to be a story"
        why = f"Its issue #{link.number} {why}."
        taken.closed += end_story(tx, story, why, taken, given_up=False, number=link.number, url=link.url)
    return taken


def end_gone(tx: Transaction, link: IssueLink, taken: Taken) -> bool:
    """The issue was deleted, or is in another repository by now."""
    github_issues.took_in(tx, link.story_id, updated_at=link.updated_at, seen=link.seen, is_open=False)
    story = stories.get(tx.conn, link.story_id)
    if story.state in OVER:
        return False
    why = f"Its issue #{link.number} was deleted or transferred."
    ended = end_story(tx, story, why, taken, given_up=True, number=link.number, url=link.url, what="gone")
    taken.closed += ended
    return ended


def _unplan(tx: Transaction, story: Story) -> None:
    """Plans its sprint again without it. Raises OrchardError when nothing else is in it."""
    sprint = sprints.current(tx.conn, story.project)
    others = [] if sprint is None else [each.id for each in sprints.stories(tx.conn, sprint.id)]
    rest = [each for each in others if each != story.id]
    if not rest:
        raise NotAllowed(
            f"{story.id} is all that the next sprint has.", hint="Plan it again with another story."
        )
    plan_sprint(tx, story.project, rest, "", actor=ACTOR)


def _followed(story: Story, issue: IssueFacts, what: str) -> Followed:
    return Followed(story=story, number=issue.number, url=issue.url, what=what)


def tell_followed(tx: Transaction, taken: Taken, before: Taken) -> None:
    """`before`: what the same look took in before. Of many issues that change at once each is in its story's
    record, and the look's end tells of them together."""
    together = len(before.followed) + len(taken.followed) > TOLD_ALONE
    for each in taken.followed:
        tx.emit(
            EventKind.ISSUE_FOLLOWED,
            project=each.story.project,
            story_id=each.story.id,
            actor=ACTOR,
            data={
                "number": each.number,
                "url": each.url,
                "what": each.what,
                "by": ACTOR,
                "together": together,
            },
        )


def _tell_held(tx: Transaction, story: Story, issue: IssueFacts, version: str) -> None:
    """By itself, however many others changed: somebody has to look at it."""
    data = {"number": issue.number, "url": issue.url, "what": "held", "version": version}
    data["by"] = actor_of(issue.author.login)
    tx.emit(EventKind.ISSUE_FOLLOWED, project=story.project, story_id=story.id, actor=ACTOR, data=data)
