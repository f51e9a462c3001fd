"""Who waits for whom, laid out from left to right: what is needed stands left of what needs it. PURE.

Layers by the longest way, and in each layer the order of Sugiyama's barycentres (IEEE Trans. SMC
11(2), 1981), two passes; lines are cubic curves between the middles of sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.web.dashboard import signs
from core.domain.needs import layers_of
from core.domain.story import StoryStatus
from core.domain.trend import GraphStory, NeedsGraph

WIDE, HIGH = 208, 54  # of a story, in pixels
_BESIDE, _BELOW = 64, 14  # room between stories
_EDGE = 8
_MOST = 300  # stories that are drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`x` and `y`: of the left upper corner, in pixels. `waits_for`: those of its needs that are not done."""

    id: str
    title: str
    project: str
    sign: str
    word: str
    x: int
    y: int
    waits_for: tuple[str, ...]
    elsewhere: bool  # something of it is of another project


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`path`: of an SVG. `met`: what is needed is done."""

    path: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    width: int
    height: int
    more: int = 0  # stories for which there was no room


def graph_of(view: NeedsGraph, sees: Callable[[str], bool]) -> Graph:
    """Of the projects that somebody `sees`; of others' stories not even that they are there."""
    stories = [one for one in view.stories if sees(one.project)]
    drawn = {one.id: one for one in stories[:_MOST]}
    needs = view.among(drawn)
    columns = _ordered(layers_of(needs), needs)
    tallest = max((len(column) for column in columns), default=0)
    places: dict[str, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        above = (tallest - len(column)) * (HIGH + _BELOW) // 2
        for row, name in enumerate(column):
            places[name] = (
                _EDGE + number * (WIDE + _BESIDE),
                _EDGE + above + row * (HIGH + _BELOW),
            )
    nodes = tuple(_node(drawn[name], needs[name], drawn, place) for name, place in places.items())
    return Graph(
        nodes=nodes,
        lines=tuple(
            _line(places[needed], places[name], drawn[needed]) for name in needs for needed in needs[name]
        ),
        width=2 * _EDGE + max(len(columns) * (WIDE + _BESIDE) - _BESIDE, 0),
        height=2 * _EDGE + max(tallest * (HIGH + _BELOW) - _BELOW, 0),
        more=len(stories) - len(drawn),
    )


def _node(
    story: GraphStory, needs: Sequence[str], drawn: Mapping[str, GraphStory], place: tuple[int, int]
) -> Node:
    return Node(
        id=story.id,
        title=story.title,
        project=story.project,
        sign=signs.STORY[story.status],
        word=story.status.value.replace("_", " "),
        x=place[0],
        y=place[1],
        waits_for=tuple(one for one in needs if drawn[one].status is not StoryStatus.DONE),
        elsewhere=any(drawn[one].project != story.project for one in needs),
    )


def _line(start: tuple[int, int], end: tuple[int, int], needed: GraphStory) -> Line:
    x1, y1 = start[0] + WIDE, start[1] + HIGH // 2
    x2, y2 = end[0] - 6, end[1] + HIGH // 2
    bend = max(24, (x2 - x1) // 2)
    return Line(
        path=f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}",
        met=needed.status is StoryStatus.DONE,
    )


def _ordered(layers: Mapping[str, int], needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    columns: list[list[str]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
    for name, layer in layers.items():
        columns[layer].append(name)
    needed_by: dict[str, list[str]] = {name: [] for name in needs}
    for name, needed in needs.items():
        for one in needed:
            needed_by[one].append(name)
    for beside, order in ((needs, columns), (needed_by, columns[::-1])):
        at: dict[str, float] = {}
        for column in order:
            own = {name: place / max(1, len(column) - 1) for place, name in enumerate(column)}
            column.sort(key=lambda name: _middle([at[one] for one in beside[name] if one in at], own[name]))
            at |= {name: place / max(1, len(column) - 1) for place, name in enumerate(column)}
    return columns


def _middle(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise
