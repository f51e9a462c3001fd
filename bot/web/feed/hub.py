"""Events, alerts and metrics to all listeners: each is read once, encoded once, and offered to everybody.

Nobody is waited for. A listener joins by reading the store until it has reached the tip, what everybody else
was offered; there is no moment between the two, so nothing is missed and nothing comes twice. Who cannot take
it all is sent how much it missed in the place of it, and who takes nothing at all is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from bot.web.feed import frames
from bot.web.feed.frames import framed
from bot.web.feed.listener import Listener
from bot.web.feed.sight import FrameType, View, sight_of, type_of
from core.bus import Bus
from core.clock import Clock
from core.domain.event import Event
from core.domain.metric import Sample
from core.errors import NotAllowed, OrchardError, Unavailable
from core.monitoring.readings import Readings
from core.store import events, news
from core.store.database import Store

log = logging.getLogger(__name__)

MOST_LISTENERS = 1500
STALLED_SECONDS = 20.0  # that one frame may take
TICK_SECONDS = 1.0
LOGIN_ENDED = 4401  # close codes of our own (RFC 6455, 7.4.2)
NOT_ALLOWED = 4403
_SLICE = 100  # listeners that are offered something before others have their turn
_PAGE = 200  # events, of one read
_READERS = 4  # listeners that catch up at once: the store has others to serve
_PARTING_SECONDS = 5.0
_LOGIN_SECONDS = 2.0  # between two looks at sessions and tokens
_SECONDS_A_LISTENER = 0.02  # of many, seldomer: each session is a read
_RETRY_SECONDS = 1.0

Send = Callable[[bytes], Awaitable[None]]


class _Told:
    """An event as the frames that are made of it, each when it is first asked for."""

    __slots__ = ("_frames", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._frames: dict[bool, bytes] = {}

    def frame(self, *, whole: bool) -> bytes:
        if whole not in self._frames:
            self._frames[whole] = framed(frames.event_frame(self.event, whole=whole))
        return self._frames[whole]


class Hub:
    def __init__(self, store: Store, bus: Bus, readings: Readings, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._readings = readings
        self._clock = clock
        self._listeners: dict[Listener, None] = {}
        self._somebody = asyncio.Event()
        self._tip: int | None = None  # None: nobody is offered anything
        self._tip_known = asyncio.Event()
        self._reading = asyncio.Semaphore(_READERS)
        self._values: dict[tuple[str, object], float] = {}  # of each series, what was told last
        self._snapshots: dict[View, list[bytes]] = {}
        self.dropped = 0  # since the start, because they took nothing

    @property
    def count(self) -> int:
        return len(self._listeners)

    @property
    def slow(self) -> int:
        return sum(each.lagging for each in self._listeners)

    async def run(self) -> None:
        """Until cancelled. Without listeners it rests."""
        async with asyncio.TaskGroup() as group:
            for work in (self._follow_events, self._follow_metrics, self._watch):
                group.create_task(self._while_somebody(work), name=f"feed:{work.__name__}")

    async def _while_somebody(self, work: Callable[[], Awaitable[None]]) -> None:
        said = ""
        while True:
            await self._somebody.wait()
            try:
                await work()
                said = ""
            except OrchardError as error:  # the store is away: metrics go on, and listeners come to no harm
                if said != str(error):
                    said = str(error)
                    log.warning("the feed waits: %s", said)
                await asyncio.sleep(_RETRY_SECONDS)

    @asynccontextmanager
    async def entered(self, listener: Listener) -> AsyncIterator[None]:
        """While the block runs it is one of those that are watched. Raises Unavailable."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise Unavailable(
                "Too many listen already.", why=f"{MOST_LISTENERS} is the most.", hint="Try later."
            )
        self._listeners[listener] = None
        self._somebody.set()
        try:
            yield
        finally:
            listener.live = False
            del self._listeners[listener]
            if not self._listeners:
                self._somebody.clear()

    async def join(self, listener: Listener, send: Send) -> None:
        """Sends what there is since its cursor, then makes it live. Raises what `send` raises, and
        Unavailable."""
        wish, listener.live = listener.wish, False
        await self._tip_known.wait()
        tip = self._tip_now()
        if wish.since is not None:
            listener.cursor = wish.since
        elif listener.cursor < 0:
            listener.cursor = tip
        if listener.cursor > tip:  # of another store, or heard of elsewhere before it was offered to anybody
            last = await self._store.read(news.last_seq)
            listener.cursor = min(listener.cursor, last)
        listener.wish = replace(wish, since=None)  # whatever begins anew from here on goes on from the cursor
        await send(framed(frames.hello(listener.view, listener.cursor)))
        while listener.wished is None and not await self._caught_up(listener, send):
            pass
        if listener.wished is not None:  # said meanwhile, or it may see something else now: it joins again
            return
        # No await from the last look at the tip to here.
        listener.live, listener.lagging = True, False
        listener.skipped.clear()
        self._offer_snapshot(listener)

    async def _caught_up(self, listener: Listener, send: Send) -> bool:
        """One page further, or less where it has another wish."""
        while (tip := self._tip) is None:
            await self._tip_known.wait()
        if listener.cursor >= tip:
            return True
        async with self._reading:
            page = await self._store.read(partial(_page, after=listener.cursor))
        view = listener.view
        for event in page:
            if listener.wished is not None:
                return False
            if view.wants_event(event):
                await send(framed(frames.event_frame(event, whole=view.sight.whole)))
            listener.cursor = event.seq
        if not page:
            listener.cursor = tip  # as of before the read: what came meanwhile was not among its events
        return self._tip is not None and listener.cursor >= self._tip

    def rejoin(self, listener: Listener) -> bytes:
        """It has sent all that it held: from now on it is offered everything again. What it is told of what
        it was not."""
        since = listener.cursor
        listener.cursor = max(since, self._tip_now())
        told = frames.summary(listener.skipped, since=since, cursor=listener.cursor)
        listener.lagging = False
        listener.skipped.clear()
        self._offer_snapshot(listener)
        return framed(told)

    def _tip_now(self) -> int:
        return self._tip or 0

    # -- events ----------------------------------------------------------------------------------------

    async def _follow_events(self) -> None:
        """By the store, in its order; the bus only says when to look, so what it drops is not missed."""
        with self._bus.subscribe() as heard:
            if self._tip is None:
                self._tip = await self._store.read(news.last_seq)
                self._tip_known.set()
            await self._tell_events()  # what came while the store was away
            async for event in heard:
                if not self._listeners:
                    self._tip = None
                    self._tip_known.clear()
                    return
                if event.seq > self._tip_now():
                    await self._tell_events()

    async def _tell_events(self) -> None:
        while True:
            page = await self._store.read(partial(_page, after=self._tip_now()))
            if page:
                # Who joins from here on reads these for itself.
                self._tip, told = page[-1].seq, self._live()
                await self._offer_events([_Told(event) for event in page], told)
            if len(page) < _PAGE:
                return

    async def _offer_events(self, page: list[_Told], told: dict[View, list[Listener]]) -> None:
        last, done = page[-1].event.seq, 0
        for view, listeners in told.items():
            wanted = [
                (one.event.seq, type_of(one.event), one.frame(whole=view.sight.whole))
                for one in page
                if view.wants_event(one.event)
            ]
            for listener in listeners:
                if listener.live and listener.view == view:
                    _offer(listener, wanted, last)
                done += 1
                if done % _SLICE == 0:
                    await asyncio.sleep(0)

    def _live(self) -> dict[View, list[Listener]]:
        found: dict[View, list[Listener]] = {}
        for listener in self._listeners:
            if listener.live:
                found.setdefault(listener.view, []).append(listener)
        return found

    # -- metrics ---------------------------------------------------------------------------------------

    async def _follow_metrics(self) -> None:
        """Of each batch what has changed; each who joins is offered all that there is."""
        with self._readings.subscribe() as batches:
            self._values = {one.series: one.value for one in self._readings.latest()}
            async for batch in batches:
                self._snapshots.clear()
                if not self._listeners:
                    return
                await self._offer_samples([one for one in batch if self._is_news(one)])

    def _is_news(self, sample: Sample) -> bool:
        if not math.isfinite(sample.value) or self._values.get(sample.series) == sample.value:
            return False
        self._values[sample.series] = sample.value
        return True

    async def _offer_samples(self, batch: list[Sample]) -> None:
        told, done = self._live(), 0
        texts: dict[int, str] = {}  # of those that anybody wants
        for view, listeners in told.items():
            made = [framed(text) for text in frames.metric_frames(_seen(view, batch, texts), full=False)]
            await asyncio.sleep(0)
            for listener in listeners:
                if listener.live and listener.view == view:
                    for frame in made:
                        listener.offer(frame, FrameType.METRIC)
                done += 1
                if done % _SLICE == 0:
                    await asyncio.sleep(0)

    def _offer_snapshot(self, listener: Listener) -> None:
        view = listener.view
        if view not in self._snapshots:
            seen = (one for one in self._readings.latest() if view.wants_sample(one))
            texts = (frames.sample_text(one) for one in seen if math.isfinite(one.value))
            self._snapshots[view] = [framed(one) for one in frames.metric_frames(texts, full=True)]
        listener.give(self._snapshots[view])

    # -- who is still there, and may still listen --------------------------------------------------------

    async def _watch(self) -> None:
        looked_at = self._clock.monotonic()
        while self._listeners:
            await asyncio.sleep(TICK_SECONDS)
            self.drop_stalled()
            now = self._clock.monotonic()
            if now - looked_at >= max(_LOGIN_SECONDS, _SECONDS_A_LISTENER * len(self._listeners)):
                looked_at = now
                await self.look_at_logins()

    def drop_stalled(self) -> None:
        now = self._clock.monotonic()
        for listener in list(self._listeners):
            busy = listener.busy_since
            stalled = busy is not None and now - busy > STALLED_SECONDS
            if stalled or (listener.parting is not None and now - listener.parting_at > _PARTING_SECONDS):
                self.dropped += stalled
                listener.busy_since = None
                listener.line.abort()

    async def look_at_logins(self) -> None:
        """Sessions and tokens that are over close their sockets; changed levels change what is sent."""
        groups: dict[str, list[Listener]] = {}
        for listener in self._listeners:
            if listener.identity.again is not None:
                groups.setdefault(listener.identity.name, []).append(listener)
        for same in groups.values():
            await self._look_at(same)

    async def _look_at(self, same: list[Listener]) -> None:
        again = same[0].identity.again
        assert again is not None
        now = self._clock.monotonic()
        try:
            sight = sight_of(await again())
        except NotAllowed as error:
            for listener in same:
                listener.part(LOGIN_ENDED, error.slug, now)
            return
        for listener in same:
            if sight.blind:
                listener.part(NOT_ALLOWED, "not_allowed", now)
            elif sight != listener.sight:
                listener.sight = sight
                listener.wished = listener.wished or listener.wish
                listener.live = False
                listener.forget()  # nothing more of what it may not see now


def _offer(listener: Listener, wanted: Iterable[tuple[int, FrameType, bytes]], last: int) -> None:
    """`last`: the seq of the last event that was looked at."""
    for seq, kind, frame in wanted:
        if seq > listener.cursor:
            listener.offer(frame, kind, seq)
            if not listener.lagging:
                listener.cursor = seq
    if not listener.lagging:
        listener.cursor = max(listener.cursor, last)


def _seen(view: View, batch: list[Sample], texts: dict[int, str]) -> Iterator[str]:
    """What the view shows of it; `texts` keeps them for the next view."""
    for place, sample in enumerate(batch):
        if view.wants_sample(sample):
            if place not in texts:
                texts[place] = frames.sample_text(sample)
            yield texts[place]


def _page(conn: sqlite3.Connection, *, after: int) -> tuple[Event, ...]:
    return events.since(conn, after, limit=_PAGE)
