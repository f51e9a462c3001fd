from __future__ import annotations

from itertools import pairwise
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.bisection import Bisection


class Gate:
    """Refuses a chain that holds a guilty story, or both of a pair that fails together."""

    def __init__(self, guilty: set[str], pairs: set[tuple[str, str]]) -> None:
        self.guilty, self.pairs = guilty, pairs
        self.judged: list[tuple[str, ...]] = []

    def passes(self, tree: tuple[str, ...]) -> bool:
        self.judged.append(tree)
        held = set(tree)
        return not held & self.guilty and not any(set(pair) <= held for pair in self.pairs)

    @property
    def runs(self) -> int:
        """A tree that was judged before is not run again."""
        return len(set(self.judged))


def decide(bisection: Bisection, gate: Gate) -> Bisection:
    while bisection.question:
        bisection = bisection.answered(gate.passes((*bisection.proven, *bisection.question)))
    return bisection


def one_by_one(stories: list[str], gate: Gate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What merging them one after the other does."""
    landed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    for story in stories:
        if gate.passes((*landed, story)):
            landed += (story,)
        else:
            refused += (story,)
    return landed, refused


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[str], set[str], set[tuple[str, str]]]:
    stories = [f"shop-{n}" for n in range(1, draw(st.integers(1, 20)) + 1)]
    guilty = draw(st.sets(st.sampled_from(stories), max_size=4))
    both = st.tuples(st.sampled_from(stories), st.sampled_from(stories)).filter(
        lambda pair: pair[0] != pair[1]
    )
    return stories, guilty, draw(st.sets(both, max_size=3))


@given(batches())
def test_a_batch_ends_as_merges_one_by_one_would(
    batch: tuple[list[str], set[str], set[tuple[str, str]]],
) -> None:
    stories, guilty, pairs = batch
    gate = Gate(guilty, pairs)
    end = decide(Bisection.begin(stories), gate)
    assert (end.proven, end.refused) == one_by_one(stories, Gate(guilty, pairs))
    assert end.waiting == ()
    halves = ceil(log2(len(stories)))
    assert len(gate.judged) <= 1 + len(end.refused) * (2 + halves)
    assert gate.runs <= 1 + len(end.refused) * (1 + halves)


@given(batches())
def test_every_innocent_lands_and_every_guilty_one_is_refused(
    batch: tuple[list[str], set[str], set[tuple[str, str]]],
) -> None:
    stories, guilty, _ = batch
    end = decide(Bisection.begin(stories), Gate(guilty, set()))
    assert end.proven == tuple(story for story in stories if story not in guilty)
    assert set(end.refused) == guilty


@given(batches(), st.data())
def test_what_is_proven_was_judged_as_it_lands_whoever_is_taken_out(
    batch: tuple[list[str], set[str], set[tuple[str, str]]], data: st.DataObject
) -> None:
    stories, guilty, pairs = batch
    gate = Gate(guilty, pairs)
    bisection, left = Bisection.begin(stories), list(stories)
    while bisection.question:
        if left and data.draw(st.integers(0, 4)) == 0:
            gone = data.draw(st.sampled_from(left))
            left.remove(gone)
            bisection = bisection.without(gone)
            continue
        asked = (*bisection.proven, *bisection.question)
        assert [story for story in left if story in asked] == list(asked)
        bisection = bisection.answered(gate.passes(asked))
    assert (bisection.proven, bisection.refused) == one_by_one(left, Gate(guilty, pairs))
    assert not bisection.proven or bisection.proven in gate.judged


def test_three_that_are_fine_are_judged_once() -> None:
    gate = Gate(set(), set())
    assert decide(Bisection.begin(["a", "b", "c"]), gate).proven == ("a", "b", "c")
    assert gate.judged == [("a", "b", "c")]


def test_of_a_pair_that_fails_together_the_earlier_lands_and_the_later_is_judged_on_it() -> None:
    gate = Gate(set(), {("a", "c")})
    end = decide(Bisection.begin(["a", "b", "c", "d"]), gate)
    assert (end.proven, end.refused) == (("a", "b", "d"), ("c",))
    assert gate.judged == [tuple("abcd"), tuple("ab"), tuple("abc"), tuple("abc"), tuple("abd")]


def test_a_chain_may_fail_by_what_its_last_story_is_not_guilty_of() -> None:
    """Judged by itself on proven ground it passes: so it lands."""
    bisection = Bisection.begin(["a", "b"])
    for answer, question in ((False, "ab"), (True, "a"), (True, "b")):
        assert bisection.question == tuple(question)
        bisection = bisection.answered(answer)
    assert (bisection.proven, bisection.question) == (("a", "b"), ())


def test_only_a_story_by_itself_is_refused() -> None:
    bisection = Bisection.begin(["a", "b", "c", "d"])
    states = [bisection]
    while states[-1].question:
        states.append(states[-1].answered(False))
    for before, after in pairwise(states):
        assert (len(after.refused) > len(before.refused)) == before.decisive
    with pytest.raises(ValueError, match="nothing was asked"):
        states[-1].answered(True)


@pytest.mark.parametrize(("story", "question"), [("a", "bcd"), ("b", "acd"), ("d", "c")])
def test_who_is_taken_out_takes_what_was_judged_with_it(story: str, question: str) -> None:
    bisection = Bisection.begin(list("abcd")).answered(False).answered(True).answered(False)
    assert (bisection.proven, bisection.question) == (("a", "b"), ("c",))
    gone = bisection.without(story)
    assert gone.question == tuple(question)
    assert gone.proven == (("a", "b") if story == "d" else ())
