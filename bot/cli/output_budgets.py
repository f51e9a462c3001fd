"""What the terminal shows of budgets. Pure: values in, renderables out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, next_step, table
from bot.cli.words import translated
from cogs.text import count
from core.domain.budget import Level, Scope, Unit, worded

if TYPE_CHECKING:
    from core.orchestrator.budget_views import (
        BudgetsView,
        BudgetView,
        ProjectBudgets,
        RaiseView,
        ShareView,
        UnitView,
    )

_CELLS = 10
_STYLE = {Level.FINE: "green", Level.NEAR: "yellow", Level.REACHED: "red"}
_SHARES = 12


def budgets(view: BudgetsView, *, in_shell: bool = False) -> RenderableType:
    parts: list[RenderableType] = []
    for project in view.projects:
        if project.widest is None:
            parts.append(Text(f"{project.project}: no agent has used anything, and nothing is limited."))
            continue
        parts.append(_table(project))
        for one in project.told:
            if one.waits:
                said = translated(one.waits.removeprefix("waits: "), in_shell=in_shell)
                parts.append(indented(f"⏸ {said[:1].upper()}{said[1:]}", "yellow"))
        parts += _footnotes(project)
        parts += _shares(project.widest)
        if any(one.limited for one in project.told):
            parts.append(indented(f"Raised by: {project.raise_level} and higher.", "dim"))
    if not parts:
        parts.append(Text("No budget is set, and no agent has used anything yet."))
        parts.append(following("Limits stand in orch-config.yaml, under projects.<name>.budgets"))
    elif in_shell or len(view.projects) > 1:
        parts.append(next_step("One project", "budget PROJECT", in_shell=in_shell))
    return Group(*parts)


def raised(view: RaiseView) -> RenderableType:
    if not view.new:
        return Text(f"This was done already: {clean(view.sentence)}")
    return done(view.sentence)


def _table(project: ProjectBudgets) -> Table:
    made = table(project.project)
    made.add_column("Budget", style="bold", overflow="fold")
    made.add_column("Used", justify="right", no_wrap=True)
    made.add_column("Of", justify="right", no_wrap=True)
    made.add_column("", no_wrap=True)
    for one in project.told:
        for at, unit in enumerate(one.told or one.units[:1]):
            made.add_row(_name(one) if at == 0 else "", _used(unit), _limit(unit), _bar(unit))
    return made


def _name(one: BudgetView) -> str:
    if one.scope is Scope.STORY:
        return f"{one.story_id} {clean(one.title)}"[:28]
    return f"today ({one.zone})" if one.scope is Scope.DAY else "all in all"


def _used(unit: UnitView) -> str:
    word = " *" if unit.on_agents_word else ""
    return f"{worded(unit.unit, unit.spent) or '0 s'}{word}"


def _limit(unit: UnitView) -> str:
    if unit.limit is None:
        return "no limit"
    return worded(unit.unit, unit.limit) + (" ↑" if unit.raised else "")


def _bar(unit: UnitView) -> Text:
    if unit.percent is None:
        return Text()
    full = min(_CELLS, unit.percent * _CELLS // 100)
    style = _STYLE[unit.level]
    return Text.assemble(("█" * full, style), ("░" * (_CELLS - full), "dim"), f" {unit.percent} %")


def _footnotes(project: ProjectBudgets) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if project.on_agents_word:
        parts.append(indented("* by the agents' own word, in part or in all: no gateway saw it.", "dim"))
    if any(unit.raised for one in project.told for unit in one.units):
        parts.append(indented("↑ raised by people.", "dim"))
    return parts


def _shares(wide: BudgetView) -> list[RenderableType]:
    """Who used what."""
    parts: list[RenderableType] = []
    if wide.shares:
        made = table(f"Calls: {wide.calls}")
        for name in ("Story", "Phase", "Agent", "Model"):
            made.add_column(name, overflow="fold")
        for name in ("Calls", "Tokens", "Dollars"):
            made.add_column(name, justify="right", no_wrap=True)
        for each in wide.shares[:_SHARES]:
            made.add_row(*_share(each))
        parts.append(made)
        if (more := len(wide.shares) - _SHARES) > 0:
            parts.append(indented(f"and {count(more, 'more row')}: --json", "dim"))
    return parts


def _share(each: ShareView) -> tuple[str, ...]:
    return (
        clean(each.story_id or "-"),
        clean(each.phase),
        clean(each.agent) + (" *" if each.on_agents_word else ""),
        clean(each.model or "-"),
        f"{each.calls:,}",
        f"{each.tokens:,}",
        worded(Unit.MICRODOLLARS, each.microdollars).removesuffix(" USD"),
    )
