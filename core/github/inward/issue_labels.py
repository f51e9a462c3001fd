"""An issue's labels as a story's marks, and a story's marks as labels. PURE."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from core.domain.story import Priority, Story
from core.domain.wording import LABEL_CHARACTERS, LABELS, LARGEST_ESTIMATE, cleaned

STATE_LABEL: Final = "orchard:"  # with what Orchard's own labels begin

_PRIORITY = re.compile(r"(?:prio|priority)\s*[:/=\s-]\s*(.+)", re.IGNORECASE)
_PRIORITIES = {
    "critical": Priority.CRITICAL,
    "urgent": Priority.CRITICAL,
    "highest": Priority.CRITICAL,
    "p0": Priority.CRITICAL,
    "high": Priority.HIGH,
    "p1": Priority.HIGH,
    "normal": Priority.NORMAL,
    "medium": Priority.NORMAL,
    "p2": Priority.NORMAL,
    "low": Priority.LOW,
    "lowest": Priority.LOW,
    "p3": Priority.LOW,
    "p4": Priority.LOW,
}
_BARE_PRIORITIES = frozenset({"critical", "urgent", "p0", "p1", "p2", "p3", "p4"})
_ESTIMATE = re.compile(
    r"(?:estimate|points|story points|sp)\s*[:/=]\s*(\d{1,4})|(\d{1,4})\s*points?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What an issue's labels say. `labels`: those that mean nothing to Orchard itself."""

    labels: tuple[str, ...]
    priority: Priority | None  # None: none says it
    estimate: int | None


def parse_marks(labels: Sequence[str], *, own: str | None) -> Marks:
    """`own`: the label by which issues become stories. Of two priorities the more urgent counts."""
    kept: list[str] = []
    priorities: list[Priority] = []
    estimates: list[int] = []
    for label in labels:
        said = " ".join(cleaned(label).split())
        if not said or is_own_label(said, own):
            continue
        if (priority := priority_of(said)) is not None:
            priorities.append(priority)
        elif (estimate := _estimate_of(said)) is not None:
            estimates.append(estimate)
        elif len(said) <= LABEL_CHARACTERS and said not in kept:
            kept.append(said)
    order = list(Priority)
    return Marks(
        labels=tuple(sorted(kept, key=str.casefold)[:LABELS]),
        priority=min(priorities, key=order.index, default=None),
        estimate=max(estimates, default=None),
    )


def is_own_label(label: str, own: str | None) -> bool:
    folded = label.casefold()
    return folded.startswith(STATE_LABEL) or (own is not None and folded == own.casefold())


def priority_of(label: str) -> Priority | None:
    """ "priority: high", "prio/low", "P1", "critical"."""
    if (match := _PRIORITY.fullmatch(label)) is not None:
        return _PRIORITIES.get(match[1].strip().lower())
    return _PRIORITIES[label.lower()] if label.lower() in _BARE_PRIORITIES else None


def _estimate_of(label: str) -> int | None:
    """ "estimate: 3", "sp: 3", "5 points"."""
    if (match := _ESTIMATE.fullmatch(label)) is None:
        return None
    points = int(match[1] or match[2])
    return points if points <= LARGEST_ESTIMATE else None


def marks_of(story: Story, *, own: str | None) -> Marks:
    """Without the estimate, which stays in Orchard."""
    marks = parse_marks(story.labels, own=own)
    return Marks(labels=marks.labels, priority=story.priority, estimate=None)


def labels_of(marks: Marks) -> tuple[str, ...]:
    """For an issue that has none yet."""
    return (*marks.labels, *_said(marks.priority))


def label_edits(
    there: Sequence[str], marks: Marks, which: Collection[str], *, own: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is to be added to the labels that an issue has, and what removed, for them to say these marks.
    `which`: "labels", "priority" or both. Labels with another meaning stay."""
    add: list[str] = []
    remove: list[str] = []
    theirs = {each: " ".join(cleaned(each).split()) for each in there}
    if "labels" in which:
        have = {said.casefold() for said in theirs.values()}
        want = {each.casefold() for each in marks.labels}
        plain = parse_marks(there, own=own).labels
        add += [each for each in marks.labels if each.casefold() not in have]
        remove += [raw for raw, said in theirs.items() if said in plain and said.casefold() not in want]
    if "priority" in which:
        said_there = {
            raw: found
            for raw, said in theirs.items()
            if not is_own_label(said, own) and (found := priority_of(said)) is not None
        }
        remove += [raw for raw, found in said_there.items() if found is not marks.priority]
        if marks.priority not in said_there.values():
            add += _said(marks.priority)
    return tuple(add), tuple(remove)


def _said(priority: Priority | None) -> tuple[str, ...]:
    """The normal one needs no label."""
    return () if priority in (None, Priority.NORMAL) else (f"priority: {priority}",)
