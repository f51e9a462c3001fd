"""What an issue, as GitHub says it is, means for the story that it is or should be. PURE.

Decided anew from what stands there and what was seen last, so that what comes late, twice or out of order
changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from core.domain.github import IssueLink
from core.domain.lifecycles import CycleState
from core.domain.story import OVER, Priority, Story, StoryState
from core.domain.wording import LINK_CHARACTERS, cleaned
from core.github.api.facts import IssueFacts
from core.github.inward import consent
from core.github.inward.issue_labels import Marks, parse_marks
from core.github.inward.issue_text import Seen, Words, parse_seen, parse_words, seen_of
from core.github.markers import STORY, name_in

_LOGIN_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """By what issues become stories. None: not by that."""

    label: str | None
    milestone: str | None  # its title
    assignee: str | None  # a login
    me: str  # the login that Orchard acts as

    def takes(self, issue: IssueFacts) -> bool:
        labels = {label.casefold() for label in issue.labels}
        milestone = issue.milestone.title.strip().casefold() if issue.milestone is not None else ""
        return (
            (self.label is not None and self.label.casefold() in labels)
            or (self.milestone is not None and self.milestone.strip().casefold() == milestone != "")
            or (self.assignee is not None and is_same_login(self.assignee, issue.assignees))
        )

    def describe(self) -> str:
        """What an issue lacks that is no story any more."""
        ways = [f"the label {self.label}"] if self.label is not None else []
        ways += [f"the milestone {self.milestone}"] if self.milestone is not None else []
        ways += [f"{self.assignee} among its assignees"] if self.assignee is not None else []
        return " or ".join(ways) or "what makes it a story"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The story that an issue is."""

    link: IssueLink
    story: Story

    @property
    def asked(self) -> bool:
        """Whether the issue, when it was seen last, was to be a story."""
        seen = parse_seen(self.link.seen)
        return self.link.is_open and (seen is None or seen.wanted)

    @property
    def was_let_go(self) -> bool:
        """People took away what made it a story, while it was open: now they want it as it is."""
        seen = parse_seen(self.link.seen)
        return self.link.is_open and seen is not None and not seen.wanted and not seen.held


class Act(StrEnum):
    IGNORE = "ignore"  # nothing of Orchard's, or older than what was taken in
    ADOPT = "adopt"  # Orchard made it of a story, and did not come to note that
    ENTER = "enter"  # a new story
    REENTER = "reenter"  # its story is over, and it is wanted again: a new one
    FOLLOW = "follow"  # of the story that it is: what has changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`changes`: fields of the story, for a new one all. `priority` None: as it is, or normal for a new one.
    `end`: why its story is not wanted any more; "": it is. `seen`: what is to be kept as seen. `holds`: its
    words were changed and wait for a person, who has to be told."""

    act: Act
    seen: Seen = field(default_factory=Seen)
    changes: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority | None = None
    end: str = ""
    moved: bool = False  # to another milestone, or out of one
    holds: bool = False


IGNORED = Decision(act=Act.IGNORE)


def decide(
    issue: IssueFacts, wish: Wish, known: Known | None, *, may_edit: bool, adoptable: bool = False
) -> Decision:
    """`may_edit`: whoever can have changed its words may do so (core.github.inward.consent). `adoptable`: its
    marker names a story of the project that is no issue yet."""
    if issue.is_pull:
        return IGNORED
    words = parse_words(issue.title, issue.body, number=issue.number)
    marks = parse_marks(issue.labels, own=wish.label)
    wanted = wish.takes(issue) or (known is not None and is_own(issue, known.story.id, wish.me))
    seen = seen_of(
        words,
        marks,
        milestone=issue.milestone.number if issue.milestone is not None else None,
        wanted=wanted,
    )
    asks = issue.is_open and wanted
    if known is None:
        if adoptable and is_same_login(wish.me, (issue.author.login,)):
            return Decision(act=Act.ADOPT, seen=seen)
        return _entered(Act.ENTER, issue, words, marks, seen) if asks else IGNORED
    if known.link.updated_at and issue.updated_at < known.link.updated_at:
        return IGNORED
    if known.story.state in OVER:
        if not asks or known.asked:
            return Decision(act=Act.FOLLOW, seen=seen)
        if may_edit or known.was_let_go or not _waits(known, words):
            return _entered(Act.REENTER, issue, words, marks, seen)
        held = replace(
            _held(seen, known, words), wanted=False
        )  # so that it is wanted anew once it is accepted
        return Decision(act=Act.FOLLOW, seen=held, holds=_is_news(known, held))
    return _followed(issue, wish, known, words, marks, seen, may_edit=may_edit)


def is_doubtful(issue: IssueFacts, known: Known | None) -> bool:
    """Whether who may change its words decides what becomes of it."""
    if known is None or issue.is_pull:
        return False
    words = parse_words(issue.title, issue.body, number=issue.number)
    return bool(consent.changed_since(parse_seen(known.link.seen), words, known.story))


def _waits(known: Known, words: Words) -> bool:
    before = parse_seen(known.link.seen)
    return consent.waits(before, words, consent.changed_since(before, words, known.story))


def _held(now: Seen, known: Known, words: Words) -> Seen:
    return consent.held(now, parse_seen(known.link.seen), words, known.story)


def _is_news(known: Known, held: Seen) -> bool:
    before = parse_seen(known.link.seen)
    return before is None or before.held != held.held


def _entered(act: Act, issue: IssueFacts, words: Words, marks: Marks, seen: Seen) -> Decision:
    changes: dict[str, Any] = {
        "title": words.title,
        "body": words.body,
        "acceptance_criteria": words.acceptance_criteria,
        "labels": marks.labels,
        "links": (issue.url,) if _is_link(issue.url) else (),
    }
    if marks.estimate is not None:
        changes["estimate"] = marks.estimate
    return Decision(act=act, seen=seen, changes=changes, priority=marks.priority)


def _followed(
    issue: IssueFacts, wish: Wish, known: Known, words: Words, marks: Marks, now: Seen, *, may_edit: bool
) -> Decision:
    """What GitHub changed since it was seen; what Orchard changed meanwhile stays where GitHub did not."""
    before, story = parse_seen(known.link.seen), known.story
    changes: dict[str, Any] = {}
    if not may_edit and _waits(known, words):
        now = _held(now, known, words)
    else:
        changes = {name: getattr(words, name) for name in consent.changed_since(before, words, story)}
    priority = None
    if before is not None:
        if before.labels != now.labels and marks.labels != story.labels:
            changes["labels"] = marks.labels
        if before.estimate != now.estimate and marks.estimate != story.estimate:
            changes["estimate"] = marks.estimate
        if before.priority != now.priority:
            priority = marks.priority or Priority.NORMAL
    return Decision(
        act=Act.FOLLOW,
        seen=now,
        changes=changes,
        priority=priority if priority is not story.priority else None,
        end=_why_ended(issue, wish, wanted=now.wanted),
        moved=before is not None and before.milestone != now.milestone,
        holds=bool(now.held) and _is_news(known, now),
    )


def _why_ended(issue: IssueFacts, wish: Wish, *, wanted: bool) -> str:
    if not issue.is_open:
        how = {"not_planned": " as not planned", "duplicate": " as a duplicate"}.get(issue.state_reason, "")
        return f"Its issue #{issue.number} was closed{how}."
    return "" if wanted else f"Its issue #{issue.number} no longer has {wish.describe()}."


class End(StrEnum):
    """What becomes of a story whose issue wants it no more."""

    NOTHING = "nothing"  # it is over
    REMOVE = "remove"
    UNPLAN = "unplan"  # out of the sprint that has not started, then removed
    SKIP = "skip"
    WAIT = "wait"  # it is about to go in: GitHub closes an issue itself when that happens


def how_to_end(state: StoryState, cycle: CycleState | None, *, given_up: bool = False) -> End:
    """`given_up`: the issue was closed as not planned, or it is gone; so not by a merge."""
    if state in OVER:
        return End.NOTHING
    if state is StoryState.PLANNED:
        return End.UNPLAN
    if state is not StoryState.ACTIVE:
        return End.REMOVE
    return End.WAIT if cycle is CycleState.COMMIT and not given_up else End.SKIP


def is_given_up(issue: IssueFacts) -> bool:
    return not issue.is_open and issue.state_reason in ("not_planned", "duplicate")


def is_own(issue: IssueFacts, story_id: str, me: str) -> bool:
    """Whether Orchard made the issue of that story; then no label makes it one. Anybody can copy its mark."""
    return is_same_login(me, (issue.author.login,)) and name_in(issue.body, STORY) == story_id


def is_same_login(login: str, others: tuple[str, ...]) -> bool:
    return login.casefold() in {other.casefold() for other in others}


def actor_of(login: str) -> str:
    """Who did it, for the record. Not necessarily a person whom Orchard knows."""
    said = "".join(cleaned(login).split())[:_LOGIN_CHARACTERS]
    return f"github:{said or 'ghost'}"


def told_of_edit(number: int, changes: Mapping[str, Any]) -> str:
    """To the agent of a story at work; "" when nothing of it is in the words."""
    parts = []
    if "title" in changes:
        parts.append(f"Title: {changes['title']}")
    if "body" in changes:
        parts.append(f"Text:\n{changes['body'] or '(empty)'}")
    if "acceptance_criteria" in changes:
        items = "\n".join(f"- {each}" for each in changes["acceptance_criteria"]) or "(none)"
        parts.append(f"Acceptance criteria:\n{items}")
    if not parts:
        return ""
    return "\n\n".join([f"The story was changed in its issue #{number}. It now says:", *parts])


def _is_link(url: str) -> bool:
    return url.startswith(("https://", "http://")) and len(url) <= LINK_CHARACTERS and len(url.split()) == 1
