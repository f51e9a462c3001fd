"""Who may do what in the server: by role, by the user that somebody is linked with, and recorded."""

from typing import Any

from bot.localguild import LocalGuild
from tests.discord.bot.real_core import private, settled


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
