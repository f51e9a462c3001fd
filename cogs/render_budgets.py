"""Budgets as messages that read well on a phone. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from cogs.message import Button, Card, Message, Tone
from cogs.raises import Asked, raise_buttons
from cogs.render import stamp
from cogs.render_resources import bar, long_pages
from cogs.text import code, count, title, told
from core.domain.budget import Level, Scope, Unit, worded
from core.orchestrator.budget_views import (
    BudgetsView,
    BudgetView,
    ProjectBudgets,
    RaiseView,
    ShareView,
    UnitView,
)

_SHARES = 8  # of a project
_SHARES_OF_MANY = 3  # of each project, where several are shown
_BUTTONS = 4  # for at most two limits: a phone shows no more at once
_SIGNS = {Level.FINE: "🟢", Level.NEAR: "🟡", Level.REACHED: "🔴"}
_TONES = {Level.FINE: Tone.NEUTRAL, Level.NEAR: Tone.ASK, Level.REACHED: Tone.BAD}


def budgets(view: BudgetsView, page: int = 0, *, argument: str = "-") -> Message:
    """What was used, of what may be, and who used most; with buttons for what is used up, on the first
    page of one project or story. `argument`: what its pages are asked for by."""
    one = view.projects[0] if argument != "-" and view.projects else None
    lines = [line for project in view.projects for line in _project_lines(project, many=one is None)]
    if not lines:
        lines = ["No agent has used anything yet, and nothing is limited."]
        lines.append(f"Limits stand in {code('orch-config.yaml')}, under {code('projects.<name>.budgets')}.")
    levels = [budget.level for project in view.projects for budget in project.told]
    worst = max(levels, key=list(Level).index, default=Level.FINE)
    heading = "Budgets" if one is None else f"Budget of {title(_name_of(one), 100)}"
    head = _total(view) if one is None and len(view.projects) > 1 else ""
    made = long_pages(heading, head, lines, page, what="budget", argument=argument, tone=_TONES[worst])
    if one is None or page > 0:
        return made
    buttons = (*made.buttons, *_raises(one.told))
    return Message(cards=made.cards, buttons=buttons)


def raised(view: RaiseView) -> Message:
    heading = "💰 More may be used" if view.new else "💰 This was done already"
    ends = f"\nIt ends {stamp(view.until.timestamp(), 'R')}." if view.until else ""
    return Message(cards=(Card(title=heading, body=f"{told(view.sentence)}{ends}", tone=Tone.GOOD),))


def _name_of(project: ProjectBudgets) -> str:
    """The story's, where it is only one's."""
    first = project.budgets[0] if project.budgets else None
    return first.story_id if first is not None and first.story_id is not None else project.project


def _total(view: BudgetsView) -> str:
    spent = [worded(unit, view.total.of(unit)) for unit in Unit if view.total.of(unit)]
    return f"In all: {' · '.join(spent)}" if spent else ""


def _project_lines(project: ProjectBudgets, *, many: bool) -> Iterator[str]:
    if project.widest is None:
        if not many:
            yield "No agent has used anything yet, and nothing is limited."
        return
    if many:
        yield f"📦 **{title(project.project, 60)}**"
    for one in project.told:
        yield _budget(one)
    yield from _shares(project.widest, _SHARES_OF_MANY if many else _SHARES)
    if project.on_agents_word:
        yield "-# \\* by the agents' own word, in part or in all: no gateway saw it."
    if not many and any(one.limited for one in project.told):
        yield f"-# `/budget raise` allows more: {project.raise_level} and higher."


def _budget(one: BudgetView) -> str:
    lines = [_heading(one), *map(_unit, one.told)]
    if one.waits:
        words = one.waits.removeprefix("waits: ")
        lines.append(f"⏸️ {told(words[:1].upper() + words[1:])}")
    return "\n".join(lines)


def _heading(one: BudgetView) -> str:
    if one.scope is Scope.STORY:
        return f"**{code(one.story_id or '', 80)} {title(one.title, 120)}**"
    if one.scope is Scope.PROJECT:
        return "**All in all**"
    ends = f" · until {stamp(one.day_ends.timestamp(), 't')}" if one.day_ends else ""
    return f"**Today**{ends} · {title(one.zone, 60)}"


def _unit(unit: UnitView) -> str:
    word = r" \*" if unit.on_agents_word else ""
    spent = worded(unit.unit, unit.spent) or "0 s"
    if unit.limit is None:
        return f"▫️ **{spent}**{word}, no limit"
    more = f" · {worded(unit.unit, unit.raised)} of it raised by people" if unit.raised else ""
    limit = worded(unit.unit, unit.limit) or "nothing"
    return (
        f"{_SIGNS[unit.level]} {bar(unit.spent, unit.limit)} {unit.percent or 0} % · **{spent}**{word} "
        f"of {limit}{more}"
    )


def _shares(wide: BudgetView, most: int) -> Iterator[str]:
    if not wide.shares:
        return
    lines = [_share(each) for each in wide.shares[:most]]
    left = f"\n… and {len(wide.shares) - most} more" if len(wide.shares) > most else ""
    yield f"**Dearest of {count(wide.calls, 'call')}**\n{lines[0]}{left if len(lines) == 1 else ''}"
    for at, line in enumerate(lines[1:], 2):
        yield line + (left if at == len(lines) else "")


def _share(each: ShareView) -> str:
    of = " · ".join(
        part
        for part in (
            code(each.story_id, 80) if each.story_id else "",
            title(each.phase, 40),
            title(each.agent, 40) + (r" \*" if each.on_agents_word else ""),
            title(each.model, 80),
        )
        if part
    )
    used = f"{each.tokens:,} tokens, {count(each.calls, 'call')}"
    return f"• **{worded(Unit.MICRODOLLARS, each.microdollars)}** {of}: {used}"


def _raises(shown: Sequence[BudgetView]) -> tuple[Button, ...]:
    """For what is used up."""
    found: list[Button] = []
    for one in shown:
        for unit in one.units:
            if unit.level is Level.REACHED and unit.limit:
                found += raise_buttons(_asked(one, unit.unit), unit.limit, unit.spent)
    return tuple(found[:_BUTTONS])


def _asked(one: BudgetView, unit: Unit) -> Asked:
    day = date.fromisoformat(one.day) if one.day else None
    return Asked(scope=one.scope, unit=unit, name=one.story_id or one.project, day=day)
