from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.back_off import CAP_SECONDS, CLEAR, PROBE_SECONDS, answered, ask, refused
from core.gateway.refusal import RefusalKind

LATER = RefusalKind.RATE_LIMITED


def test_the_wait_doubles_up_to_its_cap() -> None:
    state, now, waits = CLEAR, 100.0, []
    for _ in range(9):
        state = refused(state, LATER, sent_at=now, now=now + 0.1, jitter=0)
        waits.append(round(ask(state, now + 0.1)[1], 6))
        now += 1_000
    assert waits == [1, 2, 4, 8, 16, 32, CAP_SECONDS, CAP_SECONDS, CAP_SECONDS]


def test_calls_refused_together_count_once() -> None:
    state = CLEAR
    for number in range(50):
        state = refused(state, LATER, sent_at=1.0, now=2.0 + number / 100, jitter=0)
    assert (state.refusals, state.until) == (1, 3.0)


def test_a_longer_wait_said_to_one_of_them_counts() -> None:
    state = refused(CLEAR, LATER, sent_at=1.0, now=2.0, jitter=0, retry_after_seconds=5)
    assert state.until == 7.0
    assert refused(state, LATER, sent_at=1.0, now=2.5, jitter=0, retry_after_seconds=30).until == 32.5
    assert refused(state, LATER, sent_at=1.0, now=2.5, jitter=0, retry_after_seconds=1).until == 7.0


def test_after_a_wait_one_call_goes_first() -> None:
    state = refused(CLEAR, RefusalKind.OVERLOADED, sent_at=1.0, now=2.0, jitter=0)
    assert ask(state, 2.5)[1] == 0.5
    state, wait = ask(state, 3.0)
    assert wait == 0
    assert ask(state, 3.0)[1] == PROBE_SECONDS
    assert ask(answered(state, sent_at=3.0), 3.1) == (CLEAR, 0.0)
    assert ask(state, 3.0 + PROBE_SECONDS)[1] == 0  # the first one was never heard of again


def test_an_answer_to_an_older_call_proves_nothing() -> None:
    state = refused(CLEAR, LATER, sent_at=1.0, now=2.0, jitter=0)
    assert answered(state, sent_at=1.5) == state
    assert answered(state, sent_at=2.5) == CLEAR


@pytest.mark.parametrize(
    "kind", [RefusalKind.AUTH, RefusalKind.BAD_REQUEST, RefusalKind.FAILED, RefusalKind.CREDIT]
)
def test_other_refusals_hold_nobody_back(kind: RefusalKind) -> None:
    assert refused(CLEAR, kind, sent_at=1.0, now=2.0, jitter=1, retry_after_seconds=9) == CLEAR


SAID = st.none() | st.floats(0, 10**9)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1), SAID), min_size=1, max_size=20))
def test_no_wait_is_shorter_than_what_was_said_nor_taken_back(
    steps: list[tuple[float, float, float | None]],
) -> None:
    state, now = CLEAR, 0.0
    for passed, jitter, said in steps:
        before, now = state.until, now + passed
        state = refused(
            state, LATER, sent_at=max(now - 1, 0), now=now, jitter=jitter, retry_after_seconds=said
        )
        assert state.until >= before
        if said is not None:
            assert state.until - now >= min(said, 32 * 86400) - 1e-6
        else:
            assert state.until == before or state.until - now <= CAP_SECONDS * 1.25 + 1e-6
