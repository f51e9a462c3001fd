"""`orchard run`: the system until somebody stops it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from bot.app import App, loader, open_app, until_stopped
from core.logs import logging_to


async def run_until_stopped(root: Path, *, discord: bool, debug: bool) -> None:
    """Says in a few lines what runs and what does not, then waits for Ctrl-C or SIGTERM."""
    console = Console()
    load = loader(root)
    configuration = load()
    with logging_to(configuration.state_path / "logs", debug=debug, terminal=True):
        async with open_app(load, discord=discord) as app:
            await _greet(app, console)
            await until_stopped()
            console.print("Stopping: agents are ended, what they left is kept.")
    console.print("Stopped.")


async def _greet(app: App, console: Console) -> None:
    view = await app.runtime.commands.system()
    console.print(f"[bold]Orchard runs.[/bold] Isolation: {view.isolation}. Projects: {len(view.projects)}.")
    if app.discord is None:
        hint = " Set DISCORD_TOKEN in .env to connect it." if "token" in view.discord else ""
        console.print(f"Discord: {view.discord}.{hint}")
    else:
        console.print("Discord: connecting.")
    for note in app.runtime.configuration().notes:
        console.print(f"Note: {note}")
    if not view.projects:
        console.print("No project yet: orchard register NAME PATH, or /project_register in Discord.")
    console.print("Ctrl-C stops it.", style="dim")
