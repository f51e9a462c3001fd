"""What charts show, in words beside the picture: they must do where none can be drawn. PURE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from cogs.chart import NAME
from cogs.message import Attachment, Card, Message
from cogs.text import code, count, cut, plain, title
from cogs.trend import CostChart, part_below
from core.domain.budget import Unit, worded
from core.domain.trend import CycleTimes, NeedsGraph, ProjectUse, SpendingHistory, UseHistory

LINES = 12  # lines of words at most
_LINES_LIMIT = 3500  # characters


def cycle_times(view: CycleTimes, whose: str, days: int, picture: bytes | None, *, drawing: bool) -> Message:
    seconds = [one.seconds for one in view.stories]
    half, most = part_below(seconds, 0.5), part_below(seconds, 0.85)
    lines = [f"{count(len(seconds), 'story', 'stories')} merged in {_days(days)}."]
    if half is not None and most is not None:
        lines.append(f"Half of them within **{span(half)}**, 85 % within **{span(most)}**.")
    slowest = sorted(view.stories, key=lambda one: -one.seconds)[:3]
    if len(seconds) > len(slowest):
        told = ", ".join(f"{code(one.story_id, 80)} {span(one.seconds)}" for one in slowest)
        lines.append(f"The longest: {told}.")
    return _message(f"Cycle time {whose}", lines, picture, drawing=drawing)


def use(view: UseHistory, whose: str, days: int, picture: bytes | None, *, drawing: bool) -> Message:
    known = [one for one in view.projects if one.points]
    if not known:
        lines = [f"Nothing was measured in {_days(days)}: Orchard samples what projects hold while it runs."]
        return _message(f"Use {whose}", lines, picture, drawing=drawing)
    ordered = sorted(known, key=lambda one: (-_mean(one, "cpu"), one.project))
    lines = [f"On average over {_days(days)}, where it was measured:"]
    for one in ordered[:LINES]:
        lines.append(
            f"**{title(one.project, 60)}** {_mean(one, 'agents'):.3g} agents · {_mean(one, 'cpu'):.3g} cores"
            f" · {_mean(one, 'memory_mb') / 1024:.3g} GB"
        )
    if len(ordered) > LINES:
        lines.append(f"and {len(ordered) - LINES} more.")
    return _message(f"Use {whose}", lines, picture, drawing=drawing)


def cost(
    view: SpendingHistory, chart: CostChart, whose: str, days: int, picture: bytes | None, *, drawing: bool
) -> Message:
    money = chart.unit == "$"
    if not view.spent:
        return _message(f"Cost {whose}", [f"Nothing was spent in {_days(days)}."], picture, drawing=drawing)
    tokens = sum(one.tokens for one in view.spent)
    calls = sum(one.calls for one in view.spent)
    paid = sum(one.microdollars for one in view.spent)
    amount = f"**{worded(Unit.MICRODOLLARS, paid)}** · " if money else ""
    lines = [f"{amount}{tokens:,} tokens · {count(calls, 'call')} in {_days(days)}."]
    if not money:
        lines.append("No call had a price: a subscription, or a model that has none in the settings.")
    by_day = {
        day: sum(one.microdollars if money else one.tokens for one in spent)
        for day, spent in groupby(view.spent, key=lambda one: one.day)
    }
    dearest = max(by_day, key=lambda day: by_day[day])
    worth = worded(Unit.MICRODOLLARS if money else Unit.TOKENS, by_day[dearest])
    lines.append(f"The dearest day: {dearest.isoformat()} (UTC), {worth}.")
    for stack in chart.stacks:
        part = math.fsum(one or 0.0 for one in stack.values)
        share = part / chart.total if chart.total else 0.0
        lines.append(f"• {plain(stack.name, 80)} {share:.0%}")
    return _message(f"Cost {whose}", lines, picture, drawing=drawing)


def dependencies(view: NeedsGraph, whose: str, picture: bytes | None, *, drawing: bool) -> Message:
    waits: dict[str, list[str]] = {}
    for need in view.needs:
        waits.setdefault(need.story, []).append(need.needs)
    if not waits:
        lines = ["No story waits for another. `/backlog edit` says what a story `needs`."]
        return _message(f"Dependencies {whose}", lines, picture, drawing=drawing)
    lines = [f"{count(len(waits), 'story waits', 'stories wait')} for others, or waited:"]
    for story in [one.id for one in view.stories if one.id in waits][:LINES]:
        lines.append(f"{code(story, 80)} after {', '.join(code(one, 80) for one in waits[story])}")
    if len(waits) > LINES:
        lines.append(f"and {len(waits) - LINES} more.")
    return _message(f"Dependencies {whose}", lines, picture, drawing=drawing)


def _message(heading: str, lines: Sequence[str], picture: bytes | None, *, drawing: bool) -> Message:
    said = [cut("\n".join(lines), _LINES_LIMIT)]
    if picture is None:
        said.append("Drawing the picture…" if drawing else "The picture could not be drawn.")
    card = Card(title=heading, body="\n".join(said), image=NAME if picture is not None else "")
    files = (Attachment(name=NAME, data=picture),) if picture is not None else ()
    return Message(cards=(card,), attachments=files)


def _days(days: int) -> str:
    return "the last day" if days == 1 else f"the last {days} days"


def _mean(one: ProjectUse, name: str) -> float:
    return math.fsum(getattr(point, name) for point in one.points) / len(one.points)


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `2.5 h` or `3.2 days`."""
    for size, unit in ((86_400 * 3, "days"), (5400, "h"), (90, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.0f} s"
