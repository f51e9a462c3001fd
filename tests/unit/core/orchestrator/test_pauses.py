"""Waits that end by time, or because a person says so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.orchestrator.pauses import Pauses


class Clock:
    seconds = 100.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pauses(clock: Clock) -> Pauses:
    return Pauses(clock)


def test_a_pause_says_why_until_it_is_over(pauses: Pauses, clock: Clock) -> None:
    pauses.begin("shop-1", 10, "the agent failed.")
    assert pauses.why("shop-1") == "waits: the agent failed; next in 10 s."
    assert pauses.why("shop-2") == ""
    clock.seconds += 10
    assert pauses.why("shop-1") == ""


def test_the_first_end_is_what_is_waited_for(pauses: Pauses, clock: Clock) -> None:
    assert pauses.next_end(60) == 60
    pauses.begin("shop-1", 30, "x")
    pauses.begin("shop-e1", 5, "x")
    assert pauses.next_end(60) == 5
    clock.seconds += 5
    assert pauses.next_end(60) == 25


def test_a_person_ends_one_or_all_of_a_project(pauses: Pauses) -> None:
    for name in ("my-shop-1", "my-shop-2", "my-shop-e1", "my-1"):
        pauses.begin(name, 30, "x")
    pauses.end("my-shop-1")
    assert (pauses.why("my-shop-1"), bool(pauses.why("my-shop-2"))) == ("", True)
    pauses.end_all_of("my-shop")
    assert [name for name in ("my-shop-2", "my-shop-e1", "my-1") if pauses.why(name)] == ["my-1"]


def test_pauses_are_counted_by_project_and_forgotten_when_over(pauses: Pauses, clock: Clock) -> None:
    for name, seconds in (("my-shop-1", 30), ("my-shop-e1", 5), ("post-1", 30)):
        pauses.begin(name, seconds, "x")
    assert pauses.count_by_project() == {"my-shop": 2, "post": 1}
    clock.seconds += 5
    assert pauses.count_by_project() == {"my-shop": 1, "post": 1}
