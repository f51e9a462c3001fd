"""What was found of one thing, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.errors import OrchardError


class State(StrEnum):
    OK = "ok"
    NOTE = "note"  # works, but its owner should know
    MISSING = "missing"  # must be mended before the project can work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`found` and `mend` are sentences or parts of one; `mend` is empty where there is nothing to do."""

    topic: str  # "checkout" | "environment" | "tests" | "isolation" | "agent" | "prompts"
    state: State
    found: str
    mend: str = ""


def fault(topic: str, error: OrchardError) -> Finding:
    said = " ".join(part for part in (error.message, error.why) if part)
    return Finding(topic=topic, state=State.MISSING, found=said, mend=error.hint)
