"""What the terminal shows of agents: the table, an installation, a check. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, one_line, table
from core.agents.conformance import Mark

if TYPE_CHECKING:
    from core.agents.conformance import Conformance, Outcome
    from core.agents.installed import Installed
    from core.orchestrator.agent_desk import AgentView

_SIGNS = {
    Mark.OK: ("✓", "green"),
    Mark.NOTE: ("•", "yellow"),
    Mark.FAILED: ("✗", "red"),
    Mark.SKIPPED: ("-", "dim"),
}
_WHERE = {"orchard": "by Orchard", "path": "on PATH", "": "-"}
_MODEL = {"gateway": "gateway", "directly": "own key", "": "no key"}
_LABEL = 24


def agents(value: Sequence[AgentView]) -> RenderableType:
    rows = table()
    for name in ("Agent", "Installed", "Version", "Tried", "Model", "Used by"):
        rows.add_column(name, overflow="fold")
    for each in value:
        style = "" if each.where else "dim"
        needs_model = bool(each.provider) or each.model != "directly"
        rows.add_row(
            Text(each.name, style="bold" if each.where else "dim"),
            Text(_WHERE[each.where], style=style),
            Text(clean(each.version) or "-", style=style),
            Text("; ".join(each.tried) or "-", style=style),
            Text(
                " ".join(filter(None, (_MODEL[each.model], each.provider))) if needs_model else "none needed"
            ),
            Text(
                clean(", ".join((*each.used_by, *(f"{name} (fallback)" for name in each.fallback_of)))) or "-"
            ),
        )
    parts: list[RenderableType] = [rows]
    for each in value:
        if each.problem and (each.used_by or each.fallback_of):
            parts.append(indented(f"{each.name}: {one_line(each.problem)}", "yellow"))
            if each.hint:
                parts.append(following(one_line(each.hint)))
    if not any(each.where == "orchard" for each in value):
        parts.append(
            following("orchard agents install NAME fetches one; orchard agents check NAME tries it.")
        )
    return Group(*parts)


def installed(value: Installed) -> RenderableType:
    versions = ", ".join(f"{name} {version}" for name, version in value.versions.items())
    return Group(
        done(f"{value.name} is installed: {versions}"),
        indented(str(value.folder), "dim"),
        following(f"orchard agents check {value.name}"),
    )


def outcome(value: Outcome) -> RenderableType:
    """One row of a check, as soon as it is known."""
    sign, style = _SIGNS[value.mark]
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=1)
    rows.add_column(width=_LABEL)
    rows.add_column(overflow="fold")
    rows.add_row(Text(sign, style=style), Text(str(value.step), style="bold"), Text(clean(value.found)))
    if value.mend and value.mark is not Mark.OK:
        rows.add_row("", "", Text(f"→ {clean(value.mend)}", style="green"))
    return rows


def conformance_head(value: Conformance) -> RenderableType:
    versions = ", ".join(f"{name} {version}" for name, version in value.versions.items()) or "version unknown"
    return Text.assemble(
        (value.agent, "bold"), f": {clean(versions)}; by {value.by}; isolation {value.isolation}"
    )


def conformance_end(value: Conformance) -> RenderableType:
    if value.passed:
        return Text(f"It can work with Orchard ({value.seconds:.0f} s).", style="bold green")
    wrong = ", ".join(str(each.step) for each in value.outcomes if each.mark in (Mark.FAILED, Mark.SKIPPED))
    return Text(f"Not as it should be: {wrong} ({value.seconds:.0f} s).", style="bold red")


def conformance(value: Conformance) -> RenderableType:
    rows = [outcome(each) for each in value.outcomes]
    return Group(conformance_head(value), *rows, conformance_end(value))
