"""Each benchmark runs, at its least size. What it measures is no test: machines differ."""

import pytest

from tests.bench import access, cycle, dispatch, fenced, interactions, launches, neighbours, standing, workers
from tests.integration.nursery import forked_templates

pytestmark = pytest.mark.timeout(600)  # most start several programs, on a machine that others use too


@pytest.mark.bwrap
def test_the_script_of_a_recorded_cycle_does_the_same():
    figure, own = cycle.measure(stories=1, rounds=1, lanes=1)
    assert figure.ratio > 0.01  # how much longer either takes is the machine's affair
    assert own.value.endswith("ms")
    assert "programs, 0 ended otherwise in the script; it made 5 of 5 reports" in figure.note


def test_interactions_are_answered_and_posts_seen():
    answers, posts = interactions.measure(projects=2, commands=4)
    assert answers.value.endswith("ms")
    assert posts.value.endswith("ms")


@pytest.mark.parametrize(
    "measure",
    [
        lambda: workers.measure(workers=2, plain=1),
        lambda: launches.measure(launches=2),
        lambda: fenced.measure(launches=2, seconds=0.3),
        lambda: neighbours.measure(seconds=0.3),
        lambda: access.measure(decisions=20),
        lambda: dispatch.measure(claims=20),
        lambda: standing.measure_restart(projects=2, rounds=1),
        lambda: standing.measure_idle(projects=2, seconds=0.2),
    ],
    ids=["workers", "launches", "fences", "neighbours", "access", "dispatch", "restart", "idle"],
)
def test_it_runs(measure):
    with forked_templates():
        figures = measure()
    assert all(figure.value for figure in figures)
