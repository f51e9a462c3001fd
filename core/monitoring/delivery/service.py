"""The deliverer: alerts to the webhook and to Slack, each place owed the newest state, one after another.

An address that fails is left alone for a while, with all that waits for it; others go on. What a place was
not told within a day is history. A crash between an answer and its mark sends the change again, under the
same delivery id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from core.bus import Bus
from core.clock import Clock
from core.domain.alert import Alert, Route
from core.domain.event import Event, EventKind
from core.errors import OrchardError
from core.ids import new_id
from core.known_secrets import known_secrets
from core.monitoring.delivery import slack, webhook
from core.monitoring.delivery.news import News, after, news, read
from core.monitoring.delivery.places import Place, Places
from core.monitoring.delivery.posting import SECONDS, NoAnswer, post
from core.monitoring.delivery.verdict import Remedy, Verdict, judge, unanswered
from core.store import alert_tellings, alerts
from core.store.alert_tellings import Telling
from core.store.database import Store
from core.wake import Wake

log = logging.getLogger(__name__)

ROUTES = (Route.WEBHOOK, Route.SLACK)
NEWS_HOURS = 24
IDLE_SECONDS = 60.0  # the bus wakes us; this is for what it could have lost
TROUBLE_SECONDS = 60.0  # after what nobody foresaw
BUSY_SECONDS = 5.0  # while something is being sent: whoever sends wakes us at its end
ROWS = 200
ADDRESSES_AT_ONCE = 8


@dataclass(slots=True, kw_only=True)
class _Address:
    """How it goes with one of them."""

    failures: int = 0  # in a row
    until: datetime | None = None  # so long it is left alone
    busy: bool = False
    complained: bool = False


class Delivery:
    """`chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        clock: Clock,
        places: Places,
        seconds: float = SECONDS,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._places = places
        self._seconds = seconds
        self._wake = Wake()
        self._mended = False
        self._mends = 0  # how often the settings changed: what was begun before may go by the old ones
        self._under_way: set[tuple[str, Route]] = set()
        self._addresses: dict[str, _Address] = {}
        self._room = asyncio.Semaphore(ADDRESSES_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled."""
        with self._bus.subscribe() as events:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(events), name="alerts: listener")
                group.create_task(self._dispatch(group), name="alerts: deliveries")

    def wake(self) -> None:
        """After the settings changed: an address that was wrong may be right now."""
        self._mended = True
        self._mends += 1
        self._wake.set()

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.kind is EventKind.ALERT_CHANGED:
                self._wake.set()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while True:
            pause = IDLE_SECONDS
            try:
                pause = await self._look(group)
            except Exception:  # edge: the next look may find the store well again
                log.exception("%s: alerts wait", new_id("error"))
            await self._wake.rest(pause)

    async def _look(self, group: asyncio.TaskGroup) -> float:
        """Starts what can go now. Returns the seconds until the next look."""
        mends = self._mends
        if self._mended:
            await self._hasten()
        for route in ROUTES:
            now = self._clock.now()
            due = await self._store.read(partial(alert_tellings.due, now=now, route=route, limit=ROWS))
            for place, found in (await self._sorted(due)).items():
                self._start(group, place, found, mends)
        upcoming = await self._store.read(partial(alert_tellings.next_due, routes=ROUTES))
        if upcoming is None:
            return IDLE_SECONDS
        least = BUSY_SECONDS if any(each.busy for each in self._addresses.values()) else 0.01
        return min(IDLE_SECONDS, max(least, (upcoming - self._clock.now()).total_seconds()))

    async def _hasten(self) -> None:
        self._mended = False
        for address in self._addresses.values():
            address.until, address.complained = None, False
        try:
            await self._store.write(partial(alert_tellings.hasten, routes=ROUTES))
        except Exception:
            self._mended = True
            raise

    async def _sorted(self, due: Sequence[Telling]) -> Mapping[Place, list[tuple[Telling, Alert]]]:
        """By the address that each goes to. What goes nowhere, or is no news any more, is settled; what is on
        its way is left to whoever sends it, who wakes us."""
        found: dict[Place, list[tuple[Telling, Alert]]] = {}
        for telling in due:
            if (telling.alert, telling.route) in self._under_way:
                continue
            fresh = await self._store.read(partial(alerts.behind, telling=telling))
            if fresh is None:
                continue  # told meanwhile; or pruned, and its tellings with it
            telling, alert = fresh
            try:
                place = await self._place(telling, alert)
            except OrchardError as error:
                await self._fail([(telling, alert)], unanswered(str(error), 0, _chance()))
                continue
            if place is None:
                await self._settle(telling, alert)
            else:
                found.setdefault(place, []).append((telling, alert))
        return found

    async def _place(self, telling: Telling, alert: Alert) -> Place | None:
        if telling.route is Route.WEBHOOK:
            return self._places.webhook()
        if news(read(telling.told_as), alert) is News.NOTHING:
            return None
        return await self._places.slack(alert)

    def _start(
        self, group: asyncio.TaskGroup, place: Place, found: list[tuple[Telling, Alert]], mends: int
    ) -> None:
        address = self._addresses.setdefault(place.url, _Address())
        if address.busy:
            return
        address.busy = True
        self._under_way |= _keys(found)
        group.create_task(self._send_all(address, place, found, mends), name="alerts: one address")

    # -- one address -------------------------------------------------------------------------

    async def _send_all(
        self, address: _Address, place: Place, found: list[tuple[Telling, Alert]], mends: int
    ) -> None:
        try:
            async with self._room:
                now = self._clock.now()
                if address.until is not None and address.until > now:
                    await self._postpone(found, address.until)
                    return
                for at, (telling, alert) in enumerate(found):
                    if not await self._send(address, place, telling, alert, found[at + 1 :]):
                        return
        except Exception:  # edge: one address's trouble is not the others'
            log.exception("%s: alerts wait", new_id("error"))
            address.until = self._clock.now() + timedelta(seconds=TROUBLE_SECONDS)
            await asyncio.sleep(BUSY_SECONDS)  # a store that takes nothing cannot put off what is due, either
        finally:
            address.busy = False
            self._under_way -= _keys(found)
            if mends != self._mends:  # what was put off here may have been so by the old settings
                self._mended = True
            self._wake.set()

    async def _send(
        self,
        address: _Address,
        place: Place,
        telling: Telling,
        alert: Alert,
        rest: list[tuple[Telling, Alert]],
    ) -> bool:
        """Whether the next may go there."""
        fresh = await self._store.read(partial(alerts.behind, telling=telling))
        if fresh is None:
            return True
        telling, alert = fresh
        if telling.route is Route.SLACK and news(read(telling.told_as), alert) is News.NOTHING:
            await self._settle(telling, alert)
            return True
        if self._clock.now() - alert.changed_at > timedelta(hours=NEWS_HOURS):
            await self._give_up(telling, alert, "no longer news")
            return True
        verdict = await self._post(address, place, telling, alert)
        if verdict.remedy is Remedy.NONE:
            address.failures, address.until, address.complained = 0, None, False
            await self._settle(telling, alert)
            return True
        if verdict.remedy is Remedy.DROP:
            log.error("the alert %s is not taken: %s", alert.id, verdict.reason)
            await self._give_up(telling, alert, verdict.reason)
            return True
        address.failures += 1
        if verdict.remedy is Remedy.MEND and not address.complained:
            address.complained = True
            log.error("alerts do not arrive (%s): %s", telling.route, verdict.reason)
        else:
            log.info("alerts wait (%s): %s", telling.route, verdict.reason)
        address.until = await self._fail([(telling, alert), *rest], verdict)
        return False

    async def _post(self, address: _Address, place: Place, telling: Telling, alert: Alert) -> Verdict:
        now = self._clock.now()
        data = known_secrets.value(alerts.as_data(alert))
        if telling.route is Route.WEBHOOK:
            sent = webhook.body(data)
            headers = webhook.headers(webhook.delivery_id(data), sent, now, place.secret)
        else:
            told = news(read(telling.told_as), alert)
            sent = json.dumps(slack.payload(alerts.from_data(data), told, place.channel)).encode("ascii")
            headers = {"Content-Type": "application/json", "User-Agent": "Orchard"}
        try:
            answer = await post(place.url, sent, headers, seconds=self._seconds)
        except NoAnswer as error:
            return unanswered(error.reason, address.failures, _chance())
        return judge(answer, place.url, address.failures, _chance(), self._clock.now())

    # -- what became of it -------------------------------------------------------------------

    async def _settle(self, telling: Telling, alert: Alert) -> None:
        known = str(after(read(telling.told_as), alert))
        await self._store.write(lambda tx: alert_tellings.told(tx, telling, alert.seq, told_as=known))

    async def _give_up(self, telling: Telling, alert: Alert, reason: str) -> None:
        await self._store.write(lambda tx: alert_tellings.give_up(tx, telling, alert.seq, reason))

    async def _fail(self, found: Sequence[tuple[Telling, Alert]], verdict: Verdict) -> datetime:
        """The first failed, the others wait for the same address. Returns until when."""
        until = self._clock.now() + timedelta(seconds=verdict.pause_seconds)
        first = found[0][0]
        await self._store.write(lambda tx: alert_tellings.failed(tx, first, verdict.reason, until))
        await self._postpone(found[1:], until)
        return until

    async def _postpone(self, found: Sequence[tuple[Telling, Alert]], until: datetime) -> None:
        if found:
            tellings = [telling for telling, _ in found]
            await self._store.write(lambda tx: alert_tellings.postpone(tx, tellings, until))


def _keys(found: Sequence[tuple[Telling, Alert]]) -> set[tuple[str, Route]]:
    return {(telling.alert, telling.route) for telling, _ in found}


def _chance() -> float:
    return random.random()  # noqa: S311
