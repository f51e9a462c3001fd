"""What the terminal shows of a simulated week. Pure: values in, renderables out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import clean, done, duration, following, one_line, table
from cogs.text import count
from core.scheduler.resources import Resources
from core.scheduler.simulation.outcome import Outcome, ProjectOutcome

if TYPE_CHECKING:
    from bot.cli.simulation import Comparison

_SHOWN_PROJECTS = 8
_BARS = " ▁▂▃▄▅▆▇█"
_CELLS = 28  # a quarter of a day each, in a week
_MB_A_GB = 1024
_NAME_WIDTH = 18

_Figure = tuple[str, Callable[[Outcome], float | None], Callable[[float, Outcome], str], int]


def data(value: Any) -> Any:
    """For scripts: amounts by their names, and null where there is no limit, which JSON has no number for."""
    if isinstance(value, Resources):
        return {name: data(amount) for name, amount in value.named().items()}
    if is_dataclass(value):
        found = {field.name: data(getattr(value, field.name)) for field in fields(value)}
        return found | {"satisfied": value.satisfied} if isinstance(value, ProjectOutcome) else found
    if isinstance(value, tuple):
        return [data(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def comparison(value: Comparison) -> RenderableType:
    parts: list[RenderableType] = [_head(value), _figures(value), _over_time(value)]
    if (shares := _shares(value)) is not None:
        parts += [Text(), shares]
    parts += [following(sentence) for sentence in value.suggestion]
    for outcome in value.outcomes:
        for problem in outcome.problems:
            parts.append(Text.assemble(("⚠ ", "yellow"), clean(f"{outcome.strategy}: {problem}")))
    parts += [done(f"Picture: {path}") for path in value.charts]
    return Group(*parts)


def _head(value: Comparison) -> Text:
    capacity = value.capacity
    there = [count(round(capacity.agents), "agent"), f"{capacity.cpu:.3g} cores", _memory(capacity.memory_mb)]
    seed = "" if value.seed is None else f", seed {value.seed}"
    days = "1 day" if value.days == 1 else f"{value.days:.3g} days"
    stories = value.outcomes[0].stories if value.outcomes else 0
    lines = [
        f": {clean(value.meaning)}.",
        f"{count(value.projects, 'project')}, {days} from {value.starts_at:%A} on{seed}; "
        f"{count(stories, 'story', 'stories')} arrive.",
        f"To share: {', '.join(there)}. {' '.join(map(clean, value.notes))}",
    ]
    return Text.assemble((value.week, "bold"), "\n".join(lines))


def _memory(mb: float) -> str:
    return f"{mb / _MB_A_GB:,.3g} GB of memory" if math.isfinite(mb) else "unlimited memory"


def _figures(value: Comparison) -> Table:
    shown = table()
    shown.add_column("")
    for outcome in value.outcomes:
        shown.add_column(one_line(outcome.strategy, _NAME_WIDTH), justify="right", no_wrap=True)
    patience = f"{value.patience_seconds / 60:g}"
    for label, read, write, better in _ROWS:
        found = [read(outcome) for outcome in value.outcomes]
        best = _best([each for each in found if each is not None], better)
        cells = [
            Text("-", style="dim")
            if figure is None
            else Text(write(figure, outcome), style="green" if figure == best else "")
            for figure, outcome in zip(found, value.outcomes, strict=True)
        ]
        shown.add_row(label.format(patience=patience), *cells)
    return shown


def _best(figures: Sequence[float], better: int) -> float | None:
    """None where there is nothing to be better at, or all are the same."""
    if not better or len(set(figures)) < 2:
        return None
    return max(figures) if better > 0 else min(figures)


def _least(outcome: Outcome) -> float | None:
    return None if outcome.worst is None else outcome.worst.satisfied


def _whole(figure: float, _: Outcome) -> str:
    return f"{figure:,.0f}"


def _part(figure: float, _: Outcome) -> str:
    return f"{figure * 100:.0f} %"


def _time(figure: float, _: Outcome) -> str:
    return duration(figure)


_ROWS: tuple[_Figure, ...] = (  # what, where it is, how it reads; 1: more is better, -1: less is
    ("Fairness, Jain's index (1 is even)", lambda one: one.jain, lambda x, _: f"{x:.3f}", 1),
    ("Least share of what was due", _least, _part, 1),
    ("Wait for room, half are below", lambda one: one.waits.p50, _time, -1),
    ("Wait for room, 95 % are below", lambda one: one.waits.p95, _time, -1),
    ("Longest wait", lambda one: one.waits.longest, _time, -1),
    ("Phases that waited over {patience} min", lambda one: one.waits.too_long, _whole, -1),
    ("A story takes, mean", lambda one: one.turnaround_seconds, _time, -1),
    ("Stories done", lambda one: one.done, _whole, 1),
    ("Agents used, mean", lambda one: one.utilisation.agents, _part, 1),
    ("Memory used, mean", lambda one: one.utilisation.memory_mb, _part, 0),
    ("Time at which something waited", lambda one: one.contended, _part, 0),
    ("Turns parked for others", lambda one: one.preemptions, _whole, 0),
)


# -- over time, and by project -----------------------------------------------------------------


def _over_time(value: Comparison) -> Table:
    shown = Table.grid(padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True)
    shown.add_column(no_wrap=True)
    shown.add_row("Agents used over time", "", style="bold")
    for outcome in value.outcomes:
        used = [hour.used.agents / max(outcome.capacity.agents, 1.0) for hour in outcome.hours]
        shown.add_row(one_line(outcome.strategy, _NAME_WIDTH), Text(_spark(used), style="cyan"))
    return shown


def _spark(parts: Sequence[float]) -> str:
    """At most _CELLS signs, each the mean of its stretch."""
    cells = min(_CELLS, len(parts))
    found = []
    for at in range(cells):
        stretch = parts[at * len(parts) // cells : (at + 1) * len(parts) // cells]
        mean = sum(stretch) / len(stretch)
        found.append(_BARS[min(int(mean * (len(_BARS) - 1) + 0.5), len(_BARS) - 1)])
    return "".join(found)


def _shares(value: Comparison) -> Table | None:
    """Those who got least of what was due under any strategy, the least first."""
    by_name: dict[str, list[ProjectOutcome]] = {}
    for outcome in value.outcomes:
        for project in outcome.projects:
            by_name.setdefault(project.name, []).append(project)
    judged = [
        (min(each.satisfied for each in found if each.satisfied is not None), name)
        for name, found in by_name.items()
        if any(each.satisfied is not None for each in found)
    ]
    if not judged:
        return None
    rest = f": the {_SHOWN_PROJECTS} of {len(judged)} who got least" if len(judged) > _SHOWN_PROJECTS else ""
    shown = table(f"Held of what was due{rest}")
    shown.add_column("Project", style="bold", overflow="fold")
    shown.add_column("Weight", justify="right")
    for outcome in value.outcomes:
        shown.add_column(one_line(outcome.strategy, _NAME_WIDTH), justify="right", no_wrap=True)
    for _, name in sorted(judged)[:_SHOWN_PROJECTS]:
        found = by_name[name]
        shown.add_row(clean(name), f"{found[0].weight:g}", *map(_share, found))
    return shown


def _share(project: ProjectOutcome) -> Text:
    if project.satisfied is None:
        return Text("-", style="dim")
    style = "red" if project.satisfied < 0.5 else ""
    return Text(f"{project.held * 100:.1f} % of {project.due * 100:.1f} %", style=style)
