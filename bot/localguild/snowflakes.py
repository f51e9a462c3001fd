"""Ids as Discord makes them: 64 bits, increasing, with the time of birth in the upper 42."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)  # Discord's first second
_WORKER_AND_PROCESS = (1 << 17) | (0 << 12)
_INCREMENT_BITS = 0xFFF


class Snowflakes:
    """Makes ids that are unique and strictly increasing within one server."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._milliseconds = 0
        self._increment = 0

    def new(self) -> int:
        milliseconds = (self._now() - _EPOCH) // timedelta(milliseconds=1)
        if milliseconds > self._milliseconds:
            self._milliseconds, self._increment = milliseconds, 0
        elif self._increment < _INCREMENT_BITS:
            self._increment += 1
        else:  # 4096 ids within one millisecond, or a clock that went back: borrow from the next one
            self._milliseconds, self._increment = self._milliseconds + 1, 0
        return (self._milliseconds << 22) | _WORKER_AND_PROCESS | self._increment


def born_at(snowflake: int) -> datetime:
    """When the id was made (aware, UTC, to the millisecond)."""
    return _EPOCH + timedelta(milliseconds=snowflake >> 22)
