"""Epics, and whose answer counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.domain.story import EpicState
from core.errors import LostRace, NotFound
from core.store import epics
from core.store.transaction import Transaction


@pytest.fixture(autouse=True)
def _projects(tx: Transaction, new_project: Callable[..., object]) -> None:
    new_project(tx)
    new_project(tx, "post")


def test_an_epic_comes_back_as_it_went_in(tx: Transaction) -> None:
    epic = epics.add(tx, "shop", "Take cards.\nAll of them.", "discord:1")
    assert (epic.id, epic.state, epic.attempt, epic.generation) == ("shop-e1", EpicState.DESIGNING, 1, 0)
    assert epics.get(tx.conn, " SHOP-E1 ") == epic
    assert epics.add(tx, "post", "x", "cli").id == "post-e1"
    assert epics.add(tx, "shop", "x", "cli").id == "shop-e2"
    assert [one.id for one in epics.of_project(tx.conn, "shop")] == ["shop-e2", "shop-e1"]
    assert [one.id for one in epics.designing(tx.conn)] == ["post-e1", "shop-e1", "shop-e2"]
    with pytest.raises(NotFound) as caught:
        epics.get(tx.conn, "shop-e7")
    assert "shop-e2" in caught.value.hint


def test_only_the_last_start_may_answer(tx: Transaction) -> None:
    epics.add(tx, "shop", "x", "cli")
    first = epics.begin(tx, "shop-e1")
    second = epics.begin(tx, "shop-e1")  # the process died in between
    for late in (
        lambda: epics.propose(tx, first, session_id=None),
        lambda: epics.fail(tx, first, "no"),
        lambda: epics.retry(tx, first, feedback="better", session_id=None),
        lambda: epics.wait(tx, first, "limit", until=tx.now, session_id=None),
    ):
        with pytest.raises(LostRace):
            late()
    again = epics.retry(tx, second, feedback="better", session_id="s")
    assert (again.attempt, again.generation, again.feedback, again.session_id) == (2, 2, "better", "s")
    proposed = epics.propose(tx, again, session_id="s")
    assert (proposed.state, proposed.feedback) == (EpicState.PROPOSED, "")
    with pytest.raises(LostRace):
        epics.propose(tx, again, session_id="s")
    with pytest.raises(LostRace):
        epics.begin(tx, "shop-e1")


def test_a_failed_or_proposed_one_is_revised_and_its_attempts_are_counted_anew(tx: Transaction) -> None:
    epics.add(tx, "shop", "x", "cli")
    with pytest.raises(LostRace):
        epics.revise(tx, "shop-e1", "smaller")
    begun = epics.retry(tx, epics.begin(tx, "shop-e1"), feedback="f", session_id="s")
    epics.fail(tx, begun, "gave nothing")
    revised = epics.revise(tx, "shop-e1", "smaller")
    assert (revised.state, revised.attempt, revised.error) == (EpicState.DESIGNING, 1, "")
    assert (revised.wish, revised.feedback, revised.session_id) == ("smaller", "", "s")
    epics.propose(tx, epics.begin(tx, "shop-e1"), session_id=None)
    assert epics.settle(tx, "shop-e1").state is EpicState.SETTLED
    for over in (epics.settle, lambda tx, name: epics.revise(tx, name, "x")):
        with pytest.raises(LostRace):
            over(tx, "shop-e1")


def test_a_usage_limit_is_waited_for_until_its_time_or_a_person_asks_for_a_start(tx: Transaction) -> None:
    epics.add(tx, "shop", "x", "cli")
    until = tx.now + timedelta(hours=1)
    epics.wait(tx, epics.begin(tx, "shop-e1"), "limit", until=until, session_id="s")
    waiting = epics.get(tx.conn, "shop-e1")
    assert (waiting.state, waiting.error, waiting.session_id) == (EpicState.DESIGNING, "limit", "s")
    assert (waiting.limits, waiting.not_before) == (1, until)
    epics.release(tx, "post")
    assert epics.get(tx.conn, "shop-e1").not_before == until
    epics.release(tx, "shop")
    assert epics.get(tx.conn, "shop-e1").not_before is None
    again = epics.wait(tx, epics.begin(tx, "shop-e1"), "limit", until=until, session_id="s")
    assert (again.limits, again.not_before) == (2, until)
    begun = epics.begin(tx, "shop-e1")
    assert (begun.limits, begun.not_before, begun.error) == (2, None, "")
    assert epics.retry(tx, begun, feedback="f", session_id="s").limits == 0
