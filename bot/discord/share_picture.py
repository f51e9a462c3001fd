"""The picture of what projects hold: a panel a resource, a row a project. Only the one-shot process imports
this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from bot.discord.palette import BACK, DIM, DPI, INK, LINE, OVER, PANEL, SOFT, lettering, png

_WIDTH, _ROW, _HEAD, _FOOT = 6.4, 0.4, 1.5, 0.5  # inches
_NAMES = 0.27  # of the width
_GAP = 0.035
_THICK = 0.56  # of a row
_NAME_LETTERS, _NAME_POINTS = 15, 12.5


def shares(chart: Mapping[str, Any]) -> bytes:
    """`title`; `names`; `summed`: whether the last name is of many projects; `panels` with `label`, `unit`,
    `taken`, `capacity` (or None) and as many `bars` as there are names: `held`, `allocated` (or None),
    `entitled`."""
    names, panels = chart["names"], chart["panels"]
    rows = max(len(names), 2)
    height = _HEAD + _ROW * rows + _FOOT
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor=BACK)
    figure.text(
        0.03,
        1 - 0.28 / height,
        lettering(chart["title"]),
        color=INK,
        fontsize=16,
        fontweight="bold",
        va="center",
    )
    width = (0.97 - _NAMES - _GAP * (len(panels) - 1)) / max(len(panels), 1)
    for place, panel in enumerate(panels):
        left = _NAMES + place * (width + _GAP)
        _heading(figure, panel, left, width, height)
        axes = figure.add_axes((left, _FOOT / height, width, _ROW * rows / height))
        own = panel["bars"][:-1] if chart["summed"] else panel["bars"]
        _rows(axes, own, rows)
        if chart["summed"]:  # a bar of its size would leave the others none to speak of
            axes.text(0, len(own), f"{panel['bars'][-1]['held']:,.4g}", color=SOFT, fontsize=12, va="center")
    for row, name in enumerate(names):
        _name(figure, name, 1 - (_HEAD + _ROW * (row + 0.5)) / height)
    if not names:
        figure.text(0.5, (_FOOT + _ROW) / height, "no project yet", color=SOFT, fontsize=13, ha="center")
    _legend(figure, height)
    return png(figure)


def _name(figure: Figure, name: str, y: float) -> None:
    """In front of its row, smaller where its letters are wide."""
    right = _NAMES - 0.015
    text = figure.text(
        right, y, lettering(_short(name)), color=INK, fontsize=_NAME_POINTS, ha="right", va="center"
    )
    wide = text.get_window_extent().width / (DPI * _WIDTH)
    if wide > right - 0.01:
        text.set_fontsize(_NAME_POINTS * (right - 0.01) / wide)


def _heading(figure: Figure, panel: Mapping[str, Any], left: float, width: float, height: float) -> None:
    """The resource, how much of it is taken, and a bar of that."""
    taken, capacity = panel["taken"], panel["capacity"]
    unit = f" {panel['unit']}" if panel["unit"] else ""
    said = f"{taken:g} of {capacity:.3g}{unit}" if capacity else f"{taken:g}{unit}, no limit"
    top = 1 - 0.68 / height
    figure.text(left, top, panel["label"], color=INK, fontsize=13.5, fontweight="bold", va="center")
    figure.text(left, top - 0.26 / height, said, color=SOFT, fontsize=12, va="center")
    y, thick = top - 0.55 / height, 0.11 / height
    figure.add_artist(Rectangle((left, y), width, thick, facecolor=PANEL, linewidth=0))
    if capacity:
        part = min(taken / capacity, 1.0)
        colour = OVER if part > 0.95 else LINE
        figure.add_artist(Rectangle((left, y), width * part, thick, facecolor=colour, linewidth=0))


def _rows(axes: Axes, bars: list[Mapping[str, Any]], rows: int) -> None:
    """To the scale of the panel's longest bar; its figure stands behind each."""
    most = max((max(bar["held"], bar["allocated"] or 0.0, bar["entitled"]) for bar in bars), default=0.0)
    most = most or 1.0
    axes.set_xlim(0, most * 1.42)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axis("off")
    for row, bar in enumerate(bars):
        held, given, entitled = bar["held"], bar["allocated"], bar["entitled"]
        low = row - _THICK / 2
        if given:
            axes.add_patch(Rectangle((0, low), given, _THICK, facecolor=DIM, linewidth=0))
        inside = held if given is None else min(held, given)
        axes.add_patch(Rectangle((0, low), inside, _THICK, facecolor=LINE, linewidth=0))
        if held > inside:
            axes.add_patch(Rectangle((inside, low), held - inside, _THICK, facecolor=OVER, linewidth=0))
        if entitled:
            axes.add_artist(Line2D((entitled, entitled), (row - 0.42, row + 0.42), color=INK, linewidth=2.2))
        end = max(held, given or 0.0, entitled)
        axes.text(
            end + most * 0.05,
            row,
            f"{held:,.4g}",
            color=INK if held else SOFT,
            fontsize=12,
            va="center",
        )


def _short(name: str) -> str:
    """Its beginning and its end: names of one house begin alike."""
    if len(name) <= _NAME_LETTERS:
        return name
    end = _NAME_LETTERS // 2 - 1
    return f"{name[: _NAME_LETTERS - 1 - end]}…{name[-end:]}"


def _legend(figure: Figure, height: float) -> None:
    y, size = 0.2 / height, 0.13 / height
    for left, colour, text in (
        (0.03, LINE, "holds"),
        (0.18, OVER, "above allocation"),
        (0.5, DIM, "allocated"),
    ):
        figure.add_artist(Rectangle((left, y - size / 2), 0.022, size, facecolor=colour, linewidth=0))
        figure.text(left + 0.032, y, text, color=SOFT, fontsize=11.5, va="center")
    figure.add_artist(Rectangle((0.715, y - size * 0.8), 0.006, size * 1.6, facecolor=INK, linewidth=0))
    figure.text(0.735, y, "entitled to", color=SOFT, fontsize=11.5, va="center")
