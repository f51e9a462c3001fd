"""The picture of who waits for whom: every arrow goes down, and nothing is left out unsaid."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cogs.graph import BOXES, COLUMNS, ROWS, graph_chart
from core.domain.story import StoryStatus
from core.domain.trend import GraphStory, Need, NeedsGraph

PAIRS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=80)


def graph(pairs: Sequence[tuple[int, int]], done: Sequence[int] = ()) -> NeedsGraph:
    """Each pair: the first waits for the second."""
    stories = sorted({one for pair in pairs for one in pair})
    return NeedsGraph(
        stories=tuple(
            GraphStory(
                id=f"shop-{one}",
                title=f"Story {one}",
                status=StoryStatus.DONE if one in done else StoryStatus.BACKLOG,
            )
            for one in stories
        ),
        needs=tuple(Need(story=f"shop-{story}", needs=f"shop-{needed}") for story, needed in pairs),
    )


def test_what_is_needed_stands_above() -> None:
    chart = graph_chart(graph([(3, 1), (3, 2), (4, 3)], done=[1]), "shop")
    assert {box.id: box.row for box in chart.boxes} == {"shop-1": 0, "shop-2": 0, "shop-3": 1, "shop-4": 2}
    assert chart.boxes[2].after == ("shop-1", "shop-2")
    assert {(arrow.start, arrow.end, arrow.met) for arrow in chart.arrows} == {
        (0, 2, True),
        (1, 2, False),
        (2, 3, False),
    }
    assert (chart.rows, chart.more) == (3, 0)


def test_a_short_row_stands_in_the_middle() -> None:
    chart = graph_chart(graph([(2, 1)]), "shop")
    assert {box.column for box in chart.boxes} == {(COLUMNS - 1) / 2}


def test_an_empty_graph() -> None:
    chart = graph_chart(graph([]), "shop")
    assert (chart.rows, chart.boxes, chart.arrows, chart.more) == (0, (), (), 0)


def test_of_too_many_what_is_over_goes_first_then_the_farthest() -> None:
    pairs = [(one + 1, one) for one in range(1, 60)]
    chart = graph_chart(graph(pairs, done=range(1, 10)), "shop")
    assert [box.id for box in chart.boxes] == [f"shop-{one}" for one in range(10, 10 + ROWS)]
    assert chart.more == 60 - ROWS


def test_a_circle_which_the_store_keeps_away_is_drawn_all_the_same() -> None:
    assert len(graph_chart(graph([(1, 2), (2, 1)]), "shop").boxes) == 2


@given(PAIRS)
def test_every_arrow_goes_down_and_no_place_is_taken_twice(pairs: list[tuple[int, int]]) -> None:
    chart = graph_chart(graph([(max(pair), min(pair)) for pair in pairs if pair[0] != pair[1]]), "shop")
    boxes = chart.boxes
    assert len({(box.row, box.column) for box in boxes}) == len(boxes) <= BOXES
    assert all(0 <= box.row < chart.rows <= ROWS and 0 <= box.column < COLUMNS for box in boxes)
    assert all(boxes[arrow.start].row < boxes[arrow.end].row for arrow in chart.arrows)
    shown = {box.id for box in boxes}
    stories = {one for pair in pairs if pair[0] != pair[1] for one in pair}
    assert len(shown) + chart.more == len(stories)
