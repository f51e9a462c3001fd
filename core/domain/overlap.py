"""PURE: which stories at work change the same files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """A story whose cycle is not over, with what its worktree has changed so far."""

    story_id: str
    files: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    first: str  # story id, the one that began earlier
    later: str
    files: tuple[str, ...]  # sorted, never empty


def find_overlaps(at_work: Sequence[AtWork]) -> tuple[Overlap, ...]:
    """Every pair of stories with a file in common. `at_work` is in the order in which they began; the pairs
    come in that order too, by the later story, then by the first."""
    touching: dict[str, list[int]] = defaultdict(list)
    for place, story in enumerate(at_work):
        for path in story.files:
            touching[path].append(place)
    shared: dict[tuple[int, int], list[str]] = defaultdict(list)
    for path, places in touching.items():
        for first, later in combinations(places, 2):
            shared[later, first].append(path)
    return tuple(
        Overlap(
            first=at_work[first].story_id,
            later=at_work[later].story_id,
            files=tuple(sorted(shared[later, first])),
        )
        for later, first in sorted(shared)
    )


def touching(at_work: Sequence[AtWork], files: Collection[str]) -> tuple[str, ...]:
    """The stories, in their order, that change one of these files."""
    wanted = frozenset(files)
    return tuple(story.story_id for story in at_work if not wanted.isdisjoint(story.files))


def untold(overlap: Overlap, told: Collection[str]) -> bool:
    """Whether the pair has a file in common that people were not told of."""
    return not frozenset(overlap.files) <= frozenset(told)
