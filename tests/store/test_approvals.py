"""Questions answered, by whom and how often; what silence does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.access import AccessLevel, Standing
from core.domain.approval import (
    Approval,
    ApprovalKind,
    ApprovalState,
    Asking,
    Circle,
    Unanswered,
)
from core.domain.event import POSTED, Event, EventKind
from core.domain.lifecycles import CycleState
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator.commands.approvals import Approvals
from core.orchestrator.deadlines import Deadlines
from core.store import approvals, cycles, events
from core.store.database import Store, Transaction

MINUTES = 30
HALF_AN_HOUR = timedelta(minutes=MINUTES)
VIEWER = Standing(level=AccessLevel.VIEWER, roles=frozenset({"guest"}), person="9")
Ask = Callable[..., Awaitable[Approval]]


@pytest.fixture
def commands(store: Store) -> Approvals:
    return Approvals(store, None, None)  # type: ignore[arg-type] - an answer needs the store only


@pytest.fixture
def ask(store: Store, new_project, new_cycle, passed_to) -> Ask:
    """Asks about a story of its own, which is where such a question is asked."""
    made: list[str] = []

    def asked(tx: Transaction, kind: ApprovalKind, asking: Asking | None) -> Approval:
        if not made:
            new_project(tx)
        cycle = passed_to(tx, new_cycle(tx), CycleState.REFACTOR)
        made.append(cycle.story_id)
        return approvals.ask(
            tx,
            project="shop",
            story_id=cycle.story_id,
            kind=kind,
            subject=f"{kind}:{cycle.story_id}",
            question="May it?",
            detail="+1",
            reasons=("it is large",),
            asking=asking,
        )

    async def put(kind: ApprovalKind = ApprovalKind.MERGE, asking: Asking | None = None) -> Approval:
        return await store.write(lambda tx: asked(tx, kind, asking))

    return put


@pytest.fixture
def told(store: Store) -> Callable[[EventKind], Awaitable[list[Event]]]:
    async def of(kind: EventKind) -> list[Event]:
        found = await store.read(lambda conn: events.since(conn, 0, limit=1000))
        return [event for event in found if event.kind is kind]

    return of


async def state_of(store: Store, asked: Approval) -> ApprovalState:
    return (await store.read(lambda conn: approvals.get(conn, asked.id))).state


async def cycle_of(store: Store, asked: Approval):
    return await store.read(lambda conn: cycles.get(conn, asked.story_id))


# -- answers ---------------------------------------------------------------------------------


async def test_of_fifty_answers_at_once_one_wins(store, commands, ask, told):
    asked = await ask()
    answers = await asyncio.gather(
        *(
            commands.answer_approval(asked.id, n % 2 == 0, reason="why", actor=f"discord:{n}")
            for n in range(1, 51)
        ),
        return_exceptions=True,
    )
    [won] = [answer for answer in answers if isinstance(answer, Approval)]
    lost = [answer for answer in answers if isinstance(answer, NotAllowed)]
    assert len(lost) == 49
    assert {error.message for error in lost} == {f"This was already {won.state} by {won.answered_by}."}
    [event] = await told(EventKind.APPROVAL_ANSWERED)
    assert event.data["by"] == won.answered_by
    expected = CycleState.COMMIT if won.state is ApprovalState.APPROVED else CycleState.CODE_GREEN
    assert (await cycle_of(store, asked)).state is expected
    assert len(await told(EventKind.STORY_SENT_BACK)) == (won.state is ApprovalState.REJECTED)


@pytest.mark.parametrize(
    ("actor", "how", "level"),
    [("discord:42", "discord", AccessLevel.MAINTAINER), ("cli", "cli", None), ("shell", "shell", None)],
)
async def test_who_when_and_how_are_kept(commands, ask, told, clock, actor, how, level):
    asked = await ask(ApprovalKind.PERMISSION)
    at = clock.advance(60)
    by = {"standing": Standing(level=level)} if level else {}
    answered = await commands.answer_approval(asked.id, False, reason="not that", actor=actor, **by)
    assert (answered.answered_by, answered.answered_at) == (actor, at)
    [event] = await told(EventKind.APPROVAL_ANSWERED)
    assert (event.actor, event.at) == (actor, at)
    wanted = {"by": actor, "how": how, "level": "maintainer" if level else "owner", "reason": "not that"}
    assert wanted.items() <= event.data.items()


async def test_who_may_not_answer_is_refused_and_noted(store, commands, ask, told):
    asked = await ask(asking=Asking(circle=Circle(level=AccessLevel.MAINTAINER, roles=("qa",))))
    with pytest.raises(NotAllowed) as refused:
        await commands.answer_approval(asked.id, True, actor="discord:9", standing=VIEWER)
    assert refused.value.why == "It is for the role qa, administrators and higher."
    assert asked.id in refused.value.hint
    [event] = await told(EventKind.APPROVAL_REFUSED_ATTEMPT)
    assert event.actor == "discord:9"
    wanted = {"approval": asked.id, "approve": True, "how": "discord", "level": "viewer"}
    assert wanted.items() <= event.data.items()
    assert event.kind not in POSTED
    assert await state_of(store, asked) is ApprovalState.PENDING
    assert (await cycle_of(store, asked)).state is CycleState.REFACTOR
    assert await told(EventKind.APPROVAL_ANSWERED) == []


async def test_who_comes_late_is_told_so_whoever_it_is(commands, ask, told):
    asked = await ask()
    await commands.answer_approval(asked.id, True, actor="cli")
    with pytest.raises(NotAllowed, match="already approved by cli"):
        await commands.answer_approval(asked.id, True, actor="discord:9", standing=VIEWER)
    assert await told(EventKind.APPROVAL_REFUSED_ATTEMPT) == []


async def test_a_rejected_change_goes_back_with_the_reason(store, commands, ask):
    asked = await ask()
    await commands.answer_approval(asked.id, False, reason="name it `basket`", actor="cli")
    assert "name it `basket`" in (await cycle_of(store, asked)).feedback


async def test_an_answer_that_cannot_be_carried_out_is_no_answer(store, commands, ask, told):
    asked = await ask()
    for approve, reason, error in ((False, "  ", InvalidInput), (True, "x" * 20_001, InvalidInput)):
        with pytest.raises(error):
            await commands.answer_approval(asked.id, approve, reason=reason, actor="cli")
    with pytest.raises(NotFound):
        await commands.answer_approval("approval_nope", True, actor="cli")
    assert await state_of(store, asked) is ApprovalState.PENDING
    assert await told(EventKind.APPROVAL_ANSWERED) == []


# -- silence ---------------------------------------------------------------------------------


def within(unanswered: Unanswered) -> Asking:
    return Asking(
        within=HALF_AN_HOUR,
        unanswered=unanswered,
        escalation=Circle(level=AccessLevel.ADMIN, roles=("77",), people=("42",)),
    )


@pytest.fixture
def deadlines(store, clock) -> Deadlines:
    return Deadlines(store, clock)


async def test_without_a_time_a_question_waits_for_ever(store, ask, deadlines, clock):
    asked = await ask()
    assert await deadlines.tick() == 0
    clock.advance(400 * 86400)
    assert await deadlines.tick() == 0
    assert await state_of(store, asked) is ApprovalState.PENDING


async def test_wait_reminds_once_and_stays_open(store, commands, ask, deadlines, told, clock):
    asked = await ask(asking=within(Unanswered.WAIT))
    clock.advance(MINUTES * 60 - 1)
    assert await deadlines.tick() == 0
    clock.advance(1)
    assert await deadlines.tick() == 1
    clock.advance(86400)
    assert await deadlines.tick() == 0
    [event] = await told(EventKind.APPROVAL_OVERDUE)
    assert (event.data["approval"], event.data["question"]) == (asked.id, "May it?")
    assert event.kind in POSTED
    answered = await commands.answer_approval(asked.id, True, actor="cli")
    assert answered.state is ApprovalState.APPROVED


async def test_escalate_asks_the_wider_circle_and_then_waits(store, commands, ask, deadlines, told, clock):
    asked = await ask(asking=replace(within(Unanswered.ESCALATE), circle=Circle(level=AccessLevel.OWNER)))
    named = Standing(level=AccessLevel.VIEWER, person="42")
    with pytest.raises(NotAllowed):
        await commands.answer_approval(asked.id, True, actor="discord:42", standing=named)
    at = clock.advance(MINUTES * 60)
    assert await deadlines.tick() == 1
    [event] = await told(EventKind.APPROVAL_ESCALATED)
    assert (event.data["roles"], event.data["people"]) == (["77"], ["42"])
    found = await store.read(lambda conn: approvals.get(conn, asked.id))
    assert (found.escalated_at, found.due_at) == (at, at + HALF_AN_HOUR)
    clock.advance(MINUTES * 60)
    assert await deadlines.tick() == 1
    assert len(await told(EventKind.APPROVAL_OVERDUE)) == 1
    clock.advance(86400)
    assert await deadlines.tick() == 0
    answered = await commands.answer_approval(asked.id, True, actor="discord:42", standing=named)
    assert answered.state is ApprovalState.APPROVED


async def test_deny_rejects_a_permission_with_its_reason(store, ask, deadlines, told, clock):
    asked = await ask(ApprovalKind.PERMISSION, within(Unanswered.DENY))
    clock.advance(MINUTES * 60)
    assert await deadlines.tick() == 1
    found = await store.read(lambda conn: approvals.get(conn, asked.id))
    assert (found.state, found.answered_by) == (ApprovalState.REJECTED, "orchard")
    assert found.reason == "nobody answered within 30 minutes"
    [event] = await told(EventKind.APPROVAL_ANSWERED)
    assert event.data["how"] == "orchard"


async def test_a_merge_that_is_denied_by_time_asks_people_and_no_agent(store, ask, deadlines, told, clock):
    asked = await ask(asking=within(Unanswered.DENY))
    clock.advance(MINUTES * 60)
    await deadlines.tick()
    assert await state_of(store, asked) is ApprovalState.REJECTED
    cycle = await cycle_of(store, asked)
    assert cycle.state is CycleState.REFACTOR
    assert "nobody answered within 30 minutes" in cycle.blocked_reason
    assert len(await told(EventKind.STORY_BLOCKED)) == 1


@pytest.mark.parametrize("kind", [*ApprovalKind])
@pytest.mark.parametrize("unanswered", [*Unanswered])
@pytest.mark.parametrize("step", [60, MINUTES * 60, 100 * 86400])
async def test_silence_approves_nothing_on_any_path_of_time(store, ask, told, clock, kind, unanswered, step):
    asked = await ask(kind, within(unanswered))
    for life in range(3):  # each a restart
        deadlines = Deadlines(store, clock)
        for _ in range(max(2, 45 * 60 // step)):
            clock.advance(step)
            await deadlines.tick()
            assert await state_of(store, asked) in (ApprovalState.PENDING, ApprovalState.REJECTED), life
    expected = ApprovalState.REJECTED if unanswered is Unanswered.DENY else ApprovalState.PENDING
    assert await state_of(store, asked) is expected
    assert (await cycle_of(store, asked)).state is CycleState.REFACTOR
    assert len(await told(EventKind.APPROVAL_ANSWERED)) == (unanswered is Unanswered.DENY)
    assert len(await told(EventKind.APPROVAL_OVERDUE)) == (unanswered is not Unanswered.DENY)
    assert len(await told(EventKind.APPROVAL_ESCALATED)) == (unanswered is Unanswered.ESCALATE)


@pytest.mark.parametrize("hours", [-48, 48])
async def test_a_clock_that_is_set_leaves_people_the_time_they_had(store, ask, clock, told, hours):
    class Set:
        """A wall clock that was set, beside the time that really passes."""

        ahead = timedelta()

        def now(self):
            return clock.now() + self.ahead

        monotonic = staticmethod(clock.monotonic)

    setting = Set()
    deadlines = Deadlines(store, setting)
    asked = await ask(ApprovalKind.PERMISSION, within(Unanswered.DENY))
    await deadlines.tick()
    clock.advance(60)
    setting.ahead = timedelta(hours=hours)
    assert await deadlines.tick() == 0
    found = await store.read(lambda conn: approvals.get(conn, asked.id))
    assert found.due_at == asked.due_at + setting.ahead
    assert found.state is ApprovalState.PENDING


async def test_an_answer_in_the_last_moment_wins(store, commands, ask, clock):
    asked = await ask(asking=within(Unanswered.DENY))
    clock.advance(MINUTES * 60)
    answered, _ = await asyncio.gather(
        commands.answer_approval(asked.id, True, actor="cli"), Deadlines(store, clock).tick()
    )
    assert answered.state is await state_of(store, asked) is ApprovalState.APPROVED
    assert (await cycle_of(store, asked)).blocked_reason == ""


async def test_two_lapses_at_once_are_one(store, ask, told, clock):
    await ask(asking=within(Unanswered.ESCALATE))
    clock.advance(MINUTES * 60)
    await asyncio.gather(*(Deadlines(store, clock).tick() for _ in range(5)))
    assert len(await told(EventKind.APPROVAL_ESCALATED)) == 1
