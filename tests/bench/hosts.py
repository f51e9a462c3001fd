"""The processes of the interaction benchmark: `python -m tests.bench.hosts guild | bare | busy N FOLDER`.

`guild` prints one line of JSON: where it is. `bare` and `busy` read that line, and print `ready`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import discord
from discord import app_commands

from bot.discord.endpoint import endpoint
from bot.discord.options import DiscordOptions
from bot.discord.service import DiscordService
from bot.localguild import GuildSettings, LocalGuild, RatePolicy
from core.domain.event import EventKind
from core.domain.story import Story
from tests.discord.bot.real_core import Orchard, open_orchard
from tests.waiting import until

POSTS_SECONDS = 5.0  # a project's time between two posts: a phase that starts, a gate that speaks
SAID_SECONDS = 1.0  # and between two events that nobody is told


async def guild() -> None:
    settings = GuildSettings(rates=RatePolicy.generous())
    async with LocalGuild(settings) as served:
        facts = {
            "url": served.url,
            "api_url": served.api_url,
            "gateway_url": served.gateway_url,
            "token": served.token,
            "guild_id": served.guild_id,
        }
        print(json.dumps(facts), flush=True)
        await asyncio.Event().wait()


class _Bare(discord.Client):
    """The least bot that answers a command."""

    def __init__(self, guild_id: int) -> None:
        super().__init__(intents=discord.Intents(guilds=True), guild_ready_timeout=0.5)
        self.tree = app_commands.CommandTree(self)
        self.home = discord.Object(guild_id)

        @self.tree.command(name="ping", description="Answers", guild=self.home)
        async def ping(interaction: discord.Interaction[Any]) -> None:
            await interaction.response.send_message("pong")

    async def setup_hook(self) -> None:
        await self.tree.sync(guild=self.home)

    async def on_ready(self) -> None:
        print("ready", flush=True)


async def bare(facts: dict[str, Any]) -> None:
    with endpoint(facts["api_url"], facts["gateway_url"]):
        await _Bare(facts["guild_id"]).start(facts["token"])


async def busy(facts: dict[str, Any], projects: int, folder: Path) -> None:
    """The real core and bot; projects with a running sprint, to which things happen all the time."""
    async with open_orchard(folder) as orchard:
        stories = []
        for number in range(projects):
            await orchard.add_project(f"bench{number:03d}")
            stories.append(await orchard.running_story(f"bench{number:03d}", "Multiply"))
        service = DiscordService(
            DiscordOptions(
                token=facts["token"],
                guild_id=facts["guild_id"],
                api_url=facts["api_url"],
                gateway_url=facts["gateway_url"],
            ),
            store=orchard.store,
            bus=orchard.bus,
            commands=orchard.commands,
            clock=orchard.clock,
        )
        orchard.commands.discord_status = lambda: service.status
        async with asyncio.TaskGroup() as group:
            group.create_task(service.run(), name="discord")
            await until(lambda: service.connected, "a connected bot", seconds=60)
            for story in stories:
                await orchard.emit(EventKind.PHASE_STARTED, story, phase="design", attempt=1, agent="bench")
            await orchard.posted()  # every channel and thread is made
            for number, story in enumerate(stories):
                delay = number / projects
                group.create_task(_happen(orchard, story, delay), name=f"happenings of {story.id}")
            print("ready", flush=True)


async def _happen(orchard: Orchard, story: Story, delay: float) -> None:
    await asyncio.sleep(delay * POSTS_SECONDS)
    while True:
        summary = f"at {time.monotonic():.6f} all passed"
        await orchard.emit(
            EventKind.GATE_PASSED, story, phase="test_red", attempt=1, summary=summary, red=["tests/a.py"]
        )
        end = time.monotonic() + POSTS_SECONDS
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, SAID_SECONDS))
            await orchard.emit(EventKind.AGENT_SAID, story, phase="test_red", text="Working on it. " * 10)


if __name__ == "__main__":
    if sys.argv[1] == "guild":
        asyncio.run(guild())
    elif sys.argv[1] == "bare":
        asyncio.run(bare(json.loads(sys.stdin.readline())))
    else:
        asyncio.run(busy(json.loads(sys.stdin.readline()), int(sys.argv[2]), Path(sys.argv[3])))
