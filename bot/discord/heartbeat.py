"""Heartbeats that are timed from before they are sent.

discord.py beats in a thread, which notes the time only when the event loop has told it that the beat is sent.
An answer that the loop reads before the thread wakes, as that of a near gateway or on a busy machine, is then
taken for the answer to the beat before: a latency of the whole interval, which is measured and warned of.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from discord import gateway


class Heartbeat(gateway.KeepAliveHandler):
    def get_payload(self) -> dict[str, Any]:
        self._last_send = time.perf_counter()
        return super().get_payload()


@contextmanager
def timed_heartbeats() -> Iterator[None]:
    """For the connections that begin while the block runs. Process-wide: discord.py has no place for it."""
    kept = gateway.KeepAliveHandler
    gateway.KeepAliveHandler = Heartbeat  # type: ignore[misc]
    try:
        yield
    finally:
        gateway.KeepAliveHandler = kept  # type: ignore[misc]
