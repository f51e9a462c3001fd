"""Isolation, for people at a terminal. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean
from core.doctor.isolation import GATEWAY_DOOR, Attempt, SandboxView

# The same in each group of tries.
_NAME_WIDTH = 34
_WORD_WIDTH = len("open at this level")


def plans(views: Sequence[SandboxView]) -> RenderableType:
    parts: list[RenderableType] = []
    for view in views:
        parts += [plan(view), Text("")]
    return Group(*parts[:-1])


def plan(view: SandboxView) -> RenderableType:
    head = Text.assemble(
        (clean(view.project), "bold"),
        f": agents of role {view.role} at level {view.level}.",
        f"\nNetwork: {view.network}",
    )
    limits = ", ".join(f"{name} {value}" for name, value in view.limits.items() if value is not None)
    parts: list[RenderableType] = [
        head,
        Text(f"Runs as: {view.user}."),
        Text(f"Limits: {limits or 'none'}; core dumps are off"),
        Text(f"System calls refused: {view.refused_calls or 'none'}"),
        Text(f"Variables: {', '.join(view.variables)}"),
    ]
    if view.mounts:
        table = Table(title="Its own folders", title_justify="left", box=None, show_header=False)
        for mount in view.mounts:
            how = "writable" if mount.writable else "read-only"
            shown = str(mount.target)
            source = "" if mount.source == mount.target else f"is {mount.source}"
            table.add_row(Text(how), Text(clean(shown)), Text(clean(source)))
        parts.append(table)
    if view.doors:
        table = Table(title="Doors", title_justify="left", box=None, show_header=False)
        for door in view.doors:
            port = "the model gateway's port" if door.port == GATEWAY_DOOR else f"127.0.0.1:{door.port}"
            table.add_row(
                Text(port), Text("the allow-list proxy" if door.proxy else "that port of this machine")
            )
        parts += [table, Text(f"Allow-list: {', '.join(map(clean, view.rules)) or 'nothing'}")]
    argv = clean(shlex.join(view.argv)).replace(" --", "\n  --")
    return Group(*parts, Text("Started as:"), Text(argv))


def attempts(found: Sequence[Attempt]) -> RenderableType:
    parts: list[RenderableType] = []
    for (topic, level), tries in groupby(found, key=lambda each: (each.topic, each.level)):
        parts += [Text(f"  {topic}, level {level}", style="bold"), _tries(tries)]
    return Group(*parts, _sum(found))


def _tries(found: Iterable[Attempt]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(overflow="fold", width=_NAME_WIDTH)
    table.add_column(no_wrap=True, width=_WORD_WIDTH)
    table.add_column(overflow="fold")
    for each in found:
        sign, style = ("✓", "green") if each.held else ("✗", "red") if each.expected else ("•", "yellow")
        word = "held" if each.held else "GOT THROUGH" if each.expected else "open at this level"
        told = Text(clean(each.found), style="dim")
        table.add_row(Text(sign, style=style), Text(each.name), Text(word, style=style), told)
    return table


def _sum(found: Sequence[Attempt]) -> Text:
    through = sum(not each.held and each.expected for each in found)
    if through:
        return Text(f"{through} of {len(found)} got through.", style="bold red")
    unheld = sum(not each.held for each in found)
    more = f" {unheld} are open at this level: a stronger one stops them." if unheld else ""
    return Text(f"What the level promises is held, in {len(found)} tries.{more}", style="bold green")
