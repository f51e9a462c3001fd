"""What a person can be called for, and what they asked to hear."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Ping(StrEnum):
    """Everything else is told without calling anybody."""

    DONE = "done"  # a story was merged, a sprint is finished
    BLOCKED = "blocked"  # it goes no further by itself
    QUESTION = "question"  # people are asked to decide


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    person: str  # an actor, "discord:<id>"
    project: str  # "" means every project
    kind: Ping
