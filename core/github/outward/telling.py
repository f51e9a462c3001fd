"""What Orchard has said of a story at its issue, and what it wants said there. PURE."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.domain.story import OVER, Story, StoryState, StoryStatus
from core.github.inward.issue_text import Words, issue_body, parse_words, rewritten
from core.github.outward.state_labels import StateLabel
from core.github.quoting import inert, plain

# Of these nothing is said before something was: thousands of issues that only wait cost no request.
SILENT = (StoryState.PROPOSED, StoryState.BACKLOG, StoryState.REMOVED)
_SILENT_STATUSES = frozenset(StoryStatus(state.value) for state in SILENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`github_issues.told`, as JSON. `labels`: those of ours that may be there; after a crash between two of
    them these are both."""

    comment: str = ""  # a digest of the comment's text
    labels: tuple[str, ...] = ()
    closed: bool = False
    milestone: int | None = None  # its number
    over: bool = False  # the story is over and all of it was said: nothing is looked at again

    def to_text(self) -> str:
        values: dict[str, Any] = {"comment": self.comment, "labels": list(self.labels)}
        values |= {"closed": self.closed, "milestone": self.milestone, "over": self.over}
        return json.dumps(values, separators=(",", ":"))


def parse_told(text: str) -> Told:
    """Of "", and of what is no such text: nothing was said."""
    try:
        raw: Any = json.loads(text)
        return Told(
            comment=str(raw["comment"]),
            labels=tuple(map(str, raw["labels"])),
            closed=bool(raw["closed"]),
            milestone=None if raw["milestone"] is None else int(raw["milestone"]),
            over=bool(raw["over"]),
        )
    except (ValueError, KeyError, TypeError):
        return Told()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`comment` None: whatever stands there may stand; `label` likewise where `keeps_label`."""

    comment: str | None
    label: StateLabel | None
    keeps_label: bool
    closed: bool
    milestone: int | None  # None: whatever it has
    over: bool


def speaks(status: StoryStatus, *, comment_there: bool) -> bool:
    """Whether a story in that state has a comment."""
    return comment_there or status not in _SILENT_STATUSES


def digest(comment: str) -> str:
    return hashlib.sha256(comment.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def label_changes(told: Told, wanted: Wanted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """To be added and to be removed."""
    if wanted.keeps_label:
        return (), ()
    want = () if wanted.label is None else (wanted.label.name,)
    if told.labels == want:
        return (), ()
    return want, tuple(name for name in told.labels if name not in want)


def about_to_label(told: Told, add: Sequence[str]) -> Told:
    return replace(told, labels=tuple(dict.fromkeys((*told.labels, *add))))


def is_over(story: Story) -> bool:
    return story.state in OVER


# -- a story's words ---------------------------------------------------------------------------------


def new_issue(words: Words, marker: str) -> tuple[str, str]:
    """Title and body of an issue of a story's own."""
    criteria = tuple(inert(" ".join(each.split())) for each in words.acceptance_criteria)
    told = Words(title=words.title, body=inert(words.body), acceptance_criteria=criteria)
    return plain(words.title, 250), issue_body(told, marker=marker)


def edited(
    title: str, body: str, number: int, words: Words, ours: Sequence[str]
) -> tuple[str | None, str | None]:
    """Title and body of the issue with those of the story's words that are `ours` (title, body,
    acceptance_criteria); None: as it is. Lines that stood there already stay as they were typed."""
    there = parse_words(title, body, number=number)
    new_title = plain(words.title, 250) if "title" in ours and words.title != there.title else None
    wanted = Words(
        title=there.title,
        body=words.body if "body" in ours else there.body,
        acceptance_criteria=words.acceptance_criteria
        if "acceptance_criteria" in ours
        else there.acceptance_criteria,
    )
    if (wanted.body, wanted.acceptance_criteria) == (there.body, there.acceptance_criteria):
        return new_title, None
    made = rewritten(body, wanted)
    kept = set(body.replace("\r\n", "\n").split("\n"))
    lines = [line if line in kept or _is_hidden(line, body) else inert(line) for line in made.split("\n")]
    return new_title, "\n".join(lines)


def _is_hidden(line: str, body: str) -> bool:
    """A marker of the old body, which `rewritten` keeps at the end."""
    return line.startswith("<!--") and line in body
