"""Questions whose answer not everybody may give, and those that nobody answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import LocalGuild, Person, PostedMessage
from core.domain.access import AccessLevel
from core.domain.approval import ApprovalState, Asking, Circle, Unanswered
from core.domain.event import EventKind
from core.orchestrator.deadlines import Deadlines
from tests.waiting import until

MOMENT = timedelta(microseconds=1)


async def asked(person: Person, *others: str) -> PostedMessage:
    """The question's post, with its buttons; none of the `others`, by id."""
    return await person.wait_for_message(
        lambda message: message.labels == ["Approve", "Reject"] and message.id not in others
    )


async def attempts(orchard: Any) -> list[Any]:
    found = await orchard.commands.events(limit=1000)
    return [event for event in found if event.kind is EventKind.APPROVAL_REFUSED_ATTEMPT]


@pytest.mark.parametrize("button", ["Approve", "Reject"])
async def test_who_is_not_named_is_told_privately_who_is(
    orchard: Any, service: DiscordService, alice: Person, bob: Person, button: str
) -> None:
    named = Circle(people=(await bob.user_id(),))
    approval = await orchard.ask(await orchard.running_story(), asking=Asking(circle=named))
    message = await asked(alice)
    assert f"<@{await bob.user_id()}>, who manages this server" in message.text
    told = await alice.press(message, button)
    assert told.ephemeral
    assert told.modal is None
    assert f"<@{await bob.user_id()}>" in told.text
    assert (await asked(alice)).labels == ["Approve", "Reject"]  # still as it was
    noted = [(event.actor, event.data["level"]) for event in await attempts(orchard)]
    assert noted == ([(f"discord:{await alice.user_id()}", "maintainer")] if button == "Approve" else [])
    await bob.press(message, "Approve")
    assert (await orchard.commands.approval(approval.id)).answered_by == f"discord:{await bob.user_id()}"


async def test_a_form_that_was_open_before_the_circle_counted_answers_nothing(
    orchard: Any, run_bot: Any, alice: Person
) -> None:
    async with run_bot():
        approval = await orchard.ask(await orchard.running_story())
        form = await alice.press(await asked(alice), "Reject")
        assert form.modal is not None
    async with run_bot(roles=frozenset({"dev"})):  # alice has lost her rights
        told = await alice.submit(form, {"text": "no"})
        assert told.ephemeral
        assert "These roles may steer Orchard: dev" in told.text
        [event] = await attempts(orchard)
        assert (event.data["approve"], event.data["level"]) == (False, "viewer")
    assert (await orchard.commands.approval(approval.id)).state is ApprovalState.PENDING


async def test_the_owner_of_the_server_may_always_answer(
    orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
) -> None:
    only_owner = Circle(level=AccessLevel.OWNER)
    approval = await orchard.ask(await orchard.running_story(), asking=Asking(circle=only_owner))
    message = await asked(alice)
    assert (await alice.press(message, "Approve")).ephemeral
    await guild.person("owner").press(message, "Approve")
    assert (await orchard.commands.approval(approval.id)).state is ApprovalState.APPROVED


async def test_a_question_that_nobody_answers_is_put_to_a_wider_circle_with_its_buttons(
    orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person, bob: Person
) -> None:
    asking = Asking(
        circle=Circle(level=AccessLevel.OWNER),
        within=MOMENT,
        unanswered=Unanswered.ESCALATE,
        escalation=Circle(level=AccessLevel.OWNER, people=(await bob.user_id(),)),
    )
    approval = await orchard.ask(await orchard.running_story(), asking=asking)
    first = await asked(alice)
    assert "Unanswered by then, these are asked as well" in first.text
    assert (await bob.press(first, "Approve")).ephemeral
    await Deadlines(orchard.store, orchard.clock).tick()
    again = await asked(alice, first.id)
    assert "Nobody answered in time" in again.text
    assert f"<@{await bob.user_id()}>" in again.text
    await bob.press(again, "Approve")
    assert (await orchard.commands.approval(approval.id)).state is ApprovalState.APPROVED
    await orchard.posted()

    async def closed() -> bool:
        return not any("Approve" in message.labels for message in await alice.messages("proj-shop"))

    await until(closed, "posts without buttons")


async def test_a_denial_by_time_is_shown_on_the_question(
    orchard: Any, service: DiscordService, alice: Person
) -> None:
    asking = Asking(within=MOMENT, unanswered=Unanswered.DENY)
    await orchard.ask(await orchard.running_story(), asking=asking)
    message = await asked(alice)
    await Deadlines(orchard.store, orchard.clock).tick()
    edited = await alice.wait_for_message(lambda m: m.id == message.id and not m.buttons)
    assert "**Rejected** by orchard" in edited.text
    assert "nobody answered within" in edited.text


async def test_a_double_click_answers_once(orchard: Any, service: DiscordService, alice: Person) -> None:
    approval = await orchard.ask(await orchard.running_story())
    message = await asked(alice)
    await asyncio.gather(*(alice.press(message, "Approve") for _ in range(3)))
    found = await orchard.commands.events(limit=1000)
    answers = [event for event in found if event.kind is EventKind.APPROVAL_ANSWERED]
    assert [event.data["approval"] for event in answers] == [approval.id]
    assert answers[0].data["how"] == "discord"
