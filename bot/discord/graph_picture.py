"""The picture of who waits for whom. Only the one-shot process imports this."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from bot.discord.palette import BACK, DIM, DPI, INK, LINE, OVER, PANEL, PLAN, SOFT, lettering, png
from cogs.graph import COLUMNS

_WIDTH, _ROW, _HEAD, _FOOT = 6.4, 1.32, 0.5, 0.42  # inches
_BOX_WIDTH, _BOX_HEIGHT = 1.98, 0.92
_LETTERS = 22  # of a line in a box
_HEAD_LETTERS = 17  # of its first, which is larger
# The word stands in the box as well: nobody has to know the colours.
_EDGES = {
    "running": "#8ea1ff",
    "awaiting approval": OVER,
    "blocked": "#f2777a",
    "done": LINE,
}


def graph(chart: Mapping[str, Any]) -> bytes:
    """See cogs.graph.GraphChart."""
    rows = max(chart["rows"], 2)
    height = _HEAD + _ROW * rows + _FOOT
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(0, height)
    axes.axis("off")
    axes.text(
        0.2, height - 0.32, lettering(chart["title"]), color=INK, fontsize=16, fontweight="bold", va="center"
    )
    middles = [_middle(box, height) for box in chart["boxes"]]
    for arrow in chart["arrows"]:
        _arrow(axes, middles[arrow["start"]], middles[arrow["end"]], met=arrow["met"])
    for box, middle in zip(chart["boxes"], middles, strict=True):
        _box(axes, box, middle)
    said = "↓ what is above comes first" if chart["boxes"] else ""
    if chart["more"]:
        said += f" · and {chart['more']} more"
    axes.text(0.2, 0.22, said, color=SOFT, fontsize=12, va="center")
    if not chart["boxes"]:
        axes.text(_WIDTH / 2, height / 2, "no story waits for another", color=SOFT, fontsize=13, ha="center")
    return png(figure)


def _middle(box: Mapping[str, Any], height: float) -> tuple[float, float]:
    x = _WIDTH / COLUMNS * (box["column"] + 0.5)
    return x, height - _HEAD - _ROW * (box["row"] + 0.5)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, met: bool) -> None:
    """From the lower edge to the upper one; between two of one row at their sides."""
    if abs(start[1] - end[1]) < _ROW / 2:
        side = _BOX_WIDTH / 2 * (1 if end[0] > start[0] else -1)
        begin, stop = (start[0] + side, start[1]), (end[0] - side, end[1])
    else:
        begin, stop = (start[0], start[1] - _BOX_HEIGHT / 2), (end[0], end[1] + _BOX_HEIGHT / 2)
    bent = start[1] - end[1] > 1.5 * _ROW and abs(start[0] - end[0]) < 0.1  # past a box that is in between
    axes.add_patch(
        FancyArrowPatch(
            begin,
            stop,
            arrowstyle="-|>",
            connectionstyle=f"arc3,rad={0.35 if bent else 0.0}",
            mutation_scale=18,
            linewidth=2.2,
            linestyle=(0, (3, 2)) if met else "solid",
            color=DIM if met else PLAN,
            shrinkA=0,
            shrinkB=1,
            zorder=1,
        )
    )


def _box(axes: Axes, box: Mapping[str, Any], middle: tuple[float, float]) -> None:
    x, y = middle
    edge = _EDGES.get(box["status"])
    axes.add_patch(
        FancyBboxPatch(
            (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2),
            _BOX_WIDTH,
            _BOX_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=PANEL,
            edgecolor=edge or DIM,
            linewidth=2.6 if edge else 1.4,
            zorder=2,
        )
    )
    left, right, top = x - _BOX_WIDTH / 2 + 0.09, x + _BOX_WIDTH / 2 - 0.09, y + _BOX_HEIGHT / 2
    lines = textwrap.wrap(box["title"], _LETTERS, max_lines=2, placeholder="…") or [""]

    def say(below: float, words: str, size: float, **more: Any) -> None:
        style = {"x": left, "color": INK, "va": "center", "zorder": 3, **more}
        axes.text(y=top - below, s=words, fontsize=size, **style)

    say(0.17, lettering(_end(box["id"]), 99), 12, fontweight="bold")
    say(0.46, lettering("\n".join(lines), 99), 10.5, linespacing=1.15)
    say(0.77, box["status"], 11, color=edge or SOFT, fontweight="bold")
    say(0.17, lettering(_after(box)), 10.5, x=right, color=SOFT, ha="right")


def _after(box: Mapping[str, Any]) -> str:
    """Where arrows cross, the numbers still say it, as far as there is room; of the same project without its
    name."""
    own = box["id"].rpartition("-")[0]
    names = [one.rpartition("-")[2] if one.rpartition("-")[0] == own else _end(one) for one in box["after"]]
    if not names:
        return ""
    room = _HEAD_LETTERS - len(_end(box["id"]))
    said = ", ".join(names)
    for shorter in (f"needs {said}", f"↑ {said}", f"↑ {names[0]}, …"):
        if len(shorter) <= room:
            return shorter
    return ""


def _end(story_id: str) -> str:
    return story_id if len(story_id) <= 18 else f"…{story_id[-17:]}"
