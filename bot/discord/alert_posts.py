"""Alerts in Discord: one post a channel, edited as the alert goes on, and messages to who has to look.

A post is made anew only when people should hear of it again: it fires, got graver, or a silence is over.
What is owed to a channel is the newest state (core.store.alert_tellings), so what happened while Discord was
away is one post; and a post of before a crash is found again by its footer.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import discord

from bot.discord.alert_people import may_know, who_looks
from bot.discord.alert_place import Posted, posted_from
from bot.discord.channels import ALERTS, ProjectChannels
from bot.discord.crier import Crier, actor_of, left_alone_until
from bot.discord.faults import Fault, Remedy, judge
from bot.discord.notify import LOOK_BACK, SEND_SECONDS, Home, nonce_of
from cogs import render_alerts
from cogs.message import Message
from cogs.outgoing import editing, sending
from cogs.text import post_link
from core.bus import Bus
from core.clock import Clock
from core.domain.alert import Alert, AlertState, Route, Severity
from core.domain.event import Event, EventKind
from core.domain.ping import Ping
from core.ids import new_id
from core.monitoring.delivery.news import News, Told, after, news, read
from core.store import alert_tellings, alerts, people, users
from core.store.alert_tellings import Telling
from core.store.database import Store, Transaction
from core.wake import Wake

_log = logging.getLogger(__name__)

ROUTES = (Route.GUILD, Route.PROJECT, Route.DIRECT)
NEWS_HOURS = 24
IDLE_SECONDS = 30.0  # the bus wakes us; this is for what it could have lost
BUSY_SECONDS = 5.0  # while something is being posted: whoever posts wakes us
ROWS = 200
LANES_AT_ONCE = 8
_CALLING = frozenset({News.FIRST, News.GRAVER, News.AGAIN})


class AlertPosts:
    """`channel` is the configured name or id of the guild's channel for alerts."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        clock: Clock,
        link: Home,
        channels: ProjectChannels,
        crier: Crier,
        channel: Callable[[], str],
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._link = link
        self._channels = channels
        self._crier = crier
        self._channel = channel
        self._started_at = clock.now()
        self._wake = Wake()
        self._busy: set[str] = set()
        self._looked: set[tuple[str, Route, str]] = set()
        self._complained: set[str] = set()
        self._room = asyncio.Semaphore(LANES_AT_ONCE)

    async def run(self) -> None:
        """Until cancelled."""
        with self._bus.subscribe() as events:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(events), name="discord: alerts' listener")
                group.create_task(self._dispatch(group), name="discord: alerts")

    async def _listen(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.kind is EventKind.ALERT_CHANGED:
                self._wake.set()

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._link.home()
            pause = IDLE_SECONDS
            try:
                pause = await self._look(group)
            except Exception:  # edge: the next look may find the store well again
                _log.exception("%s: alerts wait", new_id("error"))
            await self._wake.rest(pause)

    async def _look(self, group: asyncio.TaskGroup) -> float:
        """Starts what can go now. Returns the seconds until the next look."""
        now = self._clock.now()
        # As of before the read: what it still finds due may have failed, and wait, by the time we see it.
        busy = set(self._busy)
        lanes = await self._store.read(partial(_lanes, now=now))
        for lane, tellings in lanes.items():
            if lane not in busy:
                self._busy.add(lane)
                group.create_task(self._tell_all(lane, tellings), name=f"discord: alerts of {lane}")
        upcoming = await self._store.read(partial(alert_tellings.next_due, routes=ROUTES))
        if upcoming is None:
            return IDLE_SECONDS
        least = BUSY_SECONDS if self._busy else 0.01
        return min(IDLE_SECONDS, max(least, (upcoming - self._clock.now()).total_seconds()))

    # -- one channel or person ---------------------------------------------------------------

    async def _tell_all(self, lane: str, tellings: list[Telling]) -> None:
        """In order; after a failure the rest waits for the same time."""
        try:
            async with self._room:
                for at, telling in enumerate(tellings):
                    until = await self._tell_or_judge(telling)
                    if until is not None:
                        rest = tellings[at + 1 :]
                        await self._store.write(partial(alert_tellings.postpone, tellings=rest, until=until))
                        return
        except Exception:  # edge: the store; one lane's trouble is not the others'
            _log.exception("%s: alerts of %s wait", new_id("error"), lane)
            await asyncio.sleep(IDLE_SECONDS)
        finally:
            self._busy.discard(lane)
            self._wake.set()

    async def _tell_or_judge(self, telling: Telling) -> datetime | None:
        """Until when the lane has to wait."""
        fresh = await self._store.read(partial(alerts.behind, telling=telling))
        if fresh is None:
            return None
        telling, alert = fresh
        try:
            async with asyncio.timeout(SEND_SECONDS):
                if telling.route is Route.DIRECT:
                    await self._tell_directly(telling, alert)
                else:
                    await self._tell(telling, alert)
        except Exception as error:
            return await self._recover(telling, alert, judge(error, telling.attempts), error)
        return None

    async def _recover(
        self, telling: Telling, alert: Alert, fault: Fault, error: Exception
    ) -> datetime | None:
        if not fault.foreseen:
            _log.error("%s: telling of %s failed", new_id("error"), alert.id, exc_info=error)
        elif fault.needs_people:
            self._complain(telling, fault)
        else:
            _log.info("telling of %s by %s: %s", alert.id, telling.route, fault.reason)
        direct = telling.route is Route.DIRECT
        if fault.remedy is Remedy.DEAD or (direct and fault.needs_people):  # they take no messages
            await self._store.write(lambda tx: alert_tellings.give_up(tx, telling, alert.seq, fault.reason))
            return None
        if fault.remedy is Remedy.REMAKE and not direct:
            await self._channels.forget_channel(self._key(telling, alert))
        until = self._clock.now() + timedelta(seconds=fault.pause_seconds)
        await self._store.write(lambda tx: alert_tellings.failed(tx, telling, fault.reason, until))
        return until

    # -- channels ----------------------------------------------------------------------------

    async def _tell(self, telling: Telling, alert: Alert) -> None:
        _, guild = await self._link.home()
        place = await self._place(guild, telling, alert)
        if place is None:  # it is told in that channel already
            await self._settle(telling, alert, None)
            return
        posted, before = await self._known(guild, place, telling, alert)
        tell = news(before, alert)
        if tell in _CALLING or (posted is None and tell is News.OVER and self._is_news(alert)):
            made = await self._post(guild, place, telling, alert, tell)
            # Before it is marked: after a crash the new one is found again, and this done.
            await self._retire(guild, telling, posted, made)
            await self._settle(telling, alert, made, before)
            return
        if posted is not None:
            await self._edit(guild, posted, render_alerts.alert(alert))
        await self._settle(telling, alert, posted, before)

    async def _place(
        self, guild: discord.Guild, telling: Telling, alert: Alert
    ) -> discord.abc.Messageable | None:
        """None: the project's channel is the one for alerts."""
        try:
            place = await self._channels.channel(guild, self._key(telling, alert))
        except discord.Forbidden as error:
            if telling.route is not Route.GUILD or (other := _open_channel(guild)) is None:
                raise
            _log.info("alerts go to #%s: there is no channel for them (%s)", other, error)
            return other
        if telling.route is Route.PROJECT and Route.GUILD in alert.routes:
            general = await self._channels.channel(guild, ALERTS + self._channel())
            return None if general.id == place.id else place
        return place

    def _key(self, telling: Telling, alert: Alert) -> str:
        if telling.route is Route.PROJECT and alert.project is not None:
            return alert.project
        return ALERTS + self._channel()

    async def _post(
        self,
        guild: discord.Guild,
        place: discord.abc.Messageable,
        telling: Telling,
        alert: Alert,
        tell: News,
    ) -> Posted:
        message, allowed = render_alerts.alert(alert), discord.AllowedMentions.none()
        # In the project's channel alone, where it goes to both: nobody is called twice.
        own = telling.route is Route.PROJECT or Route.PROJECT not in alert.routes
        if tell in _CALLING and own and alert.severity is Severity.CRITICAL:
            call = await self._crier.call(_event(alert), Ping.BLOCKED, guild)
            message = Message(text=call.text, cards=message.cards, buttons=message.buttons)
            allowed = call.allowed()
        return await self._send(place, telling, alert, message, allowed)

    async def _send(
        self,
        place: discord.abc.Messageable,
        telling: Telling,
        alert: Alert,
        message: Message,
        allowed: discord.AllowedMentions,
    ) -> Posted:
        nonce = nonce_of(f"{alert.id}:{telling.route}:{telling.place}:{alert.seq}")
        try:
            made = await place.send(**sending(message), nonce=nonce, allowed_mentions=allowed)
        except discord.HTTPException as error:
            if judge(error, telling.attempts).remedy is not Remedy.PLAIN:
                raise
            _log.error("Discord does not take our post of %s: %s", alert.id, error)
            made = await place.send(**sending(render_alerts.bare(alert)), nonce=nonce)
        return Posted(channel_id=made.channel.id, message_id=made.id)

    async def _edit(self, guild: discord.Guild, posted: Posted, message: Message) -> bool:
        """False: somebody deleted it."""
        try:
            await posted.message(guild).edit(**editing(message))
        except discord.NotFound:
            return False
        return True

    async def _retire(self, guild: discord.Guild, telling: Telling, old: Posted | None, new: Posted) -> None:
        """Best effort: the new one is there, and the old one's buttons work all the same."""
        if old is None:
            return
        server = "@me" if telling.route is Route.DIRECT else guild.id
        link = post_link(server, new.channel_id, new.message_id)
        try:
            await self._edit(guild, old, render_alerts.told_again(link))
        except (discord.HTTPException, OSError) as error:
            _log.info("the older post of an alert stays as it is: %s", error)

    # -- people ------------------------------------------------------------------------------

    async def _tell_directly(self, telling: Telling, alert: Alert) -> None:
        bot, guild = await self._link.home()
        before = read(telling.told_as)
        if not telling.place:  # stands for all of them
            if news(before, alert) in _CALLING:
                looking = await self._store.read(partial(who_looks, project=alert.project))
                persons = looking or ((str(guild.owner_id),) if guild.owner_id else ())
                await self._store.write(
                    partial(alert_tellings.add_places, alert=alert.id, route=Route.DIRECT, places=persons)
                )
            await self._settle(telling, alert, None, before)
            self._wake.set()
            return
        posted = posted_from(telling.message)
        calls = news(before, alert) in _CALLING
        if telling.place != str(guild.owner_id) and not await self._store.read(
            partial(may_know, person=telling.place, project=alert.project)
        ):
            await self._settle(telling, alert, posted, before)
            return
        if calls and (until := await self._quiet(telling.place)) is not None:
            await self._store.write(lambda tx: _put_off(tx, telling, alert, until))
            return
        if calls:
            channel = await bot.create_dm(discord.Object(id=int(telling.place)))
            posted, before = await self._known(guild, channel, telling, alert)
            if news(before, alert) in _CALLING:
                message = await self._privately(guild, alert, telling.place)
                none = discord.AllowedMentions.none()
                made = await self._send(channel, telling, alert, message, none)
                await self._retire(guild, telling, posted, made)
                posted = made
        elif posted is not None:
            await self._edit(guild, posted, await self._privately(guild, alert, telling.place))
        await self._settle(telling, alert, posted, before)

    async def _privately(self, guild: discord.Guild, alert: Alert, person: str) -> Message:
        """Users of Orchard may answer there. Who is none has a right only in the server, a click away."""
        if await self._store.read(partial(users.by_person, person=person)) is not None:
            return render_alerts.alert(alert)
        message = render_alerts.alert(alert, buttons=False)
        known = await self._store.read(partial(alert_tellings.of_alert, alert=alert.id))
        posts = [posted_from(each.message) for each in known if each.route is not Route.DIRECT]
        place = next((post for post in posts if post is not None), None)
        if place is None or alert.state is AlertState.RESOLVED:
            return message
        link = post_link(guild.id, place.channel_id, place.message_id)
        return Message(text=f"To answer: {link}", cards=message.cards)

    async def _quiet(self, person: str) -> datetime | None:
        name = actor_of(int(person))
        hours = (await self._store.read(partial(people.quiet_of, people=[name]))).get(name)
        return None if hours is None else left_alone_until(self._clock.now(), hours)

    # -- what was posted ---------------------------------------------------------------------

    async def _known(
        self, guild: discord.Guild, place: discord.abc.Messageable, telling: Telling, alert: Alert
    ) -> tuple[Posted | None, Told | None]:
        """The alert's post there, and what it told: also one that was sent before a crash or a time-out and
        never marked."""
        posted, before = posted_from(telling.message), read(telling.told_as)
        key = (alert.id, telling.route, telling.place)
        first = key not in self._looked
        self._looked.add(key)
        if telling.attempts == 0 and not (first and alert.changed_at < self._started_at):
            return posted, before
        bot, _ = await self._link.home()
        async for message in place.history(limit=LOOK_BACK):
            if bot.user is None or message.author.id != bot.user.id:
                continue
            if posted is not None and message.id <= posted.message_id:
                break
            for shown in message.embeds:
                severity = render_alerts.marked(shown.footer.text or "", alert.id)
                if severity is not None:
                    lost = Posted(channel_id=message.channel.id, message_id=message.id)
                    await self._retire(guild, telling, posted, lost)
                    return lost, Told(state=AlertState.FIRING, severity=severity)
        return posted, before

    async def _settle(
        self, telling: Telling, alert: Alert, posted: Posted | None, before: Told | None = None
    ) -> None:
        known = str(after(before, alert))
        message = telling.message if posted is None else str(posted)
        await self._store.write(
            lambda tx: alert_tellings.told(tx, telling, alert.seq, message=message, told_as=known)
        )

    def _is_news(self, alert: Alert) -> bool:
        return self._clock.now() - alert.changed_at < timedelta(hours=NEWS_HOURS)

    def _complain(self, telling: Telling, fault: Fault) -> None:
        """Says once a route what somebody has to mend."""
        if telling.route.value in self._complained:
            return
        self._complained.add(telling.route.value)
        _log.error(
            "alerts cannot be posted (%s): %s. Orchard needs View Channel, Send Messages, Embed Links, Read "
            "Message History and Manage Channels",
            telling.route,
            fault.reason,
        )


def _open_channel(guild: discord.Guild) -> discord.TextChannel | None:
    """The server's own channel for notices, else the first that Orchard may write to."""
    rest = (each for each in guild.text_channels if each.permissions_for(guild.me).send_messages)
    return guild.system_channel or next(rest, None)


def _put_off(tx: Transaction, telling: Telling, alert: Alert, until: datetime) -> None:
    """What changed meanwhile is looked at anew: it may be over, and then need not wait."""
    present = alerts.find(tx.conn, alert.id)
    if present is not None and present.seq == alert.seq:
        alert_tellings.postpone(tx, [telling], until)


def _lanes(conn: sqlite3.Connection, now: datetime) -> dict[str, list[Telling]]:
    """What is due, by where it goes."""
    found: dict[str, list[Telling]] = {}
    for route in ROUTES:
        for telling in alert_tellings.due(conn, now, route, ROWS):
            lane = f"{route}:{telling.place}"
            if route is Route.PROJECT:
                alert = alerts.find(conn, telling.alert)
                lane = f"{route}:{alert.project if alert else ''}"
            found.setdefault(lane, []).append(telling)
    return found


def _event(alert: Alert) -> Event:
    """For whoever knows whom an event calls."""
    return Event(
        kind=EventKind.ALERT_CHANGED,
        at=datetime.now(UTC),
        project=alert.project,
        story_id=None,
        actor="orchard",
        data={},
        seq=0,
    )
