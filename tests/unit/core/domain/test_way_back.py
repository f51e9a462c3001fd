"""Every phase from every phase: back along the arrows, with the commits that its gate needs."""

from datetime import UTC, datetime

import pytest

from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Cycle
from core.domain.way_back import reachable, way_back

NOW = datetime(2026, 3, 1, tzinfo=UTC)

# From where, to where: the commits afterwards (head, red), None where no arrows lead there.
EXPECTED = {
    ("design", "design"): ("head", "red"),
    ("test_red", "test_red"): ("head", "red"),
    ("test_red", "design"): ("base", None),
    ("code_green", "code_green"): ("head", "red"),
    ("code_green", "test_red"): ("red", None),
    ("code_green", "design"): ("base", None),
    ("refactor", "refactor"): ("head", "red"),
    ("refactor", "code_green"): ("head", "red"),
    ("refactor", "test_red"): ("red", None),
    ("refactor", "design"): ("base", None),
    ("commit", "commit"): ("head", "red"),
    ("commit", "code_green"): ("head", "red"),
    ("commit", "test_red"): ("red", None),
    ("commit", "design"): ("base", None),
}


def cycle_in(state):
    return Cycle(
        story_id="shop-1",
        project="shop",
        state=CycleState(state),
        attempt=1,
        base_commit="base",
        red_commit="red",
        head_commit="head",
        session_id=None,
        spec="",
        feedback="",
        blocked_reason="",
        merge_commit=None,
        generation=1,
        started_at=NOW,
        updated_at=NOW,
    )


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("state", [phase.value for phase in Phase])
def test_back_along_the_arrows_and_never_forward(state, phase):
    way = way_back(cycle_in(state), phase)
    expected = EXPECTED.get((state, phase.value))
    assert (None if way is None else (way.head_commit, way.red_commit)) == expected
    assert (phase in reachable(CycleState(state))) is (expected is not None)


def test_the_way_names_each_state_that_it_passes():
    way = way_back(cycle_in("commit"), Phase.DESIGN)
    assert way is not None
    assert way.states == (CycleState.CODE_GREEN, CycleState.TEST_RED, CycleState.DESIGN)


def test_nothing_is_reached_from_a_cycle_that_is_over():
    assert reachable(CycleState.DONE) == ()
    assert way_back(cycle_in("done"), Phase.CODE_GREEN) is None
