"""What is to be said of a story at its issue, read from the store in one go."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from config.github_settings import ProjectGithub
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.github import IssueLink, Pull, PullState
from core.domain.lifecycles import CycleState
from core.domain.story import Cycle, Story, StoryStatus
from core.github.inward.issue_labels import Marks, marks_of
from core.github.inward.issue_text import Words, changed_marks, changed_words, parse_seen, words_of
from core.github.outward import progress, state_labels
from core.github.outward.progress import GateSeen, Progress
from core.github.outward.telling import Told, Wanted, is_over, parse_told, speaks
from core.ids import branch_of
from core.known_secrets import known_secrets
from core.orchestrator import overview
from core.orchestrator.explanation import Explanation, explained
from core.orchestrator.gate_events import summarise
from core.orchestrator.story_facts import story_facts
from core.store import (
    approvals,
    events,
    gates,
    github_issues,
    github_milestones,
    pulls,
    sprints,
    stories,
    users,
)

# Times are said with their dates, and never as how long ago: what is said changes only with the story.
_LATER = datetime(9999, 1, 1, tzinfo=UTC)
_ACTOR = re.compile(r"\bdiscord:(\d{1,20})\b")
_SAID_BY_STATE = (StoryStatus.RUNNING, StoryStatus.BACKLOG, StoryStatus.PLANNED, StoryStatus.DONE)
_EDITS = (EventKind.STORY_EDITED, EventKind.STORY_PRIORITIZED)
_PULL_IS_OUT = (PullState.WANTED, PullState.OPEN, PullState.LANDABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A story that is an issue. `kept`: its words as they are in the store; those of `story` are without
    secrets. `changed`: which of them differ from what the issue said last; `changed_marks`: likewise its
    labels and priority; `edited_at`: when people changed any of them here last. `own_label`: by which issues
    become stories."""

    story: Story
    kept: Words
    link: IssueLink
    told: Told
    wanted: Wanted
    changed: tuple[str, ...]
    changed_marks: tuple[str, ...]
    edited_at: datetime
    own_label: str | None

    @property
    def words(self) -> Words:
        return words_of(self.story)

    @property
    def marks(self) -> Marks:
        return marks_of(self.story, own=self.own_label)


def read(
    conn: sqlite3.Connection, story_id: str, settings: ProjectGithub, *, html_url: str
) -> Standing | None:
    """None: it is no issue of the repository that its project is linked with now, or the issue is another
    story by now."""
    if (link := github_issues.here(conn, story_id)) is None:
        return None
    kept = stories.get(conn, story_id)
    story = discreet(kept)
    view = overview.story_view(conn, story, _nothing_known)
    pull = pulls.find(conn, story_id)
    seen = parse_seen(link.seen)
    comment = None
    held = seen.held if seen is not None else ""
    if settings.progress_comment and speaks(
        view.status, comment_there=link.comment_id is not None or bool(held)
    ):
        said = _progress(conn, view.story, view.status, view.cycle, pull, html_url)
        comment = progress.comment(replace(said, held=held))
    edits = events.latest(conn, story_id=story_id, kinds=_EDITS, limit=1)
    marks = marks_of(story, own=settings.label)
    return Standing(
        story=story,
        link=link,
        told=parse_told(link.told),
        wanted=Wanted(
            comment=comment,
            label=state_labels.label_of(
                view.status, pull_waits=pull is not None and pull.state in _PULL_IS_OUT
            ),
            keeps_label=not settings.state_labels,
            closed=settings.close_issues and view.status is StoryStatus.DONE,
            milestone=_milestone(conn, kept, settings),
            over=is_over(story),
        ),
        changed=() if seen is None or is_over(story) else changed_words(seen, words_of(kept)),
        changed_marks=() if is_over(story) else changed_marks(seen, marks),
        own_label=settings.label,
        kept=words_of(kept),
        edited_at=edits[-1].at if edits else story.added_at,
    )


def _milestone(conn: sqlite3.Connection, story: Story, settings: ProjectGithub) -> int | None:
    if story.sprint_id is None or not settings.milestones_as_sprints:
        return None
    found = github_milestones.of_sprint(conn, story.sprint_id)
    return found.number if found is not None and found.is_open else None


def _progress(
    conn: sqlite3.Connection,
    story: Story,
    status: StoryStatus,
    cycle: Cycle | None,
    pull: Pull | None,
    html_url: str,
) -> Progress:
    said = _explanation(conn, story.id, status)
    told = _Discreet(conn)
    if cycle is not None:
        cycle = replace(cycle, blocked_reason=told.text(cycle.blocked_reason))
    return Progress(
        story=story,
        status=status,
        cycle=cycle,
        branch=branch_of(story.id),
        gates=tuple(
            GateSeen(
                phase=row.phase,
                passed=row.verdict.passed,
                summary=told.text(summarise(row.phase, row.verdict)),
            )
            for row in gates.of_story(conn, story.id)
        ),
        sentence=told.text(said.sentence),
        details=tuple(map(told.text, said.details)),
        next=told.text(said.next),
        pull=None if pull is None else _discreet_pull(pull),
        approved=_approved(conn, story.id, cycle, told),
        sprint=sprints.get(conn, story.sprint_id).number if story.sprint_id else None,
        html_url=html_url,
    )


def _explanation(conn: sqlite3.Connection, story_id: str, status: StoryStatus) -> Explanation:
    if status in _SAID_BY_STATE:
        return Explanation(sentence="")
    return explained(story_facts(conn, story_id, now=_LATER, runs=True, why=_nothing_known))


def _approved(
    conn: sqlite3.Connection, story_id: str, cycle: Cycle | None, told: _Discreet
) -> tuple[str, ...]:
    """Who agreed to the merge of what is there now: an agreement to what was sent back is none."""
    if cycle is None or cycle.state not in (CycleState.COMMIT, CycleState.DONE):
        return ()
    given = [
        one
        for one in approvals.of_story(conn, story_id)
        if one.kind is ApprovalKind.MERGE and one.state is ApprovalState.APPROVED and one.answered_at
    ]
    by_rules = events.latest(conn, story_id=story_id, kinds=(EventKind.AUTO_APPROVED,), limit=1)
    last = given[-1] if given else None
    if last is not None and (not by_rules or by_rules[-1].at <= (last.answered_at or by_rules[-1].at)):
        return (told.person(last.answered_by or ""),)
    return ("Orchard's risk rules",) if by_rules else ()


class _Discreet:
    """Texts without secrets and without people's ids; whoever has a name in Orchard is called by it."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def text(self, text: str) -> str:
        return _ACTOR.sub(lambda match: self.person(match[0]), known_secrets.text(text))

    def person(self, actor: str) -> str:
        kind, _, name = actor.partition(":")
        if kind == "discord":
            user = users.by_person(self._conn, name)
            return user.username if user is not None else "somebody in Discord"
        return {"cli": "the command line", "shell": "the shell", "": "somebody"}.get(actor) or name or kind


def discreet(story: Story) -> Story:
    """Its words without secrets that this process knows."""
    criteria = tuple(map(known_secrets.text, story.acceptance_criteria))
    title, body = known_secrets.text(story.title), known_secrets.text(story.body)
    labels = tuple(map(known_secrets.text, story.labels))
    return replace(story, title=title, body=body, acceptance_criteria=criteria, labels=labels)


def _discreet_pull(pull: Pull) -> Pull:
    checks = tuple(replace(check, name=known_secrets.text(check.name)) for check in pull.checks)
    return replace(pull, checks=checks)


def _nothing_known(story_id: str) -> str:
    """What the scheduler thinks at the moment is no news for an issue."""
    return ""
