"""What the buttons and the select of alerts do (their verbs: `cogs.buttons`)."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, cast

import discord

from bot.discord.client import Press
from cogs.desk import Desk, actor
from cogs.message import Message
from cogs.render_alerts import alert
from cogs.replies import confide, update
from core.errors import InvalidInput, OrchardError

HOUR = timedelta(hours=1)
MORNING = time(8)


class AlertPresses:
    """`presses` by a button's or select's verb. The post follows from the alert's change, too: who presses
    sees it at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.presses: Mapping[str, Press] = {
            "acknowledge": self._acknowledge,
            "silence": self._silence,
            "unsilence": self._unsilence,
            "alert": self._look,
        }

    async def _acknowledge(self, interaction: discord.Interaction[Any], alert_id: str) -> None:
        async def acknowledge() -> Message:
            return alert(await self._desk.commands.acknowledge_alert(alert_id, actor=actor(interaction.user)))

        await update(interaction, acknowledge())

    async def _silence(self, interaction: discord.Interaction[Any], target: str) -> None:
        alert_id, _, span = target.partition(":")

        async def silence() -> Message:
            by = actor(interaction.user)
            now = datetime.now(UTC)
            until = tomorrow(now, await self._zone(by)) if span == "tomorrow" else now + HOUR
            return alert(await self._desk.commands.silence_alert(alert_id, until, actor=by))

        if span not in ("hour", "tomorrow"):
            raise InvalidInput(
                "This button is of another version.", hint="/alerts shows the alert with its own."
            )
        await update(interaction, silence())

    async def _unsilence(self, interaction: discord.Interaction[Any], alert_id: str) -> None:
        async def end() -> Message:
            return alert(await self._desk.commands.unsilence_alert(alert_id, actor=actor(interaction.user)))

        await update(interaction, end())

    async def _look(self, interaction: discord.Interaction[Any], _: str) -> None:
        chosen = cast(Mapping[str, Any], interaction.data or {}).get("values") or []
        if not chosen:
            raise InvalidInput("Nothing was chosen.", hint="Choose an alert.")

        async def show() -> Message:
            return alert(await self._desk.commands.alert(str(chosen[0])))

        await confide(interaction, show())

    async def _zone(self, person: str) -> tzinfo:
        """The one of their quiet hours, as far as they said one."""
        try:
            quiet = (await self._desk.commands.notifications(person)).quiet
            return UTC if quiet is None else zoneinfo.ZoneInfo(quiet.time_zone)
        except (OrchardError, zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return UTC


def tomorrow(now: datetime, zone: tzinfo) -> datetime:
    """The next day's morning there. PURE."""
    day = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(day, MORNING, zone).astimezone(UTC)
