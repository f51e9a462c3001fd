"""Looks at the data that all open pages of the same view share: one is taken for fifty of them.

A view is named by what it shows ("overview", "project shop"). While somebody watches it, one task looks
again when an event says that something changed, else every few seconds; who watches is told of what differs
from before, and of nothing else. A view that nobody watches costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from core.bus import Bus
from core.domain.event import Event
from core.errors import NotAllowed, OrchardError
from core.ids import new_id

log = logging.getLogger(__name__)

T = TypeVar("T")
_GAP_SECONDS = 0.25  # between two looks, however much happens
_REST = 10  # so many times as long as the last one took: most of the time belongs to the work
_LONGEST_REST = 3.0  # seconds; on a busy machine a look takes long, and what it shows is wanted all the same
_CHECK_SECONDS = 15.0  # between two looks at the rights of whoever watches


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Generic[T]):
    """`look` makes the whole picture, a value to be compared; it knows no viewer. `seconds`: at the latest so
    long after the last one; `wakes`: which events call for a look at once."""

    name: str
    look: Callable[[], Awaitable[T]]
    seconds: float = 5.0
    wakes: Callable[[Event], bool] = lambda event: True


class _Watched:
    """A view that somebody watches."""

    def __init__(self, view: View[Any], first: Any) -> None:
        self.view = view
        self.last = first
        self.told: dict[tuple[str, object], Callable[[Any], None]] = {}
        self.wake = asyncio.Event()
        self.begun = self.seen = 0  # looks: how many began, and which of them was taken last
        self.task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A page that is open."""

    check: Callable[[], Awaitable[None]]
    ended: Callable[[NotAllowed], None]
    stops: list[Callable[[], None]] = field(default_factory=list)


class Live:
    """Pages are named by ids of their own. On the event loop alone."""

    def __init__(self, bus: Bus, *, check_seconds: float = _CHECK_SECONDS) -> None:
        self._bus = bus
        self._check_seconds = check_seconds
        self._views: dict[str, _Watched] = {}
        self._pages: dict[str, _Open] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = 0  # events

    @property
    def views(self) -> tuple[str, ...]:
        """Those that are watched, by name."""
        return tuple(sorted(self._views))

    def enter(
        self, page: str, check: Callable[[], Awaitable[None]], ended: Callable[[NotAllowed], None]
    ) -> None:
        """`check` reads the rights of the page's viewer anew, every few seconds, and raises NotAllowed when
        it may be open no longer: then it has left, and `ended` is called."""
        self._begin()
        self._pages[page] = _Open(check=check, ended=ended)

    def leave(self, page: str) -> None:
        """Nothing is told to it any more."""
        if (known := self._pages.pop(page, None)) is not None:
            for stop in known.stops:
                stop()

    async def watch(self, page: str, view: View[T], told: Callable[[T], None]) -> T:
        """The picture as it is now; `told` is called with each that differs from the one before, until the
        page leaves. Raises what the first look raises."""
        key = (page, object())
        async with self._opening.setdefault(view.name, asyncio.Lock()):
            watched = self._views.get(view.name)
            if watched is None:
                heard = self._heard
                try:
                    first = await view.look()
                except BaseException:
                    self._opening.pop(view.name, None)  # addresses that lead nowhere leave nothing
                    raise
                # Whoever came with another lock, after the last one left, may have been faster.
                watched = self._followed(view, first, stale=self._heard != heard)
            elif watched.wake.is_set():  # something changed a moment ago: who comes now sees that at once
                watched.told[key] = _nobody  # it goes on also when the others leave meanwhile
                try:
                    await self._look(watched)
                except BaseException:
                    self._stop(watched, key)
                    raise
            watched.told[key] = told
        if (known := self._pages.get(page)) is None:  # it left meanwhile
            self._stop(watched, key)
        else:
            known.stops.append(lambda: self._stop(watched, key))
        picture: T = watched.last
        return picture

    def _followed(self, view: View[Any], first: Any, *, stale: bool) -> _Watched:
        """`stale`: something happened while the first picture was taken."""
        if (watched := self._views.get(view.name)) is None:
            watched = self._views[view.name] = _Watched(view, first)
            watched.task = asyncio.create_task(self._follow(watched), name=f"view {view.name}"[:80])
            if stale:
                watched.wake.set()
        return watched

    def nudge(self, name: str) -> None:
        """Something of this view changed that no event tells of."""
        if (watched := self._views.get(name)) is not None:
            watched.wake.set()

    async def look_at_rights(self) -> None:
        """Of each page that is open, whether it may be open still."""
        for name, page in tuple(self._pages.items()):
            try:
                await page.check()
            except NotAllowed as error:
                if self._pages.get(name) is page:  # else it left, or another look was faster
                    self.leave(name)
                    page.ended(error)
            except OrchardError as error:  # the store is away, and with it what could be shown
                log.debug("rights could not be read: %s", error)
            except Exception:  # edge: one page's trouble is not the others'
                log.exception("%s: rights could not be read", new_id("fault"))

    async def rights_changed(self) -> None:
        """Somebody's level is another: at once every page is closed, or drawn with the rights that it has."""
        await self.look_at_rights()
        for watched in tuple(self._views.values()):
            for key, told in tuple(watched.told.items()):
                if key in watched.told:
                    _tell(told, watched.last, watched.view.name)
                    await asyncio.sleep(0)

    async def close(self) -> None:
        tasks = [*self._tasks, *(one.task for one in self._views.values() if one.task is not None)]
        self._views.clear()
        self._pages.clear()
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _stop(self, watched: _Watched, key: tuple[str, object]) -> None:
        watched.told.pop(key, None)
        name = watched.view.name
        if not watched.told and self._views.get(name) is watched:
            del self._views[name]
            self._opening.pop(name, None)
            if watched.task is not None:
                watched.task.cancel()

    def _begin(self) -> None:
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listen(), name="dashboard events"),
                asyncio.create_task(self._check(), name="dashboard rights"),
            ]

    async def _listen(self) -> None:
        with self._bus.subscribe() as events:
            async for event in events:
                self._heard += 1
                for watched in self._views.values():
                    if watched.view.wakes(event):
                        watched.wake.set()

    async def _follow(self, watched: _Watched) -> None:
        time, took = asyncio.get_running_loop().time, 0.0
        while True:
            await asyncio.sleep(rest_after(took))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(watched.view.seconds):
                    await watched.wake.wait()
            begun = time()
            await self._look(watched)
            took = time() - begun

    async def _look(self, watched: _Watched) -> None:
        watched.wake.clear()
        watched.begun += 1
        turn = watched.begun
        try:
            picture = await watched.view.look()
        except Exception as error:  # edge: the pages keep what they show, and the next look may do
            level = logging.DEBUG if isinstance(error, OrchardError) else logging.ERROR
            log.log(level, "%s: %s cannot be seen now", new_id("fault"), watched.view.name, exc_info=error)
            return
        if turn < watched.seen:
            return  # a look that began later was faster
        watched.seen = turn
        if picture == watched.last:
            return
        watched.last = picture
        for key, told in tuple(watched.told.items()):
            if watched.last is picture and key in watched.told:  # else it left while others were told
                _tell(told, picture, watched.view.name)
                await asyncio.sleep(0)  # fifty pages are not drawn in one go

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._check_seconds)
            await self.look_at_rights()


def rest_after(took: float) -> float:
    """Seconds until the next look may begin, after one that took so many."""
    return min(max(_GAP_SECONDS, _REST * took), _LONGEST_REST)


def _nobody(picture: Any) -> None:
    """Told in the place of a page that is not there yet."""


def _tell(told: Callable[[Any], None], picture: Any, name: str) -> None:
    try:
        told(picture)
    except Exception:  # edge: likewise
        log.exception("%s: a page of %s could not be drawn", new_id("fault"), name)
