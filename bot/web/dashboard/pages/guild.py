"""The local guild: Discord as it looks to somebody in it, where there is one on this machine."""

from __future__ import annotations

from nicegui import ui

from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import static_file
from core.errors import Unavailable


async def build(viewer: Viewer) -> None:
    guild = viewer.house.guild
    if guild is None:
        raise Unavailable(
            "There is no guild on this machine.",
            why="This page shows the one that stands in for Discord where somebody tries Orchard.",
            hint="`make demo ARGS=--interactive` has one.",
        )
    # Only now: the guild's own code is for those who have one.
    from bot.web.dashboard.chat.window import Window

    ui.add_head_html(f'<link rel="stylesheet" href="{static_file("guild.css")}">')
    await Window(viewer, guild).open(viewer.parts.get("room", ""))
