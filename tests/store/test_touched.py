"""Files that stories touch, and what follows of them: forecasts and early rebases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState, Phase
from core.domain.story import Cycle, StoryState
from core.orchestrator.overlaps import mark_rebases, overlaps, record_touched
from core.store import cycles, events, leases, stories, touched
from core.store.transaction import Transaction
from core.worker.contract import Touched


@pytest.fixture
def claimed(
    tx: Transaction, new_project: Callable[..., object], new_cycle: Callable[..., Cycle]
) -> Callable[[], str]:
    """A new story at work, in generation 1, of project shop."""
    new_project(tx)

    def make() -> str:
        story = new_cycle(tx).story_id
        leases.claim(tx, story, phase=Phase.DESIGN, owner="shop#1", lease_seconds=60)
        return story

    return make


def say(tx: Transaction, story: str, *files: str, generation: int = 1) -> None:
    record_touched(tx, Touched(story_id=story, generation=generation, files=files))


def told(tx: Transaction) -> list[tuple[str | None, object, object]]:
    found = events.since(tx.conn, 0, kinds=[EventKind.OVERLAP_FORESEEN])
    return [(event.story_id, event.data["other"], event.data["files"]) for event in found]


def test_files_are_replaced_and_odd_names_kept(tx: Transaction, claimed: Callable[[], str]) -> None:
    story = claimed()
    touched.replace(tx, story, ["a.py", "b.py", "a.py", ""])
    touched.replace(tx, story, ["b.py", "not-\udcff", "with\nline"])
    assert touched.of_story(tx.conn, story) == {"b.py", "not-\\udcff", "with\nline"}
    touched.replace(tx, story, [])
    assert touched.of_project(tx.conn, "shop") == ()
    touched.replace(tx, story, (f"{n:05}" for n in range(5000)))
    assert len(touched.of_story(tx.conn, story)) == touched.FILES_AT_MOST


def test_a_pair_is_told_once_and_again_when_it_grows(tx: Transaction, claimed: Callable[[], str]) -> None:
    first, later, third = claimed(), claimed(), claimed()
    say(tx, later, "a.py", "own.py")
    say(tx, first, "a.py")
    say(tx, first, "a.py")
    say(tx, first)  # put back
    say(tx, first, "a.py")
    assert told(tx) == [(later, first, ["a.py"])]
    say(tx, first, "a.py", "b.py")
    say(tx, later, "a.py", "b.py")
    say(tx, third, "c.py")
    assert told(tx)[1:] == [(later, first, ["a.py", "b.py"])]
    (view,) = overlaps(tx.conn, "shop")
    assert (view.first, view.later, view.files) == (first, later, ("a.py", "b.py"))


def test_a_pair_with_very_many_files_is_not_told_for_ever(
    tx: Transaction, claimed: Callable[[], str]
) -> None:
    first, later = claimed(), claimed()
    files = [f"{n:03}.py" for n in range(80)]
    say(tx, first, *files)
    say(tx, later, *files)
    say(tx, later, *files, "more.py")
    assert [len(shown) for _, _, shown in told(tx)] == [50]  # type: ignore[arg-type]
    assert len(overlaps(tx.conn, "shop")[0].files) == 80


def test_an_old_generation_says_nothing(tx: Transaction, claimed: Callable[[], str]) -> None:
    story = claimed()
    say(tx, story, "a.py", generation=7)
    leases.release(tx, story, 1)
    say(tx, story, "a.py")
    assert touched.of_story(tx.conn, story) == frozenset()


def test_a_story_that_is_over_overlaps_with_none(tx: Transaction, claimed: Callable[[], str]) -> None:
    first, later = claimed(), claimed()
    say(tx, first, "a.py")
    say(tx, later, "a.py")
    cycles.move(tx, first, CycleEvent.ABORTED, state=CycleState.DESIGN)
    stories.move(tx, first, StoryState.ACTIVE, StoryState.SKIPPED)
    assert overlaps(tx.conn, "shop") == ()


def test_a_merge_marks_those_that_change_the_same_files(
    tx: Transaction, claimed: Callable[[], str], passed_to: Callable[..., Cycle]
) -> None:
    merged, meets, apart, commits, begins = (claimed() for _ in range(5))
    for story, state in (
        (meets, CycleState.REFACTOR),
        (apart, CycleState.REFACTOR),
        (commits, CycleState.COMMIT),
        (begins, CycleState.TEST_RED),
    ):
        cycle = cycles.get(tx.conn, story)
        passed_to(tx, cycle, state)
        if story != begins:
            cycles.patch(tx, story, state=state, base_commit="b0")
        say(tx, story, "apart.py" if story == apart else "calc.py")
    say(tx, merged, "calc.py")
    assert mark_rebases(tx, "shop", merged, "m1") == (meets,)
    onto = {story: cycles.get(tx.conn, story).rebase_onto for story in (meets, apart, commits, begins)}
    assert onto == {meets: "m1", apart: None, commits: None, begins: None}
    assert touched.of_story(tx.conn, merged) == frozenset()  # nobody asks for it again
