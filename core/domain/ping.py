"""What a person can be called for."""

from __future__ import annotations

from enum import StrEnum


class Ping(StrEnum):
    """Everything else is told without calling anybody."""

    DONE = "done"  # a story was merged, a sprint is finished
    BLOCKED = "blocked"  # it goes no further by itself
    QUESTION = "question"  # people are asked to decide
