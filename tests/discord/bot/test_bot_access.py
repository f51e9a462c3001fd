"""Who may do what in the server: by role, by the user that somebody is linked with, and recorded."""

import asyncio
from typing import Any

import pytest

from bot.localguild import LocalGuild, Person
from core.domain.approval import ApprovalState
from tests.discord.bot.real_core import private, settled
from tests.waiting import until


async def test_a_linked_person_may_what_their_user_may(
    orchard: Any, run_bot: Any, guild: LocalGuild, alice: Any
) -> None:
    commands = orchard.commands
    await commands.create_user("ann", "ann@example.org", "wandering ocean lamp tulip", None)
    await commands.create_user("bob", "bob@example.org", "purple rivers climb softly", "contributor")
    async with run_bot(roles=frozenset({"dev"})):
        refused = await settled(alice, await alice.slash("epic", {"text": "Pay by card", "project": "shop"}))
        assert private(refused)
        assert "dev" in refused.text
        (row,) = await commands.audit_entries(50, "access_denied")
        assert (row.subject, row.actor.startswith("discord:"), row.project) == ("epic", True, "shop")

        wrong = await settled(alice, await alice.slash("link", {"code": "AAAA-BBBB-CCCC"}))
        assert private(wrong)
        assert "not good" in wrong.text
        code = (await commands.link_code("bob")).code
        linked = await settled(alice, await alice.slash("link", {"code": code}))
        assert private(linked)
        assert "bob" in linked.text

        now = await settled(alice, await alice.slash("epic", {"text": "Pay by card", "project": "nowhere"}))
        assert "dev" not in now.text  # refused for the project that is not there, not for the right
        assert "nowhere" in now.text

        await commands.disable_user("bob")
        shut = await settled(alice, await alice.slash("state", {"project": "shop"}))
        assert "disabled" in shut.text
    assert (await commands.verify_audit()).sound


async def test_of_a_server_that_is_not_served_nothing_is_taken(
    orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person
) -> None:
    """Commands, suggestions, buttons and forms that are still there from when it was."""
    async with run_bot():
        approval = await orchard.ask(await orchard.running_story())
        post = await alice.wait_for_message(lambda message: message.labels == ["Approve", "Reject"])
        form = await alice.press(post, "Reject")
        assert form.modal is not None
        assert await alice.autocomplete("state", "project", "")
    async with run_bot(wait=False, guild_id=guild.guild_id + 1) as service:
        await until(lambda: "not in the Discord server" in service.status, "a bot without its server")
        assert await alice.autocomplete("state", "project", "") == []
        for answer in (
            await alice.submit(form, {"text": "no"}),
            await alice.press(post, "Approve"),
            await alice.slash("state", {"project": "shop"}),
        ):
            refused = await settled(alice, answer)
            assert private(refused)
            assert "does not serve this server" in refused.text
    assert (await orchard.commands.approval(approval.id)).state is ApprovalState.PENDING


class TestABusyStore:
    """Who asked is told in time, though what is to be read or written takes its own."""

    async def test_a_press_of_somebody_who_is_not_known_in_time_does_nothing(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with run_bot():
            approval = await orchard.ask(await orchard.running_story())
            post = await alice.wait_for_message(lambda message: message.labels == ["Approve", "Reject"])
            monkeypatch.setattr("cogs.desk.ADMIT_SECONDS", 0.1)
            monkeypatch.setattr(orchard.commands, "linked_account", _never)
            told = await settled(alice, await alice.press(post, "Approve"))
            assert private(told)
            assert "busy" in told.text
        assert (await orchard.commands.approval(approval.id)).state is ApprovalState.PENDING

    async def test_a_refusal_does_not_wait_for_its_row(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with run_bot(roles=frozenset({"dev"})):
            known = orchard.commands.linked_account

            async def linked_account(person: str) -> Any:
                found = await known(person)  # this may take its time
                monkeypatch.setattr("cogs.desk.ADMIT_SECONDS", 0.1)
                return found

            monkeypatch.setattr(orchard.commands, "linked_account", linked_account)
            monkeypatch.setattr(orchard.commands, "note_denied", _never)
            told = await settled(alice, await alice.slash("epic", {"text": "Pay", "project": "shop"}))
            assert private(told)
            assert "dev" in told.text


async def _never(*_: Any) -> None:
    await asyncio.Event().wait()
