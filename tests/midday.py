"""For tests of what is counted by the day: their day is far from its end, whenever they are run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_EVERY_DAY = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def midday_zone() -> str:
    """A time zone where it is now between 12:00 and 13:00."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"  # as POSIX has it: Etc/GMT-2 is two hours ahead of UTC


def midday_hours() -> dict[str, Any]:
    """A project's `work_hours`, by whose time zone its days are counted, too."""
    return {"timezone": midday_zone(), "start": "06:00", "end": "18:00", "days": list(_EVERY_DAY)}
