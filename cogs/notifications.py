"""`/subscribe`, `/unsubscribe`, `/subscriptions`, `/quiet_hours`, `/digest`: what a person hears of.

All answers are for the person alone; who types a command as text is answered where they typed it.
"""

from __future__ import annotations

import asyncio
import re
import zoneinfo
from collections.abc import Awaitable
from datetime import time
from typing import Any, Literal

import discord
from discord import app_commands
from discord.ext import commands

from cogs import hybrid, render_people
from cogs.completion import Option, matching, suggest
from cogs.desk import Context, Desk, actor
from cogs.message import Message
from cogs.outgoing import sending
from cogs.replies import PATIENCE_SECONDS
from core.domain.quiet import QuietHours
from core.errors import InvalidInput, NotFound

EVERY = "*"
_PROJECT = "Name, or * for every project; in a project's channel: that project"
_TIME = re.compile(r"(?P<hour>[01]?\d|2[0-3])(?:[:.h](?P<minute>[0-5]\d))?")

Kind = Literal["done", "blocked", "question"]


class Notifications(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["subscriptions"] = self._subscriptions_page
        desk.pages["digest"] = self._digest_page

    @hybrid.command("Be called when a project is done, blocked or asks something")
    @hybrid.options({"project": hybrid.projects}, project=_PROJECT, kind="Only for this; none: all three")
    async def subscribe(self, ctx: Context, project: str | None = None, kind: Kind | None = None) -> None:
        async def add() -> Message:
            view = await self._desk.commands.subscribe(
                actor(ctx.author), self._meant(ctx, project), _kinds(kind)
            )
            return render_people.notifications(view, "🔔 Subscribed.")

        await _answer(ctx, add())

    @hybrid.command("Be called no longer")
    @hybrid.options({"project": hybrid.projects}, project=_PROJECT, kind="Only for this; none: all three")
    async def unsubscribe(self, ctx: Context, project: str | None = None, kind: Kind | None = None) -> None:
        async def remove() -> Message:
            view = await self._desk.commands.unsubscribe(
                actor(ctx.author), self._meant(ctx, project), _kinds(kind)
            )
            return render_people.notifications(view, "🔕 Unsubscribed.")

        await _answer(ctx, remove())

    @hybrid.command("What you are called for, and when not")
    async def subscriptions(self, ctx: Context) -> None:
        async def show() -> Message:
            return render_people.notifications(await self._desk.commands.notifications(actor(ctx.author)))

        await _answer(ctx, show())

    @hybrid.command("When nobody calls you; what you miss is told once, afterwards")
    @hybrid.options(
        start="From when, such as 22:00; or: off",
        end="Until when, such as 07:00",
        timezone="Yours, such as Europe/Berlin; none: the one you last said",
    )
    async def quiet_hours(
        self, ctx: Context, start: str, end: str | None = None, timezone: str | None = None
    ) -> None:
        async def change() -> Message:
            person = actor(ctx.author)
            if start.strip().casefold() == "off":
                view = await self._desk.commands.set_quiet_hours(person, None)
                return render_people.notifications(view, "🔔 No quiet hours any more.")
            known = (await self._desk.commands.notifications(person)).quiet
            zone = timezone or (known.time_zone if known else None)
            if zone is None:
                raise InvalidInput(
                    "Which time zone?", hint="Fill in `timezone`, such as Europe/Berlin or UTC."
                )
            hours = QuietHours(start=parse_time(start), end=parse_time(end or ""), time_zone=zone)
            view = await self._desk.commands.set_quiet_hours(person, hours)
            return render_people.notifications(view, "🌙 Noted.")

        await _answer(ctx, change())

    @quiet_hours.autocomplete("timezone")
    async def _zones(
        self, interaction: discord.Interaction[Any], typed: str
    ) -> list[app_commands.Choice[str]]:
        async def find() -> tuple[Option, ...]:
            names = await asyncio.to_thread(zoneinfo.available_timezones)
            wanted = typed.strip().replace(" ", "_")
            return matching((Option(value=name, label=name) for name in sorted(names)), wanted)

        return await suggest(interaction, find)

    @hybrid.command("What happened since your last digest")
    @hybrid.options(
        {"project": hybrid.projects},
        project="Name; none: every project",
        hours="Of the last so many hours; none: since your last digest",
    )
    async def digest(self, ctx: Context, project: str | None = None, hours: int | None = None) -> None:
        async def show() -> Message:
            named = None if project is None or project.strip() in {"", EVERY} else project.strip()
            found = await self._desk.commands.digest(actor(ctx.author), named, hours)
            return render_people.digest(found, self._desk.guild_id())

        await _answer(ctx, show())

    # -- inside ------------------------------------------------------------------------------

    def _meant(self, ctx: Context, named: str | None) -> str | None:
        """None: every project."""
        if named and named.strip():
            return None if named.strip() == EVERY else named.strip()
        return self._desk.implied(ctx.channel)

    async def _subscriptions_page(self, user: str, page: int) -> Message:
        view = await self._desk.commands.notifications(f"discord:{user}")
        return render_people.notifications(view, page=page)

    async def _digest_page(self, argument: str, page: int) -> Message:
        try:
            project, after, last = render_people.stretch(argument)
        except ValueError:
            raise NotFound("This digest is of another version.", hint="Ask for it again: /digest.") from None
        found = await self._desk.commands.news(after, last, project)
        return render_people.digest(found, self._desk.guild_id(), page)


def parse_time(text: str) -> time:
    """A time of day as people type it: 22:00, 7, 7.30. PURE. Raises InvalidInput."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(
            f"'{text.strip()[:40]}' is no time of day." if text.strip() else "From when until when?",
            hint="Such as 22:00 for `start` and 07:00 for `end`.",
        )
    return time(int(match["hour"]), int(match["minute"] or 0))


def _kinds(kind: Kind | None) -> tuple[str, ...]:
    return (kind,) if kind else ()


async def _answer(ctx: Context, work: Awaitable[Message]) -> None:
    """Tells only the person who asked, where Discord can (a slash command)."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if not done:
            await ctx.defer(ephemeral=True)
        message = await task
    finally:
        task.cancel()
    await ctx.send(**sending(message), ephemeral=True)
