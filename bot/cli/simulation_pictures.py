"""Draws what came of a simulated week, for a phone's width. Only the one-shot process imports this."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from bot.discord.palette import BACK, DIM, DPI, INK, LINE, OVER, PANEL, SOFT, lettering, png

_WIDTH = 6.4  # inches
_COLOURS = (LINE, "#7c8cff", OVER, "#eb6fa0", "#5cc8e6", "#c792ea")
_MOST_PROJECTS = 16
_HOUR = 3600.0


def pictures(found: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Names of files and PNG bytes. `found` is bot.cli.simulation_charts' JSON."""
    yield "waits.png", waits(found)
    yield "utilisation.png", utilisation(found)
    for strategy in found["strategies"]:
        safe = "".join(c if c.isalnum() or c in "_-" else "-" for c in strategy["name"])
        yield f"shares-{safe}.png", shares(found, strategy)


def waits(found: Mapping[str, Any]) -> bytes:
    """Which part of the phases had to wait longer than so long; both scales by tens, so that the few who
    waited longest can be seen."""
    strategies = found["strategies"]
    figure, axes = _figure("How long phases waited for room", found, len(strategies), height=5.4)
    least = 30.0
    for at, strategy in enumerate(strategies):
        values = strategy["quantiles"]
        points = [(max(value, least), 1.0 - part / 100.0) for part, value in enumerate(values)]
        points = [(x, y) for x, y in points if y > 0.0]
        longest = max(strategy["longest"], least)
        tail = min((y for _, y in points), default=0.01)
        xs = [least, *(x for x, _ in points), longest]
        ys = [1.0, *(y for _, y in points), tail * 0.5]
        axes.plot(xs, ys, color=_colour(at), linewidth=3.2, solid_joinstyle="round", alpha=0.95)
        axes.plot([longest], [ys[-1]], "o", color=_colour(at), markersize=9, clip_on=False, zorder=5)
    patience = found["patience_seconds"]
    axes.axvline(patience, color=DIM, linewidth=1.6, linestyle=(0, (4, 3)), zorder=0)
    most = max([patience * 1.6, *(max(s["longest"], least) * 1.25 for s in strategies)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(least, most)
    axes.set_ylim(0.004, 1.0)
    ticks = [t for t in (60, 300, 900, 3600, 4 * _HOUR, 24 * _HOUR, 96 * _HOUR) if least <= t <= most]
    axes.set_xticks(ticks, [_span(tick) for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(
        [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01], ["100 %", "50 %", "20 %", "10 %", "5 %", "2 %", "1 %"]
    )
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_xlabel("waited longer than; the dot is the longest wait", color=SOFT, fontsize=12, labelpad=8)
    side = "right" if math.log(patience / least) > 0.6 * math.log(most / least) else "left"
    axes.text(
        patience, 0.86, f" {patience / 60:g} min, too long ", color=SOFT, fontsize=11.5, va="top", ha=side
    )
    return png(figure)


def utilisation(found: Mapping[str, Any]) -> bytes:
    """A panel a strategy: the agents that were at work, and how many phases waited."""
    strategies = found["strategies"]
    each = 1.75
    height = 1.05 + each * len(strategies)
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    _title(figure, "Agents at work over time", found, height)
    most = max([1.0, *(max(s["waiting"], default=0.0) for s in strategies)])
    for at, strategy in enumerate(strategies):
        bottom = (height - 1.0 - each * (at + 1) + 0.36) / height
        axes = figure.add_axes((0.115, bottom, 0.775, (each - 0.62) / height))
        _plain(axes)
        used, waiting = strategy["agents"], strategy["waiting"]
        hours = list(range(len(used)))
        axes.fill_between(hours, used, step="post", color=_colour(at), alpha=0.5, linewidth=0)
        axes.step(hours, used, where="post", color=_colour(at), linewidth=1.6)
        axes.set_ylim(0, 1.04)
        axes.set_xlim(0, max(len(used) - 1, 1))
        axes.set_yticks([0.5, 1], ["50 %", "100 %"])
        beside = axes.twinx()
        _plain(beside)
        beside.plot(hours, waiting, color=INK, linewidth=1.3, alpha=0.85)
        beside.set_ylim(0, most * 1.04)
        beside.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        beside.grid(visible=False)
        _days(axes, found["starts_at"], len(used), labels=True)
        axes.set_title(
            lettering(strategy["name"]), color=_colour(at), fontsize=13, fontweight="bold", loc="left", pad=5
        )
    figure.text(0.03, 1 - 0.82 / height, "▇ part of all agents", color=SOFT, fontsize=12, va="center")
    figure.text(0.45, 1 - 0.82 / height, "— phases that waited (right)", color=INK, fontsize=12, va="center")
    return png(figure)


def shares(found: Mapping[str, Any], strategy: Mapping[str, Any]) -> bytes:
    """A row a project: what it held against what was due, while something waited."""
    rows = [each for each in strategy["projects"] if each["due"] > 0.0]
    rows.sort(key=lambda each: (-each["due"], each["name"]))
    left_out = len(rows) - _MOST_PROJECTS
    if left_out > 0:
        worst = sorted(rows, key=lambda each: each["held"] / each["due"])[: _MOST_PROJECTS // 2]
        largest = [each for each in rows if each not in worst][: _MOST_PROJECTS - len(worst)]
        rows = sorted(largest + worst, key=lambda each: (-each["due"], each["name"]))
    height = 1.75 + 0.36 * max(len(rows), 2) + 0.3
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    _title(figure, f"Shares under {strategy['name']}", found, height)
    note = f"Jain's index {strategy['jain']:.2f}"
    if left_out > 0:
        note += f"; the largest and the worst served of {len(rows) + left_out}"
    figure.text(0.03, 1 - 0.86 / height, note, color=SOFT, fontsize=12, va="center")
    axes = figure.add_axes((0.27, 0.3 / height, 0.58, 0.36 * max(len(rows), 2) / height))
    _plain(axes)
    axes.grid(visible=False)
    largest_share = max([0.01, *(max(each["held"], each["due"]) for each in rows)])
    for at, each in enumerate(rows):
        part = each["held"] / each["due"]
        colour = "#ed6a5e" if part < 0.5 else OVER if part < 0.8 else LINE
        axes.barh(at, each["held"], height=0.58, color=colour, linewidth=0)
        axes.plot([each["due"]] * 2, [at - 0.38, at + 0.38], color=INK, linewidth=2.4, solid_capstyle="butt")
        axes.text(
            1.03, at, f"{part * 100:.0f} %", color=INK, fontsize=12, va="center",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [lettering(each["name"], 15) for each in rows])
    axes.tick_params(axis="y", labelcolor=INK, labelsize=12.5)
    axes.set_ylim(max(len(rows), 2) - 0.5, -0.5)
    axes.set_xlim(0, largest_share * 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(
        PercentFormatter(1.0, decimals=0 if largest_share >= 0.04 else 1, symbol=" %")
    )
    axes.xaxis.tick_top()
    for x, text, colour in ((0.03, "▇ held", LINE), (0.19, "❘ due", INK), (0.33, "of what was due:", SOFT)):
        figure.text(x, 1 - 1.16 / height, text, color=colour, fontsize=12, va="center")
    for x, text, colour in ((0.62, "< 80 %", OVER), (0.78, "< 50 %", "#ed6a5e")):
        figure.text(x, 1 - 1.16 / height, f"▇ {text}", color=colour, fontsize=12, va="center")
    return png(figure)


# -- what they have in common -------------------------------------------------------------------


def _figure(title: str, found: Mapping[str, Any], names: int, *, height: float) -> tuple[Figure, Axes]:
    rows = (names + 2) // 3
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    _title(figure, title, found, height)
    for at, strategy in enumerate(found["strategies"]):
        x, y = 0.03 + 0.32 * (at % 3), 1 - (0.86 + 0.28 * (at // 3)) / height
        figure.text(
            x, y, f"▇ {lettering(strategy['name'], 17)}", color=_colour(at), fontsize=12.5, va="center"
        )
    top = 0.9 + 0.28 * rows
    axes = figure.add_axes((0.125, 0.85 / height, 0.83, 1 - (top + 0.85) / height))
    _plain(axes)
    return figure, axes


def _title(figure: Figure, title: str, found: Mapping[str, Any], height: float) -> None:
    figure.text(
        0.03, 1 - 0.28 / height, lettering(title), color=INK, fontsize=16, fontweight="bold", va="center"
    )
    figure.text(0.03, 1 - 0.56 / height, lettering(found["title"], 60), color=SOFT, fontsize=12, va="center")


def _plain(axes: Axes) -> None:
    axes.set_facecolor(BACK)
    axes.tick_params(colors=SOFT, labelsize=12, length=0)
    axes.grid(color=PANEL, linewidth=1.1)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


def _days(axes: Axes, starts_at: float, hours: int, *, labels: bool) -> None:
    """A tick at the beginning of each day (or a few, of many), named by it."""
    start = datetime.fromtimestamp(starts_at, UTC)
    first = (24 - start.hour) % 24
    ticks = list(range(first, hours, 24))
    every = max(1, (len(ticks) + 6) // 7)
    ticks = ticks[::every]
    form = "%a" if len(ticks) > 1 and every == 1 else "%d %b"
    if not ticks:
        ticks, form = [0], "%a %H:%M"
    names = [f"{start + timedelta(hours=tick):{form}}" for tick in ticks]
    axes.set_xticks(ticks, names if labels else [])


def _colour(at: int) -> str:
    return _COLOURS[at % len(_COLOURS)]


def _span(seconds: float) -> str:
    if seconds < _HOUR:
        return f"{seconds / 60:g} min"
    return f"{seconds / _HOUR:g} h" if seconds < 48 * _HOUR else f"{seconds / 86400:g} d"
