"""Isolation, for people at a terminal. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean

if TYPE_CHECKING:
    from core.doctor.isolation import Attempt, SandboxView

_GATEWAY = 65535


def plan(view: SandboxView) -> RenderableType:
    head = Text.assemble(
        (clean(view.project), "bold"),
        f": agents of role {view.role} at level {view.level}.",
        "\n",
        view.network,
    )
    limits = ", ".join(f"{name} {value}" for name, value in view.limits.items() if value is not None)
    parts: list[RenderableType] = [
        head,
        Text(f"Limits: {limits}"),
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
            port = "the model gateway's port" if door.port == _GATEWAY else f"127.0.0.1:{door.port}"
            table.add_row(
                Text(port), Text("the allow-list proxy" if door.proxy else "that port of this machine")
            )
        parts += [table, Text(f"Allow-list: {', '.join(map(clean, view.rules)) or 'nothing'}")]
    argv = clean(shlex.join(view.argv)).replace(" --", "\n  --")
    return Group(*parts, Text("Started as:"), Text(argv))


def attempts(found: Sequence[Attempt]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for _ in range(3):
        table.add_column()
    for each in found:
        sign, style = ("✓", "green") if each.held else ("✗", "red") if each.expected else ("•", "yellow")
        word = "stopped" if each.held else "GOT THROUGH" if each.expected else "open at this level"
        table.add_row(
            Text(sign, style=style), Text(f"{each.name}: {word}"), Text(clean(each.found), style="dim")
        )
    through = sum(not each.held and each.expected for each in found)
    end = Text(f"{through} got through.", style="bold red") if through else Text("Held.", style="bold green")
    return Group(table, end)
