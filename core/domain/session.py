"""What a turn's session went on from, and how a turn ended, as rows and people know it."""

from __future__ import annotations

from enum import StrEnum


class How(StrEnum):
    RESUMED = "resumed"  # the agent took its session up again
    LOADED = "loaded"  # likewise, from what it had stored
    FORKED = "forked"  # the agent branched off another story's session
    SEEDED = "seeded"  # a new session, told in short what was said and done before
    FRESH = "fresh"  # a new session with nothing before it
    NONE = "none"  # it came to no session

    @property
    def words(self) -> str:
        """For people."""
        return _HOW[self]


_HOW = {
    How.RESUMED: "took its session up again",
    How.LOADED: "loaded its session",
    How.FORKED: "branched off another story's session",
    How.SEEDED: "new session, told of what was before",
    How.FRESH: "new session",
    How.NONE: "came to no session",
}


class TurnOutcome(StrEnum):
    IDLE = "idle"  # the agent said that it was done
    BLOCKED = "blocked"  # people had to mend something first
    LIMITED = "limited"  # its provider took no more work
    FAILED = "failed"
    CANCELLED = "cancelled"  # Orchard or a person ended it
    CUT = "cut"  # its worker or Orchard itself ended in the middle: nothing was reported
