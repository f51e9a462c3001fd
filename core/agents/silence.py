"""How long an agent has shown nothing. A tool at work and a question to people are no silence, nor is a model
call that the gateway holds; one that is refused again and again is worse than silence."""

from __future__ import annotations

import asyncio
import os
import time

from core.agents.adapter import Signs
from core.agents.model_traffic import Traffic, ask
from core.agents.turn import OnStalled, Turn
from core.isolation.contain import stat_fields

_BUSY = 0.05  # of one processor
_REFUSED = 5  # calls in a row, and not a word about it
_ASK_SECONDS = 10.0  # between two questions to the gateway
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Silence:
    """Tells people once a silence. `pid` is the first process of the agent's tree."""

    def __init__(self, turn: Turn, talk: Signs, pid: int, on_stalled: OnStalled | None) -> None:
        self._turn = turn
        self._talk = talk
        self._pid = pid
        self._on_stalled = on_stalled
        self._since = 0.0  # which silence the rest is about
        self._told = False
        self._seen: tuple[float, float] | None = None  # when, and the processor seconds until then
        self._traffic: Traffic | None = None  # of this silence, where the gateway said
        self._next_question = 0.0
        self._held_since: float | None = None
        self._held_before = 0.0

    def seconds(self) -> float:
        """Of this silence so far; 0 when there is none."""
        talk = self._talk
        if not talk.prompting or talk.asking or talk.open_tools or self._held_since is not None:
            return 0.0
        return time.monotonic() - talk.last_heard

    @property
    def held_seconds(self) -> float:
        """How long the gateway has kept the turn's calls waiting, all in all."""
        now = time.monotonic() - self._held_since if self._held_since is not None else 0.0
        return self._held_before + now

    def refused(self) -> tuple[int, str] | None:
        """How many model calls in a row were refused in this silence, and how the last; None while few."""
        traffic = self._traffic
        if traffic is None or traffic.refused_in_a_row < _REFUSED or not self.seconds():
            return None
        return traffic.refused_in_a_row, traffic.last_refusal or "it did not say why"

    def stopped(self) -> Traffic | None:
        """What the gateway says when the agent is silent since its provider takes no more work: some agents
        wait for as long as the provider said, be it hours."""
        traffic = self._traffic
        if traffic is None or not traffic.stopped or traffic.in_flight or not self.seconds():
            return None
        return traffic

    def next_look(self) -> float:
        """Seconds until something is to be done about this silence, if it lasts."""
        turn, silent = self._turn, self.seconds()
        marks = (self._half(), turn.stall_seconds, turn.stall_cancel_seconds)
        look = min((mark - silent for mark in marks if mark > silent), default=0.0)
        if self._held_since is not None:
            look = self._pause()
        if turn.model is not None and silent:
            look = min(look, max(self._next_question - time.monotonic(), 0.01))
        return look

    async def look(self) -> None:
        """Note what there is to note now, and tell people when it is time."""
        await self._ask_gateway()
        silent = self.seconds()
        if self._since != self._talk.last_heard:
            self._since, self._told, self._seen = self._talk.last_heard, False, None
            self._traffic, self._next_question = None, time.monotonic() + self._pause()
        if self._seen is None and silent >= self._half():
            self._seen = (time.monotonic(), await asyncio.to_thread(processor_seconds, self._pid))
        if not self._told and silent >= self._turn.stall_seconds:
            self._told = True
            if self._on_stalled is not None:
                await self._on_stalled(silent, await self.doing())

    async def _ask_gateway(self) -> None:
        """Now and then, while it is silent: a call that is held stops the silence until it goes on."""
        model, now = self._turn.model, time.monotonic()
        quiet = self._since == self._talk.last_heard and (self.seconds() or self._held_since is not None)
        if model is None or (quiet and now < self._next_question):
            return
        if quiet:
            self._traffic = await ask(model) or self._traffic
            self._next_question = time.monotonic() + self._pause()
        held = bool(quiet and self._traffic is not None and self._traffic.held)
        if held and self._held_since is None:
            self._held_since = now
        elif not held and self._held_since is not None:
            self._held_before += now - self._held_since
            self._held_since = None
            if quiet:
                self._talk.heard()  # the agent's silence begins when its call goes on

    def _pause(self) -> float:
        return min(_ASK_SECONDS, self._half() / 2)

    async def doing(self) -> str:
        """What it did last, and what it and its model are at now, for people."""
        sign = await self._own_doing()
        if self._traffic is not None and self._traffic.in_flight:
            return f"{sign}; its model has not answered its last call yet"
        return sign

    async def _own_doing(self) -> str:
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
