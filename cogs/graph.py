"""The picture of who waits for whom, as values: stories in rows, what is needed above what needs it. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain.needs import layers_of
from core.domain.story import StoryStatus
from core.domain.trend import GraphStory, NeedsGraph

COLUMNS = 3  # boxes that a phone shows beside each other
ROWS = 9
BOXES = COLUMNS * ROWS
_ENDED = frozenset({StoryStatus.DONE, StoryStatus.SKIPPED, StoryStatus.ABORTED, StoryStatus.REMOVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """`column` may be between two, so that a short row stands in the middle; `row` counts from the top.
    `after`: what it needs, as ids, also what has no box."""

    id: str
    title: str
    status: str
    after: tuple[str, ...]
    row: int
    column: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """From what is needed to what waits for it, as places in `boxes`. `met`: what is needed is done."""

    start: int
    end: int
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphChart:
    title: str
    rows: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    more: int  # stories for which there was no room


def graph_chart(view: NeedsGraph, title: str) -> GraphChart:
    """What can be worked on soonest comes first; of a graph that is too large the rest is counted."""
    by_id = {one.id: one for one in view.stories}
    needs = view.among(by_id)
    layers = layers_of(needs)
    kept = _kept(view.stories, layers)
    rows = _rows(kept, layers, needs)[:ROWS]
    boxes = tuple(
        Box(
            id=name,
            title=by_id[name].title,
            status=by_id[name].status.value,
            after=tuple(needs[name]),
            row=number,
            column=place + (COLUMNS - len(row)) / 2,
        )
        for number, row in enumerate(rows)
        for place, name in enumerate(row)
    )
    places = {box.id: place for place, box in enumerate(boxes)}
    return GraphChart(
        title=title,
        rows=len(rows),
        boxes=boxes,
        arrows=tuple(
            Arrow(start=places[needed], end=places[name], met=by_id[needed].status is StoryStatus.DONE)
            for name in places
            for needed in needs[name]
            if needed in places
        ),
        more=len(view.stories) - len(boxes),
    )


def _kept(stories: Sequence[GraphStory], layers: Mapping[str, int]) -> Sequence[str]:
    """Without what is over, where there are too many; then the nearest layers."""
    chosen = list(stories)
    if len(chosen) > BOXES:
        chosen = [one for one in chosen if one.status not in _ENDED]
    return [one.id for one in sorted(chosen, key=lambda one: layers[one.id])[:BOXES]]


def _rows(
    kept: Sequence[str], layers: Mapping[str, int], needs: Mapping[str, Sequence[str]]
) -> Sequence[Sequence[str]]:
    """Each story below the middle of what it needs (Sugiyama's barycentre, one pass down); a layer that is
    wider than the phone takes several rows."""
    rows: list[list[str]] = []
    at: dict[str, float] = {}
    for layer in sorted({layers[name] for name in kept}):
        own = [name for name in kept if layers[name] == layer]
        middles = {name: _middle([at[one] for one in needs[name] if one in at]) for name in own}
        own.sort(key=lambda name: middles[name])
        count = -(-len(own) // COLUMNS)
        size = -(-len(own) // count)
        for begin in range(0, len(own), size):
            row = own[begin : begin + size]
            rows.append(row)
            at.update({name: place + (COLUMNS - len(row)) / 2 for place, name in enumerate(row)})
    return rows


def _middle(places: Sequence[float]) -> float:
    return sum(places) / len(places) if places else (COLUMNS - 1) / 2
