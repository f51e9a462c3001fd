"""Gates, approvals and merges."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.errors import InvalidInput, LostRace, NotAllowed, NotFound
from core.store import approvals, events, gates, merges
from core.store.merges import MergeState
from core.store.transaction import Transaction


@pytest.fixture(autouse=True)
def _stories(tx: Transaction, new_project: Callable[..., object], new_cycle: Callable[..., object]) -> None:
    new_project(tx)
    new_project(tx, "post")
    new_cycle(tx)
    new_cycle(tx)


def test_every_verdict_is_kept_and_the_last_pass_is_found(tx: Transaction) -> None:
    refusal = Refusal(code=RefusalCode.NO_RED_TEST, sentence="It passes at once.", tests=("t::a",))
    no = Verdict(phase=Phase.TEST_RED, refusals=(refusal,))
    first = Verdict(phase=Phase.TEST_RED, evidence=Evidence(red=("t::a",), seconds=0.5))
    second = Verdict(phase=Phase.TEST_RED, evidence=Evidence(red=("t::b",)))
    for attempt, (verdict, commit) in enumerate([(no, None), (first, "c1"), (second, "c2"), (no, None)], 1):
        gates.add(tx, "shop-1", phase=Phase.TEST_RED, attempt=attempt, verdict=verdict, commit=commit)
    rows = gates.of_story(tx.conn, "shop-1")
    assert [(row.attempt, row.verdict, row.commit) for row in rows] == [
        (1, no, None),
        (2, first, "c1"),
        (3, second, "c2"),
        (4, no, None),
    ]
    assert gates.last_passed(tx.conn, "shop-1", Phase.TEST_RED) == rows[2]
    assert gates.last_passed(tx.conn, "shop-1", Phase.COMMIT) is None
    assert gates.last_passed(tx.conn, "shop-2", Phase.TEST_RED) is None


# -- approvals


def ask(tx: Transaction, story: str = "shop-1", kind: ApprovalKind = ApprovalKind.MERGE) -> Approval:
    return approvals.ask(
        tx,
        project="shop",
        story_id=story,
        kind=kind,
        subject=f"{kind}:{story}",
        question="Merge it?",
        detail="+ one\udce9",
        reasons=["touches secrets"],
    )


def told(tx: Transaction, kind: EventKind) -> list[dict[str, object]]:
    return [dict(event.data) for event in events.since(tx.conn, 0, kinds=[kind])]


def test_a_question_is_asked_and_told_once(tx: Transaction) -> None:
    asked = ask(tx)
    assert (asked.state, asked.asked_at, asked.reasons) == ("pending", tx.now, ("touches secrets",))
    assert asked.detail == "+ one\\udce9"
    assert ask(tx) == asked == approvals.get(tx.conn, asked.id)
    assert told(tx, EventKind.APPROVAL_REQUESTED) == [
        {
            "approval": asked.id,
            "kind": "merge",
            "question": "Merge it?",
            "reasons": ["touches secrets"],
            "roles": [],
            "people": [],
        }
    ]


@pytest.mark.parametrize("state", [state for state in ApprovalState if state is not ApprovalState.PENDING])
def test_the_first_answer_stands(
    tx: Transaction, later: Callable[[float], Transaction], state: ApprovalState
) -> None:
    asked, now = ask(tx), later(5)
    answered = approvals.answer(now, asked.id, state=state, by="discord:1", reason="fine")
    assert (answered.state, answered.answered_by, answered.answered_at) == (state, "discord:1", now.now)
    with pytest.raises(NotAllowed, match=f"already {state} by discord:1"):
        approvals.answer(later(5), asked.id, state=ApprovalState.REJECTED, by="discord:2", reason="late")
    assert approvals.get(tx.conn, asked.id) == answered
    assert told(tx, EventKind.APPROVAL_ANSWERED) == [
        {
            "approval": asked.id,
            "kind": "merge",
            "state": state,
            "by": "discord:1",
            "how": "discord",
            "level": "",
            "question": "Merge it?",
            "reason": "fine",
        }
    ]


def test_a_subject_can_be_asked_again_after_its_answer(tx: Transaction) -> None:
    first = ask(tx)
    approvals.answer(tx, first.id, state=ApprovalState.REJECTED, by="cli", reason="no")
    second = ask(tx)
    assert second.id != first.id
    assert [approval.id for approval in approvals.of_story(tx.conn, "shop-1")] == [first.id, second.id]


def test_pending_is_no_answer_and_a_ghost_has_none(tx: Transaction) -> None:
    asked = ask(tx)
    with pytest.raises(InvalidInput):
        approvals.answer(tx, asked.id, state=ApprovalState.PENDING, by="cli", reason="")
    with pytest.raises(NotFound):
        approvals.answer(tx, "approval_x", state=ApprovalState.APPROVED, by="cli", reason="")


def test_a_storys_questions_go_away_with_it(tx: Transaction) -> None:
    merge, permission = ask(tx), ask(tx, kind=ApprovalKind.PERMISSION)
    other = ask(tx, "shop-2")
    (cancelled,) = approvals.cancel_of_story(tx, "shop-1", ApprovalKind.PERMISSION)
    assert (cancelled.id, cancelled.state) == (permission.id, ApprovalState.CANCELLED)
    assert approvals.pending(tx.conn) == (merge, other) or approvals.pending(tx.conn) == (other, merge)
    assert [approval.id for approval in approvals.cancel_of_story(tx, "shop-1")] == [merge.id]
    assert approvals.cancel_of_story(tx, "shop-1") == ()
    assert approvals.pending(tx.conn, "shop") == (other,)
    assert approvals.pending(tx.conn, "post") == ()
    assert [data["state"] for data in told(tx, EventKind.APPROVAL_ANSWERED)] == ["cancelled"] * 2


# -- merges


def test_a_merge_from_begin_to_end(tx: Transaction) -> None:
    (merge,) = merges.begin(tx, "shop", [("shop-1", 7)])
    assert (merge.state, merge.generation, merge.candidate) == (MergeState.OPEN, 7, None)
    merges.set_candidate(tx, merge.id, "c1", "m1")
    assert merges.open_of(tx.conn, "shop")[0].candidate == "c1"
    merges.set_candidate(tx, merge.id, "c2", "m2")  # the main branch had moved
    done = merges.finish(tx, merge.id, MergeState.MERGED)
    assert (done.state, done.candidate, done.main_commit, done.finished_at) == ("merged", "c2", "m2", tx.now)
    assert merges.open_of(tx.conn) == ()


def test_one_batch_at_a_time_a_project(tx: Transaction, new_cycle: Callable[..., object]) -> None:
    new_cycle(tx, "post")
    first, second = merges.begin(tx, "shop", [("shop-2", 4), ("shop-1", 1)])
    assert [(m.story_id, m.generation, m.position) for m in (first, second)] == [
        ("shop-2", 4, 0),
        ("shop-1", 1, 1),
    ]
    with pytest.raises(LostRace, match="is merging shop-2"):
        merges.begin(tx, "shop", [("shop-1", 1)])
    (other,) = merges.begin(tx, "post", [("post-1", 1)])
    assert merges.open_of(tx.conn, "shop") == (first, second)
    assert set(merges.open_of(tx.conn)) == {first, second, other}
    merges.finish(tx, first.id, "abandoned")
    with pytest.raises(LostRace, match="is merging shop-1"):
        merges.begin(tx, "shop", [("shop-2", 5)])
    merges.finish(tx, second.id, "refused")
    again, _ = merges.begin(tx, "shop", [("shop-1", 2), ("shop-2", 5)])
    assert again.batch_id not in (first.batch_id, other.batch_id)


def test_a_story_is_in_one_batch(tx: Transaction) -> None:
    merges.begin(tx, "shop", [("shop-1", 1)])
    with pytest.raises(LostRace):
        merges.begin(tx, "post", [("shop-1", 1)])
    with pytest.raises(InvalidInput):
        merges.begin(tx, "post", [])


def test_a_story_leaves_its_batch_until_its_candidate_is_stored(tx: Transaction) -> None:
    first, second = merges.begin(tx, "shop", [("shop-1", 1), ("shop-2", 1)])
    merges.drop(tx, "shop-1")
    assert merges.get(tx.conn, first.id).state == "abandoned"
    merges.drop(tx, "shop-1")  # in none: nothing to do
    merges.set_candidate(tx, second.id, "c", "m")
    with pytest.raises(NotAllowed, match="being merged"):
        merges.drop(tx, "shop-2")
    assert merges.open_of(tx.conn, "shop") == (merges.get(tx.conn, second.id),)


@pytest.mark.parametrize("state", ["refused", "conflict", "abandoned"])
def test_a_merge_that_is_over_stays_so(tx: Transaction, state: str) -> None:
    (merge,) = merges.begin(tx, "shop", [("shop-1", 1)])
    over = merges.finish(tx, merge.id, state)
    for change in (
        lambda: merges.set_candidate(tx, merge.id, "c", "m"),
        lambda: merges.finish(tx, merge.id, "abandoned"),
    ):
        with pytest.raises(LostRace, match="is over"):
            change()
    assert merges.get(tx.conn, merge.id) == over


def test_nothing_is_merged_without_a_candidate(tx: Transaction) -> None:
    (merge,) = merges.begin(tx, "shop", [("shop-1", 1)])
    for state in ("merged", "open"):
        with pytest.raises(InvalidInput):
            merges.finish(tx, merge.id, state)
    with pytest.raises(ValueError, match="nonsense"):
        merges.finish(tx, merge.id, "nonsense")
    with pytest.raises(NotFound):
        merges.finish(tx, "merge_x", "abandoned")
