"""Plays for somebody at a terminal: with a bar while it runs, and pictures at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bot.cli import simulation_charts
from bot.cli.simulation import Comparison, Wish, simulate
from bot.cli.terminal import console


async def compare(root: Path, wish: Wish, charts: Path | None) -> Comparison:
    """Raises what `simulate` and `draw` raise; a folder that cannot be written before anything is played."""
    if charts is not None:
        simulation_charts.prepare(charts)
    terminal = console(errors=True)  # what is printed at the end may be JSON
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    ) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, part: float) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=1.0)
            progress.update(tasks[name], completed=part)

        found = await simulate(root, wish, tell=tell)
    if charts is not None:
        found = replace(found, charts=await simulation_charts.draw(found, charts))
    return found
