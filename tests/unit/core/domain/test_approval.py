from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.access import OPERATOR, AccessLevel, Standing
from core.domain.approval import (
    Approval,
    ApprovalKind,
    ApprovalState,
    Circle,
    Lapse,
    Unanswered,
    may_answer,
    plan_lapse,
    who_may,
)

L = AccessLevel
AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ASKED = Approval(
    id="approval_1",
    project="shop",
    story_id="shop-1",
    kind=ApprovalKind.MERGE,
    question="Merge shop-1?",
    detail="",
    reasons=(),
    subject="merge:shop-1",
    state=ApprovalState.PENDING,
    asked_at=AT,
)
DEV = Standing(level=L.VIEWER, roles=frozenset({"dev", "77"}), person="5")
DUE = AT + timedelta(minutes=30)

# circle -> the levels that are enough for somebody who is not named in it
CIRCLES = {
    Circle(level=L.VIEWER): set(L),
    Circle(level=L.CONTRIBUTOR): {L.CONTRIBUTOR, L.MAINTAINER, L.ADMIN, L.OWNER},
    Circle(level=L.MAINTAINER): {L.MAINTAINER, L.ADMIN, L.OWNER},
    Circle(level=L.ADMIN): {L.ADMIN, L.OWNER},
    Circle(level=L.OWNER): {L.OWNER},
    Circle(level=L.VIEWER, roles=("qa",)): {L.ADMIN, L.OWNER},
    Circle(level=L.CONTRIBUTOR, people=("42",)): {L.ADMIN, L.OWNER},
    Circle(level=L.MAINTAINER, roles=("qa",), people=("42",)): {L.ADMIN, L.OWNER},
    Circle(level=L.ADMIN, roles=("qa",)): {L.ADMIN, L.OWNER},
    Circle(level=L.OWNER, people=("42",)): {L.OWNER},
}


@pytest.mark.parametrize(("circle", "level"), [*product(CIRCLES, L)], ids=str)
def test_a_level_is_enough_or_it_is_not(circle: Circle, level: AccessLevel) -> None:
    said = may_answer(replace(ASKED, circle=circle), replace(DEV, level=level))
    assert (not said) is (level in CIRCLES[circle])


@pytest.mark.parametrize("level", [*L])
@pytest.mark.parametrize("circle", [Circle(roles=("dev",)), Circle(roles=("77",)), Circle(people=("5",))])
def test_who_is_named_may_answer_at_every_level(circle: Circle, level: AccessLevel) -> None:
    assert not may_answer(replace(ASKED, circle=replace(circle, level=L.OWNER)), replace(DEV, level=level))


@pytest.mark.parametrize("circle", [Circle(people=("",)), Circle(people=("dev",)), Circle(roles=("5", ""))])
def test_nobody_is_taken_for_somebody_else(circle: Circle) -> None:
    assert may_answer(replace(ASKED, circle=circle), replace(DEV, person="5"))
    assert may_answer(replace(ASKED, circle=circle), Standing(level=L.MAINTAINER))


@pytest.mark.parametrize("circle", [*CIRCLES], ids=str)
def test_whoever_runs_the_machine_may_always_answer(circle: Circle) -> None:
    assert not may_answer(replace(ASKED, circle=circle), OPERATOR)


@pytest.mark.parametrize(("first", "wider", "level"), [*product(CIRCLES, CIRCLES, L)])
def test_an_escalation_adds_a_circle_and_takes_none_away(
    first: Circle, wider: Circle, level: AccessLevel
) -> None:
    somebody = replace(DEV, level=level)
    asked = replace(ASKED, circle=first, escalation=wider)
    assert bool(may_answer(asked, somebody)) is bool(may_answer(replace(ASKED, circle=first), somebody))
    escalated = may_answer(replace(asked, escalated_at=AT), somebody)
    assert (not escalated) is (level in CIRCLES[first] | CIRCLES[wider])


def test_the_refusal_says_who_may() -> None:
    circle = Circle(level=L.MAINTAINER, roles=("qa",), people=("42",))
    asked = replace(ASKED, circle=circle, escalation=Circle(level=L.OWNER))
    assert may_answer(asked, DEV) == "It is for the role qa, the person 42, administrators and higher."
    assert who_may(replace(asked, escalated_at=AT)).endswith(", or the owner")


@pytest.mark.parametrize(
    ("unanswered", "escalated", "expected"),
    [
        (Unanswered.WAIT, False, Lapse.REMIND),
        (Unanswered.ESCALATE, False, Lapse.ESCALATE),
        (Unanswered.ESCALATE, True, Lapse.REMIND),
        (Unanswered.DENY, False, Lapse.DENY),
    ],
)
def test_what_a_lapsed_question_comes_to(unanswered: Unanswered, escalated: bool, expected: Lapse) -> None:
    asked = replace(ASKED, unanswered=unanswered, due_at=DUE, escalated_at=AT if escalated else None)
    assert plan_lapse(asked, DUE - timedelta(microseconds=1)) is None
    assert plan_lapse(asked, DUE) is expected


@pytest.mark.parametrize("state", sorted(set(ApprovalState) - {ApprovalState.PENDING}))
def test_an_answered_question_comes_to_nothing_more(state: ApprovalState) -> None:
    assert plan_lapse(replace(ASKED, state=state, due_at=AT, unanswered=Unanswered.DENY), DUE) is None


@given(st.sampled_from(Unanswered), st.timedeltas(), st.booleans())
def test_the_time_to_answer_is_never_less_than_nothing(
    unanswered: Unanswered, off: timedelta, escalated: bool
) -> None:
    try:
        due = AT + off
    except OverflowError:
        return
    asked = replace(ASKED, unanswered=unanswered, due_at=due, escalated_at=AT if escalated else None)
    assert asked.within is not None
    assert asked.within >= timedelta()
