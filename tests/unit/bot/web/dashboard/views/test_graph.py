"""Who waits for whom, as a drawing."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.web.dashboard.views.graph import HIGH, WIDE, graph_of
from core.domain.story import StoryStatus
from core.domain.trend import GraphStory, Need, NeedsGraph


def graph(needs: dict[str, list[str]], done: tuple[str, ...] = ()) -> NeedsGraph:
    names = sorted({*needs, *(one for several in needs.values() for one in several)})
    return NeedsGraph(
        stories=tuple(
            GraphStory(id=name, title=name, status=StoryStatus.DONE if name in done else StoryStatus.WAITING)
            for name in names
        ),
        needs=tuple(Need(story=name, needs=one) for name, several in needs.items() for one in several),
    )


def everything(project: str) -> bool:
    return True


def test_what_is_needed_stands_left_of_what_needs_it() -> None:
    drawn = graph_of(graph({"shop-2": ["shop-1"], "shop-3": ["shop-2", "shop-1"]}, ("shop-1",)), everything)
    at = {node.id: node.x for node in drawn.nodes}
    assert at["shop-1"] < at["shop-2"] < at["shop-3"]
    assert {node.id: node.waits_for for node in drawn.nodes} == {
        "shop-1": (),
        "shop-2": (),
        "shop-3": ("shop-2",),
    }
    assert sorted(line.met for line in drawn.lines) == [False, True, True]


def test_a_project_that_is_not_seen_leaves_no_trace() -> None:
    drawn = graph_of(graph({"shop-1": ["bank-7"], "shop-2": ["shop-1"]}), lambda project: project == "shop")
    assert {node.id for node in drawn.nodes} == {"shop-1", "shop-2"}
    assert "bank" not in repr(drawn)
    assert len(drawn.lines) == 1


def test_nothing_is_drawn_of_nothing() -> None:
    drawn = graph_of(graph({}), everything)
    assert (drawn.nodes, drawn.lines) == ((), ())


def test_of_a_graph_that_is_too_large_the_rest_is_counted() -> None:
    drawn = graph_of(graph({f"shop-{number}": ["shop-1"] for number in range(2, 402)}), everything)
    assert (len(drawn.nodes), drawn.more) == (300, 101)


@given(
    st.dictionaries(
        st.sampled_from([f"p-{number}" for number in range(12)]),
        st.lists(st.sampled_from([f"p-{number}" for number in range(12)]), max_size=4, unique=True),
        max_size=12,
    )
)
def test_no_two_stories_lie_on_each_other_and_all_are_on_the_sheet(needs: dict[str, list[str]]) -> None:
    """Also were there a circle, of which the store keeps none."""
    wanted = graph(needs)
    drawn = graph_of(wanted, everything)
    assert len(drawn.nodes) == len(wanted.stories)
    places = {(node.x, node.y) for node in drawn.nodes}
    assert len(places) == len(drawn.nodes)
    for x, y in places:
        assert 0 <= x <= drawn.width - WIDE
        assert 0 <= y <= drawn.height - HIGH
    columns = {x: sorted(y for other, y in places if other == x) for x, _ in places}
    for column in columns.values():
        assert all(below - above >= HIGH for above, below in pairwise(column))
