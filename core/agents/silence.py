"""How long an agent has shown nothing. A tool at work and a question to people are no silence."""

from __future__ import annotations

import asyncio
import os
import time

from core.agents.conversation import Conversation
from core.agents.turn import OnStalled, Turn
from core.isolation.contain import stat_fields

_BUSY = 0.05  # of one processor
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Silence:
    """Tells people once a silence. `pid` is the first process of the agent's tree."""

    def __init__(self, turn: Turn, talk: Conversation, pid: int, on_stalled: OnStalled | None) -> None:
        self._turn = turn
        self._talk = talk
        self._pid = pid
        self._on_stalled = on_stalled
        self._since = 0.0  # which silence the rest is about
        self._told = False
        self._seen: tuple[float, float] | None = None  # when, and the processor seconds until then

    def seconds(self) -> float:
        """Of this silence so far; 0 when there is none."""
        talk = self._talk
        if not talk.prompting or talk.asking or talk.open_tools:
            return 0.0
        return time.monotonic() - talk.last_heard

    def next_look(self) -> float:
        """Seconds until something is to be done about this silence, if it lasts."""
        turn, silent = self._turn, self.seconds()
        marks = (self._half(), turn.stall_seconds, turn.stall_cancel_seconds)
        return min((mark - silent for mark in marks if mark > silent), default=0.0)

    async def look(self) -> None:
        """Note what there is to note now, and tell people when it is time."""
        silent = self.seconds()
        if self._since != self._talk.last_heard:
            self._since, self._told, self._seen = self._talk.last_heard, False, None
        if self._seen is None and silent >= self._half():
            self._seen = (time.monotonic(), await asyncio.to_thread(processor_seconds, self._pid))
        if not self._told and silent >= self._turn.stall_seconds:
            self._told = True
            if self._on_stalled is not None:
                await self._on_stalled(silent, await self.doing())

    async def doing(self) -> str:
        """What it did last and whether its processes are at work, for people."""
        if self._seen is None:
            return self._talk.last_sign
        then, before = self._seen
        used = await asyncio.to_thread(processor_seconds, self._pid) - before
        seconds = time.monotonic() - then
        if used >= _BUSY * seconds and used > 0:
            return (
                f"{self._talk.last_sign}; working silently, its processes used {used:.1f} s of processor time"
            )
        return f"{self._talk.last_sign}; its processes use no processor time"

    def _half(self) -> float:
        return min(self._turn.stall_seconds, self._turn.stall_cancel_seconds) / 2


def processor_seconds(pid: int) -> float:
    """Of `pid` and all below it, with the children that they have waited for."""
    fields = {
        int(name): found
        for name in os.listdir("/proc")  # noqa: PTH208 - names, thousands of them
        if name.isdigit() and (found := stat_fields(int(name)))
    }
    children: dict[int, list[int]] = {}
    for each, stat in fields.items():
        children.setdefault(int(stat[1]), []).append(each)
    ticks, queue = 0, [pid]
    while queue:
        each = queue.pop()
        if each in fields:
            ticks += sum(int(field) for field in fields[each][11:15])  # utime, stime, cutime, cstime
            queue += children.get(each, ())
    return ticks / _TICKS_A_SECOND
