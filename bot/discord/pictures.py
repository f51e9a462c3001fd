"""Draws charts as PNG bytes, for a dark theme and a phone's width. Only the one-shot process imports this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from bot.discord.palette import BACK, DPI, INK, LINE, LIT, PANEL, PLAN, SOFT, lettering, png
from core.domain.lifecycles import WORKFLOW, WorkflowFact, WorkflowState

_S = WorkflowState


def burndown(chart: Mapping[str, Any]) -> bytes:
    """`actual` and `ideal` (or None): `at` in seconds since the epoch, `points`; `title`."""
    figure = Figure(figsize=(6.4, 4.6), dpi=DPI, facecolor=BACK)
    axes = figure.add_axes((0.1, 0.15, 0.82, 0.67))
    axes.set_facecolor(BACK)
    at, points = _days(chart["actual"]["at"]), chart["actual"]["points"]
    if chart["ideal"] is not None:
        axes.plot(
            _days(chart["ideal"]["at"]),
            chart["ideal"]["points"],
            color=PLAN,
            linewidth=2,
            linestyle=(0, (4, 3)),
        )
    if at:
        axes.step(at, points, where="post", color=LINE, linewidth=3.5, solid_capstyle="round")
        axes.fill_between(at, points, step="post", color=LINE, alpha=0.14, linewidth=0)
        axes.plot(at[-1:], points[-1:], "o", color=LINE, markersize=9, clip_on=False, zorder=5)
        axes.annotate(
            f"{points[-1]:g}",
            (at[-1], points[-1]),
            textcoords="offset points",
            xytext=(9, 9),
            ha="left",
            color=INK,
            fontsize=15,
            fontweight="bold",
        )
    _scale(axes, at, points, chart["ideal"])
    figure.text(0.03, 0.93, lettering(chart["title"]), color=INK, fontsize=16, fontweight="bold", va="center")
    figure.text(0.03, 0.86, "— points left (UTC)", color=LINE, fontsize=12, va="center")
    if chart["ideal"] is not None:
        figure.text(0.38, 0.86, "- - as planned", color=SOFT, fontsize=12, va="center")
    return png(figure)


def _scale(axes: Axes, at: Sequence[float], points: Sequence[float], ideal: Any) -> None:
    every = [*points, *(ideal["points"] if ideal else ())]
    axes.set_ylim(0, max(every, default=1) * 1.18 or 1)
    days = [*at, *(_days(ideal["at"]) if ideal else ())]
    if days:
        room = max(max(days) - min(days), 1 / 48) * 0.03
        axes.set_xlim(min(days) - room, max(days) + 2 * room)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
    span = max(days) - min(days) if days else 0
    # Ticks fall within a day for the first few days: each needs its hour.
    axes.xaxis.set_major_formatter(
        DateFormatter("%H:%M" if span < 1 else "%d %b\n%H:%M" if span < 5 else "%d %b")
    )
    axes.tick_params(colors=SOFT, labelsize=13, length=0)
    axes.grid(axis="y", color=PANEL, linewidth=1.2)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)


# -- the workflow ------------------------------------------------------------------------------

_PLACES: Mapping[WorkflowState, tuple[float, float]] = {
    _S.IDLE: (5, 11.2),
    _S.BACKLOG_READY: (5, 8.7),
    _S.SPRINT_PLANNED: (5, 6.2),
    _S.SPRINT_ACTIVE: (5, 3.7),
    _S.SPRINT_PAUSED: (2.0, 1.2),
    _S.BLOCKED: (8.0, 1.2),
    _S.SPRINT_REVIEW: (5, -1.3),
}
_HALF_WIDTH, _HALF_HEIGHT = 1.42, 0.42
_SHORT = {
    WorkflowFact.BACKLOG_FILLED: "a story comes in",
    WorkflowFact.BACKLOG_EMPTIED: "nothing left",
    WorkflowFact.SPRINT_FINISHED: "every story ended",
    WorkflowFact.SPRINT_STUCK: "stuck",
    WorkflowFact.USAGE_LIMITED: "usage limit",
    WorkflowFact.USAGE_RESET: "limit over",
}
# The points that an arrow passes, where its words stand, and how they are aligned there.
_Way = tuple[tuple[tuple[float, float], ...], tuple[float, float], str]
_WAYS: Mapping[tuple[WorkflowState, WorkflowState], _Way] = {
    (_S.IDLE, _S.BACKLOG_READY): (((5.5, 10.78), (5.5, 9.12)), (5.7, 9.95), "left"),
    (_S.BACKLOG_READY, _S.IDLE): (((4.5, 9.12), (4.5, 10.78)), (4.3, 9.95), "right"),
    (_S.BACKLOG_READY, _S.SPRINT_PLANNED): (((5, 8.28), (5, 6.62)), (5.2, 7.45), "left"),
    (_S.SPRINT_PLANNED, _S.SPRINT_ACTIVE): (((5, 5.78), (5, 4.12)), (5.2, 4.95), "left"),
    (_S.SPRINT_ACTIVE, _S.SPRINT_PAUSED): (((3.58, 3.7), (0.95, 3.7), (0.95, 1.62)), (3.3, 4.3), "right"),
    (_S.SPRINT_PAUSED, _S.SPRINT_ACTIVE): (((3.1, 1.62), (4.2, 3.28)), (3.2, 2.6), "right"),
    (_S.SPRINT_ACTIVE, _S.BLOCKED): (((6.42, 3.7), (9.05, 3.7), (9.05, 1.62)), (6.9, 4.05), "left"),
    (_S.BLOCKED, _S.SPRINT_ACTIVE): (((6.9, 1.62), (5.8, 3.28)), (6.8, 2.6), "left"),
    (_S.SPRINT_ACTIVE, _S.SPRINT_REVIEW): (((5, 3.28), (5, -0.88)), (5, 0.0), "center"),
    (_S.SPRINT_REVIEW, _S.BACKLOG_READY): (
        ((6.42, -1.3), (9.85, -1.3), (9.85, 8.7), (6.42, 8.7)),
        (9.75, 9.05),
        "right",
    ),
    (_S.SPRINT_REVIEW, _S.IDLE): (
        ((3.58, -1.3), (0.15, -1.3), (0.15, 11.2), (3.58, 11.2)),
        (0.3, 11.55),
        "left",
    ),
}


def workflow(chart: Mapping[str, Any]) -> bytes:
    """`state` is lit; `title`. The arrows are those of the table that the system obeys."""
    figure = Figure(figsize=(6.4, 8.2), dpi=DPI, facecolor=BACK)
    axes = figure.add_axes((0, 0, 1, 0.94))
    axes.set_xlim(-0.2, 10.2)
    axes.set_ylim(-2.0, 12.0)
    axes.axis("off")
    words: dict[tuple[WorkflowState, WorkflowState], list[str]] = {}
    for (before, event), after in WORKFLOW.items():
        if before is not after:
            named = _SHORT.get(event, str(event)) if isinstance(event, WorkflowFact) else f"/{event}"
            words.setdefault((before, after), []).append(named)
    for (before, after), said in words.items():
        _arrow(axes, before, after, said, lit=before == chart["state"])
    for state, place in _PLACES.items():
        _box(axes, str(state), place, lit=state == chart["state"])
    figure.text(
        0.03, 0.965, lettering(chart["title"]), color=INK, fontsize=16, fontweight="bold", va="center"
    )
    return png(figure)


def _arrow(
    axes: Axes, before: WorkflowState, after: WorkflowState, said: Sequence[str], *, lit: bool
) -> None:
    begin, end = _PLACES[before], _PLACES[after]
    middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
    points, at, align = _WAYS.get((before, after), ((begin, end), middle, "center"))
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points),
            arrowstyle="-|>",
            mutation_scale=20,
            linewidth=3 if lit else 1.8,
            color=LIT if lit else PLAN,
            joinstyle="round",
            zorder=1,
        )
    )
    axes.text(
        *at,
        "\n".join(said),
        color=INK if lit else SOFT,
        fontsize=11.5,
        fontweight="bold" if lit else "normal",
        ha=align,
        va="center",
        linespacing=1.25,
        bbox={"facecolor": BACK, "edgecolor": "none", "pad": 1.5},
        zorder=2,
    )


def _box(axes: Axes, name: str, place: tuple[float, float], *, lit: bool) -> None:
    x, y = place
    axes.add_patch(
        FancyBboxPatch(
            (x - _HALF_WIDTH, y - _HALF_HEIGHT),
            2 * _HALF_WIDTH,
            2 * _HALF_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.22",
            facecolor=LIT if lit else PANEL,
            edgecolor=INK if lit else PLAN,
            linewidth=2.5 if lit else 1.2,
            zorder=3,
        )
    )
    axes.text(x, y, name, color=INK, fontsize=11.5, fontweight="bold", ha="center", va="center", zorder=4)


def _days(seconds: Sequence[float]) -> list[float]:
    return [float(date2num(datetime.fromtimestamp(one, UTC))) for one in seconds]
