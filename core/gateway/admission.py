"""Whether a call may be sent now: it is held while a budget or a provider does not let it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Container
from contextlib import suppress
from datetime import UTC, datetime

from core.domain.budget import Account, Amounts, Standing
from core.gateway.accounts import Accounts
from core.gateway.back_off import CLEAR, HOLDS_BACK, BackOff, answered, ask, refused
from core.gateway.complaint import Complained, Complaint
from core.gateway.contract import Provider, ProviderHold, Reached, Slowed, Times
from core.gateway.rate import Buckets, Rates
from core.gateway.refusal import HOLDS, Refusal
from core.gateway.runs import Run

_TOLD_AGAIN_SECONDS = 60.0  # the same hold is news again after so long
_SLOW_SECONDS = 2.0  # a shorter wait is not worth a word
_CLOSED = Complaint(status=403, message="This run of Orchard has ended; its token is no longer good.")

Tell = Callable[[str, object], None]


class Change:
    """Wakes all who wait, each time something changed that they may wait for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def within(self, seconds: float) -> None:
        """Returns at the next change, or after so long."""
        event = self._event
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.0)):
                await event.wait()


class Admission:
    def __init__(self, accounts: Accounts, times: Times, tell: Tell) -> None:
        """`tell(method, body)` speaks to the control plane."""
        self.accounts = accounts
        self._times = times
        self._tell = tell
        self._states: dict[tuple[str, str], BackOff] = {}  # by provider and key
        self._why: dict[tuple[str, str], Refusal] = {}
        self._changes: dict[tuple[str, str], Change] = {}
        self._money = Change()
        self._buckets = Buckets()
        self._reached: dict[tuple[str, Account], float] = {}  # when it was told
        self._slowed: dict[str, float] = {}  # by run, likewise
        self._held: dict[tuple[str, str, str], tuple[datetime | None, float]] = {}

    async def enter(self, run: Run, provider: Provider, call_id: str, estimate: Amounts) -> float:
        """Returns when the call may be sent, and its estimate is reserved; seconds that it was held.

        Raises Complained when the run is closed, or when it was held for as long as agents bear.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + self._times.hold
        try:
            while True:
                await self._budget(run, call_id, until)
                await self._rate(run, call_id, until)
                await self._turn(run, provider, call_id, until)
                # Nothing happens between this and its reservation; while it waited its turn, others went.
                start, now = run.start, loop.time()
                if self._buckets.wait(start.project, now)[0] > 0:
                    continue
                if self.accounts.stop(start.run_id, datetime.now(UTC)) is None:
                    self.accounts.reserve(start.run_id, call_id, estimate)
                    self._buckets.reserve(call_id, start.project, estimate.tokens)
                    return now - began
        finally:
            run.waits.pop(call_id, None)

    def leave(self, call_id: str, took: Amounts) -> None:
        """The call has ended."""
        self.accounts.settle(call_id, took)
        self._buckets.settle(call_id, took.tokens, asyncio.get_running_loop().time())
        self._money.tell()

    def set_rates(self, rates: Rates) -> None:
        self._buckets.set(rates, asyncio.get_running_loop().time())
        self._money.tell()

    def changed(self) -> None:
        """Accounts were set, or a run was closed."""
        self._reached.clear()
        self._money.tell()
        for change in self._changes.values():
            change.tell()

    def lift(self, providers: Container[str]) -> None:
        """A person says that these can be asked again: nobody waits any longer for what they said."""
        for key in [key for key in self._states if key[0] in providers]:
            self._states[key] = CLEAR
            self._change(key).tell()
        self._held = {known: told for known, told in self._held.items() if known[0] not in providers}

    def accepted(self, provider: Provider, sent_at: float) -> None:
        key = (provider.name, provider.key_id)
        state = self._states.get(key, CLEAR)
        after = answered(state, sent_at=sent_at)
        if after != state:
            self._states[key] = after
            self._change(key).tell()

    def refused(self, provider: Provider, refusal: Refusal, sent_at: float) -> None:
        """All other calls with the same key wait as the provider said."""
        key = (provider.name, provider.key_id)
        now = asyncio.get_running_loop().time()
        wait = refusal.retry_after_seconds
        if refusal.until is not None:
            wait = max((refusal.until - datetime.now(UTC)).total_seconds(), wait or 0.0)
        self._states[key] = refused(
            self._states.get(key, CLEAR),
            refusal.kind,
            sent_at=sent_at,
            now=now,
            jitter=random.random(),  # noqa: S311 - spreads calls, keeps no secret
            retry_after_seconds=wait,
        )
        if refusal.kind in HOLDS_BACK:
            self._why[key] = refusal
        self._change(key).tell()
        if refusal.kind in HOLDS:
            self._tell_hold(provider, refusal, now)

    def waits(self) -> dict[str, float]:
        now = asyncio.get_running_loop().time()
        return {
            name: round(state.until - now, 3)
            for (name, _), state in self._states.items()
            if state.until > now
        }

    async def _budget(self, run: Run, call_id: str, until: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if run.closed:
                raise Complained(_CLOSED)
            stop = self.accounts.stop(run.start.run_id, datetime.now(UTC))
            if stop is None:
                return
            self._say_reached(run, stop)
            if (left := until - loop.time()) <= 0:
                sentence = ". ".join(stop.stops)
                raise Complained(Complaint(status=429, message=f"{sentence}.", retry_after=30))
            _note_wait(run, call_id, "budget", loop.time())
            await self._money.within(min(left, 60.0))  # a day may have ended

    async def _rate(self, run: Run, call_id: str, until: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if run.closed:
                raise Complained(_CLOSED)
            wait, whose = self._buckets.wait(run.start.project, loop.time())
            if wait <= 0:
                self._say_slowed(run, "")
                return
            sentence = f"{self._buckets.worded(whose)}, and they are used up"
            if (left := until - loop.time()) <= 0:
                raise Complained(Complaint(status=429, message=f"{sentence}.", retry_after=wait))
            if wait >= _SLOW_SECONDS:
                self._say_slowed(run, sentence)
            _note_wait(run, call_id, "rate", loop.time())
            await self._money.within(min(left, wait))

    async def _turn(self, run: Run, provider: Provider, call_id: str, until: float) -> None:
        loop = asyncio.get_running_loop()
        key = (provider.name, provider.key_id)
        while True:
            if run.closed:
                raise Complained(_CLOSED)
            state, wait = ask(self._states.get(key, CLEAR), loop.time())
            if wait <= 0:
                self._states[key] = state
                return
            left = until - loop.time()
            if state.until - loop.time() > left or left <= 0:
                why = self._why.get(key)
                said = "" if why is None else f": {why.message.replace(provider.key, '[key]')}"
                raise Complained(
                    Complaint(
                        status=429,
                        message=f"{provider.name} takes no calls for {max(wait, 1):.0f} s more{said}",
                        retry_after=wait,
                    ),
                    why,
                )
            _note_wait(run, call_id, "back-off", loop.time())
            await self._change(key).within(min(wait, left))

    def _change(self, key: tuple[str, str]) -> Change:
        return self._changes.setdefault(key, Change())

    def _say_reached(self, run: Run, stop: Standing) -> None:
        known, now = (run.start.run_id, stop.account), asyncio.get_running_loop().time()
        # Again while the call waits: whoever was to stop the turn may have missed it.
        if stop.reached and now - self._reached.get(known, float("-inf")) >= _TOLD_AGAIN_SECONDS:
            self._reached[known] = now
            sentence = ". ".join(stop.stops)
            said = Reached(run_id=run.start.run_id, account=stop.account, sentence=sentence)
            self._tell("reached", said)

    def _say_slowed(self, run: Run, sentence: str) -> None:
        now, known = asyncio.get_running_loop().time(), run.start.run_id
        told_at = self._slowed.get(known)
        if not sentence and told_at is not None:
            del self._slowed[known]
        elif sentence and (told_at is None or now - told_at >= _TOLD_AGAIN_SECONDS):
            self._slowed[known] = now
        else:
            return
        self._tell("slowed", Slowed(run_id=known, sentence=sentence))

    def _tell_hold(self, provider: Provider, refusal: Refusal, now: float) -> None:
        known = (provider.name, provider.key_id, refusal.kind.value)
        until, told_at = self._held.get(known, (None, float("-inf")))
        if until == refusal.until and now - told_at < _TOLD_AGAIN_SECONDS:
            return
        self._held[known] = (refusal.until, now)
        hold = ProviderHold(
            provider=provider.name,
            key_id=provider.key_id,
            kind=refusal.kind,
            until=refusal.until,
            reason=refusal.message.replace(provider.key, "[key]"),
        )
        self._tell("held", hold)


def _note_wait(run: Run, call_id: str, why: str, now: float) -> None:
    run.waits[call_id] = (why, run.waits.get(call_id, (why, now))[1])
