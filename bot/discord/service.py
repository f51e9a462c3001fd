"""The Discord face as one long-lived task: connection, outbox, alerts, live status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import discord

from bot.discord.alert_posts import AlertPosts
from bot.discord.channels import ProjectChannels
from bot.discord.charts import Charts
from bot.discord.client import BeforeIdentify, OrchardBot
from bot.discord.composing import Composer
from bot.discord.crier import Crier
from bot.discord.endpoint import endpoint
from bot.discord.gateway import Gateway, Link
from bot.discord.heartbeat import timed_heartbeats
from bot.discord.live import PAUSE_SECONDS, LiveStatus
from bot.discord.missed import IDLE_SECONDS, MissedCalls
from bot.discord.notify import Notifier
from bot.discord.options import DiscordOptions
from bot.discord.pacing import Backoff
from bot.discord.probe import DiscordProbe
from bot.discord.views import Counter
from cogs.completion import Completion
from cogs.desk import Desk
from core.bus import Bus
from core.clock import Clock
from core.store.database import Store

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands


class DiscordService:
    """Needs a running event loop. `status` is one sentence for people, readable at any time."""

    def __init__(
        self,
        options: DiscordOptions,
        *,
        store: Store,
        bus: Bus,
        commands: Commands,
        clock: Clock,
        backoff: Backoff | None = None,
        live_pause_seconds: float = PAUSE_SECONDS,
        missed_idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._options = options
        self._channels = ProjectChannels(store, category=options.category, channel_of=options.channel_of)
        self._gateway = Gateway(
            self._make_bot,
            options.token,
            clock=clock,
            own_gateway=options.gateway_url is not None,
            backoff=backoff,
        )
        self.probe = DiscordProbe(lambda: self._gateway.current[0] if self._gateway.current else None)
        self._desk = Desk(
            core=commands,
            channels=self._channels,
            completion=Completion(commands, clock),
            guild_id=self._guild_id,
            roles=options.roles,
            role_levels=options.role_levels,
            draw=Charts(),
        )
        self._counter = Counter(self._desk)
        crier = Crier(store, clock, options.mentions)
        self._notifier = Notifier(
            store=store,
            bus=bus,
            clock=clock,
            link=self._gateway,
            channels=self._channels,
            composer=Composer(store, commands.review),
            crier=crier,
        )
        self._alerts = AlertPosts(
            store=store,
            bus=bus,
            clock=clock,
            link=self._gateway,
            channels=self._channels,
            crier=crier,
            channel=options.alert_channel,
        )
        self._missed = MissedCalls(
            store=store,
            clock=clock,
            link=self._gateway,
            channels=self._channels,
            idle_seconds=missed_idle_seconds,
        )
        self._live = LiveStatus(
            store=store,
            bus=bus,
            commands=commands,
            link=self._gateway,
            channels=self._channels,
            clock=clock,
            pause_seconds=live_pause_seconds,
        )

    @property
    def status(self) -> str:
        return self._gateway.status.sentence

    @property
    def connected(self) -> bool:
        """Connected to its server, so that commands are answered and posts go out."""
        return self._gateway.status.link is Link.CONNECTED and self._gateway.current is not None

    async def run(self) -> None:
        """Until cancelled. A refused token ends Discord, not Orchard: then this only waits."""
        with endpoint(self._options.api_url, self._options.gateway_url), timed_heartbeats():
            await self._channels.load()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._gateway.run(), name="discord: gateway")
                group.create_task(self._notifier.run(), name="discord: notifier")
                group.create_task(self._missed.run(), name="discord: missed calls")
                group.create_task(self._alerts.run(), name="discord: alerts")
                group.create_task(self._live.run(), name="discord: live status")

    def _guild_id(self) -> int | None:
        """The configured server, else the only one that the bot is in."""
        if self._options.guild_id is not None:
            return self._options.guild_id
        return self._gateway.current[1].id if self._gateway.current else None

    def _make_bot(
        self, *, before_identify: BeforeIdentify, on_home: Callable[[discord.Guild], None]
    ) -> OrchardBot:
        bot = OrchardBot(
            self._desk,
            self._counter,
            guild_id=self._options.guild_id,
            before_identify=before_identify,
            on_home=on_home,
        )
        bot.http.http_trace = self.probe.trace
        return bot
