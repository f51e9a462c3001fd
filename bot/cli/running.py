"""`orchard run`: the system until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from bot.app import App, open_app, until_stopped
from bot.cli import output
from bot.cli.terminal import console
from bot.configuration import loader
from core.folder import state_folder
from core.garbage import leave_out_what_is_loaded
from core.logs import logging_to

_WEB_SECONDS = 90.0  # a busy machine takes some to import it


async def run_until_stopped(root: Path, *, discord: bool, debug: bool, overrides: Mapping[str, Any]) -> None:
    """Says in a few lines what runs and what does not, then waits for Ctrl-C or SIGTERM."""
    terminal = console()
    load = loader(root, overrides)
    configuration = load()
    with logging_to(state_folder(configuration) / "logs", debug=debug, terminal=True):
        async with open_app(load, discord=discord) as app:
            stopped = asyncio.create_task(until_stopped(), name="until stopped")
            await asyncio.sleep(0)  # from here on a signal stops it in order
            await greet(app, terminal)
            terminal.print(Text("Ctrl-C stops it.", style="dim"))
            leave_out_what_is_loaded()
            await stopped
            terminal.print("Stopping: agents are ended, what they left is kept.")
    terminal.print("Stopped.")


async def greet(app: App, terminal: Console) -> None:
    """What runs, what does not, and why."""
    view = await app.runtime.commands.system()
    head = Text.assemble(
        ("Orchard runs.", "bold"), f" Isolation: {view.isolation}. Projects: {len(view.projects)}."
    )
    terminal.print(head)
    if app.discord is None:
        hint = " Set DISCORD_TOKEN in .env to connect it." if "token" in view.discord else ""
        terminal.print(f"Discord: {view.discord.removesuffix('.')}.{hint}")
    else:
        terminal.print("Discord: connecting.")
    terminal.print(Text(await _web_line(app)))
    for note in app.runtime.configuration().notes:
        terminal.print(f"Note: {note}")
    for fault in output.faults(view):
        terminal.print(fault)
    if not view.projects and not view.unusable:
        terminal.print("No project yet: orchard register NAME PATH, or /project_register in Discord.")


async def _web_line(app: App) -> str:
    """Its address once it is known, which takes a moment; nobody waits longer for it."""
    if app.web is None:
        return "Web: switched off."
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_WEB_SECONDS):
            await app.web.ready.wait()
    return f"Web: {app.web.status.removesuffix('.')}"
