"""Checks and reviews to a judgement: every combination ends in one clear answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.github import Check, CheckConclusion, ReviewState
from core.github.pulls.judging import Facts, Opinion, Outcome, Review, Standing, Terms, judge, standing
from core.orchestrator.scheduling.words import words_of

TERMS = Terms(approvals=0, checks_begin_seconds=60, checks_minutes=120)
NOBODY = Standing(approved_by=(), wanting=())


def check(name: str, conclusion: CheckConclusion = CheckConclusion.PASSED) -> Check:
    return Check(name=name, conclusion=conclusion, summary="", url="")


PASSED = Facts(number=12, checks=(check("unit"),), standing=NOBODY, waited_seconds=5)

checks = st.lists(
    st.builds(check, st.text(max_size=5), st.sampled_from(list(CheckConclusion))), max_size=6
).map(tuple)
reviews = st.lists(
    st.builds(
        Review, by=st.sampled_from("abc"), opinion=st.sampled_from(list(Opinion)), counts=st.booleans()
    ),
    max_size=10,
)
terms = st.builds(
    Terms,
    approvals=st.integers(0, 3),
    checks_begin_seconds=st.floats(0, 1000),
    checks_minutes=st.floats(0.1, 1000),
)
facts = st.builds(
    Facts,
    number=st.integers(1, 10**6),
    checks=checks,
    standing=reviews.map(standing),
    waited_seconds=st.floats(0, 10**6),
    draft=st.booleans(),
    conflicts=st.booleans(),
    behind=st.booleans(),
)


@given(facts=facts, terms=terms)
def test_it_lands_only_when_nothing_speaks_against_it(facts: Facts, terms: Terms) -> None:
    found = judge(facts, terms)
    failed = any(each.conclusion is CheckConclusion.FAILED for each in facts.checks)
    running = any(each.conclusion is CheckConclusion.RUNNING for each in facts.checks)
    unbegun = not facts.checks and facts.waited_seconds < terms.checks_begin_seconds
    clear = not (failed or running or unbegun or facts.draft or facts.standing.wanting)
    clear = clear and not (facts.conflicts or facts.behind)
    assert (found.outcome is Outcome.LANDABLE) == (clear and facts.standing.approvals >= terms.approvals)
    assert (found.outcome is Outcome.FAILED) == failed
    assert found.why.endswith(".")


@given(facts=facts, terms=terms, more=st.floats(0, 10**6))
def test_time_alone_never_takes_a_landable_one_back(facts: Facts, terms: Terms, more: float) -> None:
    if judge(facts, terms).outcome is Outcome.LANDABLE:
        later = replace(facts, waited_seconds=facts.waited_seconds + more)
        assert judge(later, terms).outcome is Outcome.LANDABLE


@given(facts=facts, terms=terms, order=st.randoms())
def test_the_order_of_the_checks_changes_no_outcome(facts: Facts, terms: Terms, order: object) -> None:
    mixed = list(facts.checks)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    assert judge(replace(facts, checks=tuple(mixed)), terms).outcome is judge(facts, terms).outcome


@given(given=reviews, by=st.sampled_from("abc"))
def test_an_approval_takes_back_what_its_author_wanted(given: list[Review], by: str) -> None:
    found = standing([*given, Review(by=by, opinion=Opinion.APPROVED, counts=True)])
    assert by in found.approved_by
    assert by not in found.wanting


@given(given=reviews, by=st.sampled_from("abc"), opinion=st.sampled_from(list(Opinion)))
def test_who_may_not_decide_changes_nothing(given: list[Review], by: str, opinion: Opinion) -> None:
    assert standing([*given, Review(by=by, opinion=opinion, counts=False)]) == standing(given)


@given(given=reviews, by=st.sampled_from("abc"))
def test_a_comment_takes_nothing_back(given: list[Review], by: str) -> None:
    assert standing([*given, Review(by=by, opinion=Opinion.COMMENTED, counts=True)]) == standing(given)


def test_who_may_not_write_takes_back_a_wish_and_approves_nothing() -> None:
    wish = Review(by="ann", opinion=Opinion.CHANGES_REQUESTED, counts=True, approves=False)
    assert standing([wish]).wanting == ("ann",)
    assert standing([wish, replace(wish, opinion=Opinion.APPROVED)]) == NOBODY


@given(given=reviews)
def test_nobody_counts_twice(given: list[Review]) -> None:
    found = standing(given)
    people = [*found.approved_by, *found.wanting]
    assert len(people) == len(set(people))


def test_a_dismissed_review_is_no_opinion() -> None:
    found = standing(
        [
            Review(by="ann", opinion=Opinion.APPROVED, counts=True),
            Review(by="ann", opinion=Opinion.DISMISSED, counts=True),
        ]
    )
    assert found == NOBODY


def test_how_many_checks_have_passed_is_said() -> None:
    found = judge(
        replace(
            PASSED,
            checks=(check("unit"), check("lint"), check("e2e", CheckConclusion.RUNNING)),
        ),
        TERMS,
    )
    assert found.outcome is Outcome.WAITING
    assert found.why == "Waits for the checks of pull request #12: 2 of 3 have passed."
    assert found.waits == (
        "waits for the checks of pull request #12: 2 of 3 have passed; next when e2e is done."
    )


@pytest.mark.parametrize(("seconds", "outcome"), [(59, Outcome.WAITING), (60, Outcome.LANDABLE)])
def test_without_any_check_in_time_it_has_none(seconds: float, outcome: Outcome) -> None:
    assert judge(replace(PASSED, checks=(), waited_seconds=seconds), TERMS).outcome is outcome


def test_checks_that_take_too_long_ask_people() -> None:
    slow = replace(PASSED, checks=(check("e2e", CheckConclusion.RUNNING),), waited_seconds=7201)
    found = judge(slow, TERMS)
    assert found.outcome is Outcome.OVERDUE
    assert "120 min:" in found.why
    assert "/suggest_fix" in found.then


def test_missing_approvals_are_counted() -> None:
    one = replace(PASSED, standing=Standing(approved_by=("ann",), wanting=()))
    found = judge(one, replace(TERMS, approvals=3))
    assert found.outcome is Outcome.WAITING
    assert "needs 2 more approvals" in found.why


@given(facts=facts, terms=terms)
def test_what_it_waits_for_is_said_with_what_ends_it(facts: Facts, terms: Terms) -> None:
    found = judge(facts, terms)
    if found.outcome in (Outcome.WAITING, Outcome.AGAIN):
        assert found.waits is not None
        assert found.waits.startswith("waits")
        assert words_of(found.waits).next.endswith(".")
    assert (found.waits is None) == (found.outcome is Outcome.LANDABLE)


@pytest.mark.parametrize(
    ("people", "needed", "state"),
    [
        (NOBODY, 0, ReviewState.NONE),
        (NOBODY, 1, ReviewState.WAITING),
        (Standing(approved_by=("ann",), wanting=()), 1, ReviewState.APPROVED),
        (Standing(approved_by=("ann",), wanting=()), 2, ReviewState.WAITING),
        (Standing(approved_by=("ann",), wanting=("bob",)), 1, ReviewState.CHANGES_REQUESTED),
    ],
)
def test_what_the_reviews_come_to(people: Standing, needed: int, state: ReviewState) -> None:
    assert people.state(needed=needed) is state
