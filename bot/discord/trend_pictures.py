"""Pictures of how things went: cycle times, use, cost. Only the one-shot process imports this.

Colours of stacks are Okabe and Ito's, which people with any colour vision tell apart; the legend is in
the stacks' own order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bot.discord.palette import BACK, DPI, INK, LINE, OVER, PANEL, SOFT, lettering, png

_WIDTH = 6.4  # inches
_STACKS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#8a8f98")
_NAME_LETTERS = {3: 17, 2: 28}  # of a name in the legend, by its columns


def cycle_times(chart: Mapping[str, Any]) -> bytes:
    """See cogs.trend.CycleTimeChart."""
    figure = Figure(figsize=(_WIDTH, 4.8), dpi=DPI, facecolor=BACK)
    axes = _axes(figure, (0.13, 0.12, 0.8, 0.66))
    _title(figure, chart["title"], 0.93)
    longest = max(chart["hours"], default=1.0)
    unit, scale = _unit(longest)
    figure.text(
        0.03, 0.85, f"● a merged story: {unit} to its merge (UTC)", color=LINE, fontsize=12, va="center"
    )
    at, values = _days(chart["at"]), [one * scale for one in chart["hours"]]
    axes.scatter(at, values, s=52, color=LINE, alpha=0.85, linewidths=0, zorder=3, clip_on=False)
    begin, end = _days((chart["since"], chart["until"]))
    axes.set_xlim(begin, end)
    axes.set_ylim(0, max(longest * scale * 1.12, 1e-9))
    for key, words, colour, style, place in (
        ("most", "85 % within", OVER, (0, (4, 3)), 1.0),
        ("median", "half within", INK, "solid", 0.0),
    ):
        if chart[key] is not None:
            level = chart[key] * scale
            axes.axhline(level, color=colour, linewidth=2, linestyle=style, zorder=2)
            axes.annotate(
                f"{words} {level:.3g}",
                (place, level),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                xytext=(6 - 12 * place, 5),
                ha="right" if place else "left",  # far from each other: they may be alike
                color=colour,
                fontsize=12.5,
                fontweight="bold",
                zorder=4,
                bbox={"facecolor": BACK, "edgecolor": "none", "pad": 1, "alpha": 0.8},
            )
    if not at:
        axes.set_yticks([])
        _nothing(axes, "no story was merged in this time")
    _dates(axes, end - begin)
    return png(figure)


def use(chart: Mapping[str, Any]) -> bytes:
    """See cogs.trend.UseChart: a panel a resource, one above the other, over the same time."""
    panels = chart["panels"]
    names = list(dict.fromkeys(stack["name"] for panel in panels for stack in panel["stacks"]))
    colours = {name: _STACKS[place % len(_STACKS)] for place, name in enumerate(names)}
    entries = [(name, colours[name]) for name in names]
    if any(one is not None for panel in panels for one in panel["allocated"]):
        entries.append(("allocated", INK))
    lines = math.ceil(len(entries) / _columns(entries))
    each, head, foot = 1.75, 0.72 + 0.28 * lines, 0.62
    height = head + each * len(panels) + foot
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    _title(figure, chart["title"], 1 - 0.32 / height)
    _legend(figure, entries, 1 - 0.68 / height, height)
    days = _days(chart["at"])
    # A span's figure stands in the middle of it; a gap of one breaks the curve.
    middles = [one + chart["seconds"] / 172_800 for one in days]
    for place, panel in enumerate(panels):
        bottom = (foot + each * (len(panels) - 1 - place) + 0.1) / height
        axes = _axes(figure, (0.13, bottom, 0.8, (each - 0.48) / height))
        last = place == len(panels) - 1
        _panel(axes, panel, middles, colours)
        axes.set_xlim(days[0], days[-1] + chart["seconds"] / 86_400)
        _dates(axes, days[-1] - days[0] + chart["seconds"] / 86_400)
        if not last:
            axes.set_xticklabels([])
    return png(figure)


def _panel(
    axes: Axes, panel: Mapping[str, Any], middles: Sequence[float], colours: Mapping[str, str]
) -> None:
    unit = f", {panel['unit']}" if panel["unit"] else ""
    axes.set_title(f"{panel['label']}{unit}", loc="left", color=INK, fontsize=13, fontweight="bold", pad=5)
    below = [0.0] * len(middles)
    known = [
        any(stack["values"][place] is not None for stack in panel["stacks"]) for place in range(len(middles))
    ]
    for stack in panel["stacks"]:
        top = [low + (one or 0.0) for low, one in zip(below, stack["values"], strict=True)]
        axes.fill_between(
            middles,
            below,
            top,
            where=known,
            color=colours[stack["name"]],
            alpha=0.75,
            linewidth=0.8,
            zorder=2,
        )
        seen = [one if is_known else math.nan for one, is_known in zip(top, known, strict=True)]
        axes.plot(middles, seen, color=colours[stack["name"]], linewidth=2, marker=_lone(known), zorder=3)
        below = top
    given = [math.nan if one is None else one for one in panel["allocated"]]
    axes.plot(middles, given, color=INK, linewidth=1.8, linestyle=(0, (4, 3)), zorder=4)
    most = max([*below, *(one for one in given if not math.isnan(one))], default=0.0)
    axes.set_ylim(0, most * 1.15 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    if not any(known):
        _nothing(axes, "no data")


def _lone(known: Sequence[bool]) -> str:
    """A dot for what has no neighbour: a line of one point is not seen."""
    padded = [False, *known, False]
    lone = any(here and not padded[place] and not padded[place + 2] for place, here in enumerate(known))
    return "." if lone else ""


def cost(chart: Mapping[str, Any]) -> bytes:
    """See cogs.trend.CostChart."""
    entries = [(stack["name"], _STACKS[place % len(_STACKS)]) for place, stack in enumerate(chart["stacks"])]
    lines = math.ceil(len(entries) / _columns(entries))
    head, foot = 1.05 + 0.28 * lines, 0.62
    height = head + 3.1 + foot
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    _title(figure, chart["title"], 1 - 0.32 / height)
    money = chart["unit"] == "$"
    total = _money(chart["total"]) if money else f"{_short(chart['total'])} tokens"
    each = "day" if chart["days"] == 1 else "week"
    figure.text(
        0.03, 1 - 0.66 / height, f"{total} in all, by {each} (UTC)", color=SOFT, fontsize=12.5, va="center"
    )
    _legend(figure, entries, 1 - 1.0 / height, height)
    axes = _axes(figure, (0.13, foot / height, 0.8, 3.1 / height))
    at = _days(chart["at"])
    wide = chart["days"] * 0.78
    below = [0.0] * len(at)
    for stack, (_, colour) in zip(chart["stacks"], entries, strict=True):
        values = [one or 0.0 for one in stack["values"]]
        left = [one + (chart["days"] - wide) / 2 for one in at]
        axes.bar(left, values, width=wide, bottom=below, color=colour, align="edge", linewidth=0, zorder=2)
        below = [low + one for low, one in zip(below, values, strict=True)]
    axes.set_xlim(at[0], at[-1] + chart["days"])
    axes.set_ylim(0, max(below) * 1.15 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    whole = max(below) >= 10
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda one, _: _money(one, whole=whole) if money else _short(one))
    )
    if not any(below):
        _nothing(axes, "nothing was spent")
    _dates(axes, at[-1] - at[0] + chart["days"], whole_days=True)
    return png(figure)


# -- what they share ---------------------------------------------------------------------------


def _axes(figure: Figure, place: tuple[float, float, float, float]) -> Axes:
    axes = figure.add_axes(place)
    axes.set_facecolor(BACK)
    axes.tick_params(colors=SOFT, labelsize=12.5, length=0)
    axes.grid(axis="y", color=PANEL, linewidth=1.2)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def _title(figure: Figure, title: str, y: float) -> None:
    figure.text(0.03, y, lettering(title), color=INK, fontsize=16, fontweight="bold", va="center")


def _columns(entries: Sequence[tuple[str, str]]) -> int:
    return 2 if any(len(name) > _NAME_LETTERS[3] for name, _ in entries) else 3


def _legend(figure: Figure, entries: Sequence[tuple[str, str]], top: float, height: float) -> None:
    columns = _columns(entries)
    most = _NAME_LETTERS[columns]
    for place, (name, colour) in enumerate(entries):
        line, column = divmod(place, columns)
        x, y, size = 0.03 + column * 0.97 / columns, top - 0.28 * line / height, 0.14 / height
        figure.add_artist(Rectangle((x, y - size / 2), 0.022, size, facecolor=colour, linewidth=0))
        shown = name if len(name) <= most else f"{name[: most - 8]}…{name[-7:]}"
        figure.text(x + 0.032, y, lettering(shown), color=SOFT, fontsize=12, va="center")


def _dates(axes: Axes, span: float, *, whole_days: bool = False) -> None:
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
    clock = "%H:%M" if span <= 1 else "%d %b\n%H:%M" if span < 4 else "%d %b"
    axes.xaxis.set_major_formatter(DateFormatter("%d %b" if whole_days else clock))


def _nothing(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, color=SOFT, fontsize=13, ha="center", va="center")


def _unit(hours: float) -> tuple[str, float]:
    """In what a time of so many hours is told, and how many of it are an hour."""
    if hours < 2:
        return "minutes", 60.0
    return ("hours", 1.0) if hours < 72 else ("days", 1 / 24)


def _money(amount: float, *, whole: bool = False) -> str:
    return rf"\${amount:,.0f}" if whole or amount >= 1000 else rf"\${amount:,.2f}"


def _short(amount: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= size:
            return f"{amount / size:.3g}{sign}"
    return f"{amount:.3g}"


def _days(seconds: Sequence[float]) -> list[float]:
    return [float(date2num(datetime.fromtimestamp(one, UTC))) for one in seconds]
