"""PURE: until when a silence lasts, as people type it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from core.errors import InvalidInput

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_MORNING = 8


def parse_silence(text: str, now: datetime) -> datetime:
    """`30m`, `1h`, `2d`, or `tomorrow`: eight in the morning, in the zone of this machine. Raises
    InvalidInput."""
    said = text.strip().lower()
    if said == "tomorrow":
        there = now.astimezone()
        return (there + timedelta(days=1)).replace(hour=_MORNING, minute=0, second=0, microsecond=0)
    found = re.fullmatch(r"([0-9]{1,5}) ?([mhd])", said)
    if found is None or int(found[1]) == 0:
        raise InvalidInput(f"'{text[:40]}' is no time.", hint="Say 30m, 1h, 2d or tomorrow.")
    return now + int(found[1]) * _UNITS[found[2]]
