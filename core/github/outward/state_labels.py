"""The label that shows how a story stands. PURE.

At most one of ours is on an issue; a story of the backlog has none, so that thousands of issues that only
wait cost nothing. Labels of others are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.story import StoryStatus

PREFIX = "orchard: "


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLabel:
    name: str
    color: str  # six hexadecimal digits
    description: str  # at most 100 characters


def _label(word: str, color: str, description: str) -> StateLabel:
    return StateLabel(name=f"{PREFIX}{word}", color=color, description=description)


PLANNED = _label("planned", "c5def5", "Chosen for Orchard's next sprint")
AT_WORK = _label("at work", "1d76db", "An agent works on it, or will soon")
IN_REVIEW = _label("in review", "fbca04", "Waits for a review, an approval or the checks of its pull request")
NEEDS_HELP = _label("needs help", "d93f0b", "Blocked or stopped: a person is needed")
DONE = _label("done", "0e8a16", "Merged by Orchard")
ENDED = _label("not done", "e4e669", "Orchard's work on it was ended without a merge")

ALL = (PLANNED, AT_WORK, IN_REVIEW, NEEDS_HELP, DONE, ENDED)

_OF = {
    StoryStatus.PLANNED: PLANNED,
    StoryStatus.WAITING: AT_WORK,
    StoryStatus.RUNNING: AT_WORK,
    StoryStatus.AWAITING_APPROVAL: IN_REVIEW,
    StoryStatus.BLOCKED: NEEDS_HELP,
    StoryStatus.STOPPED: NEEDS_HELP,
    StoryStatus.TAKEN: AT_WORK,
    StoryStatus.DONE: DONE,
    StoryStatus.SKIPPED: ENDED,
    StoryStatus.ABORTED: ENDED,
}


def label_of(status: StoryStatus, *, pull_waits: bool = False) -> StateLabel | None:
    """`pull_waits`: its pull request is out, and waits for checks or reviews."""
    if pull_waits and status is StoryStatus.WAITING:
        return IN_REVIEW
    return _OF.get(status)
