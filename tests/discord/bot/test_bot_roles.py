"""Levels by Discord's roles, and levels in single projects: what people may do, are shown and are offered."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.localguild import LocalGuild, Person
from bot.localguild.model import Role
from core.domain.access import AccessLevel
from core.errors import NotAllowed
from core.orchestrator.commands.admission import admitted
from core.security.access import Asker, Face, Levels
from tests.discord.bot.real_core import private, settled

HELPER, READER = 4001, 4002
LEVELS = {"helper": AccessLevel.CONTRIBUTOR, str(READER): AccessLevel.VIEWER}
Give = Callable[..., Any]


@pytest.fixture
def give(guild: LocalGuild) -> Give:
    """Gives a person exactly these roles of the server."""
    everyone = guild.world.guild
    for role_id, name in ((HELPER, "helper"), (READER, "reader")):
        everyone.roles[role_id] = Role(id=role_id, name=name, position=1)

    async def give(person: Person, *roles: int) -> None:
        everyone.members[int(await person.user_id())].roles[:] = roles

    return give


async def linked(orchard: Any, person: Person, name: str, level: str | None = None, **projects: str) -> None:
    commands = orchard.commands
    if not await commands.users():
        await commands.create_user("owner", "owner@example.org", "wandering ocean lamp tulip", None)
    await commands.create_user(name, f"{name}@example.org", "purple rivers climb softly", level)
    for project, granted in projects.items():
        await commands.grant_project_access(name, project, granted)
    code = (await commands.link_code(name)).code
    await commands.redeem_link(await person.user_id(), code)


async def test_a_right_by_a_role_is_gone_at_the_next_press(
    orchard: Any, run_bot: Any, give: Give, alice: Person
) -> None:
    await give(alice, HELPER)
    async with run_bot(role_levels=LEVELS):
        story = await orchard.running_story()
        await orchard.block(story)
        post = await alice.wait_for_message(lambda message: "Skip" in message.labels)
        await give(alice, READER)
        refused = await settled(alice, await alice.press(post, "Skip"))
        assert private(refused)
        assert "helper" in refused.text  # which role it takes
        [denied] = await orchard.commands.audit_entries(9, "access_denied")
        assert (denied.subject, denied.project) == ("button skip", "shop")
        seen = await settled(alice, await alice.slash("state", {"project": "shop"}))
        assert "shop" in seen.text
        await give(alice)
        unseen = await settled(alice, await alice.slash("state", {"project": "shop"}))
        assert private(unseen)
        assert "no level" in unseen.text
        assert await alice.autocomplete("state", "project", "") == []
        await give(alice, HELPER)
        await settled(alice, await alice.press(post, "Skip"))
        assert str((await orchard.commands.story(story.id)).view.status) == "skipped"
    assert (await orchard.commands.verify_audit()).sound


async def test_of_a_role_and_a_linked_user_the_higher_counts(
    orchard: Any, run_bot: Any, give: Give, alice: Person, bob: Person
) -> None:
    await linked(orchard, alice, "ann", "viewer")
    await linked(orchard, bob, "bob", "contributor")
    async with run_bot(role_levels=LEVELS):
        for person, roles in ((alice, (HELPER,)), (bob, (READER,))):
            await give(person, *roles)
            added = await settled(
                person, await person.slash("backlog add_story", {"title": "Pay", "project": "shop"})
            )
            assert "shop-" in added.text, added.text
        await give(alice)
        refused = await settled(
            alice, await alice.slash("backlog add_story", {"title": "Pay", "project": "shop"})
        )
        assert "contributor" in refused.text
        await orchard.commands.disable_user("bob")
        shut = await settled(bob, await bob.slash("project_list"))
        assert "disabled" in shut.text


async def test_who_has_one_project_sees_and_does_that_one(
    orchard: Any, run_bot: Any, give: Give, alice: Person, bob: Person
) -> None:
    await orchard.add_project("vault")
    await orchard.commands.add_story("vault", "Secret of vault", actor="cli")
    story = await orchard.running_story(title="Secret of shop")
    await linked(orchard, alice, "ann", shop="contributor")
    async with run_bot(role_levels=LEVELS):
        for command in (
            "project_list",
            "global_status",
            "resource_status",
            "insights",
            "budget show",
            "digest",
        ):
            shown = await settled(alice, await alice.slash(command))
            assert "vault" not in shown.text, command
            assert "no level" not in shown.text, command
        offered = await alice.autocomplete("state", "project", "")
        assert [one.value for one in offered] == ["shop"]
        offered = await alice.autocomplete("story show", "story", "secret")
        assert [one.value for one in offered] == ["shop-1"]
        for command, options in (
            ("state", {"project": "vault"}),
            ("story show", {"story": "vault-1"}),
            ("story show", {"story": "Secret of vault"}),
            ("backlog view", {"project": "vault"}),
            ("subscribe", {"project": "vault"}),
            ("resource_status", {"project": "vault"}),
        ):
            refused = await settled(alice, await alice.slash(command, options))
            assert private(refused), command

        await orchard.block(story)  # its post makes the channel
        await alice.wait_for_message(lambda message: "Skip" in message.labels)
        await alice.say_to_bot('backlog add_story "Pay by card"', channel="proj-shop")
        await alice.wait_for_message(lambda message: "shop-2" in message.text, channel="proj-shop")
        await alice.say_to_bot('backlog add_story "Pay by card" "" "" normal vault', channel="proj-shop")
        await alice.wait_for_message(
            lambda message: "may not edit backlog in vault" in message.text, channel="proj-shop"
        )
        assert len(await orchard.commands.backlog("vault")) == 1
        await bob.say_to_bot("state", channel="proj-shop")
        await bob.wait_for_message(lambda message: "no level" in message.text, channel="proj-shop")


async def test_a_question_of_their_project_is_theirs_to_answer(
    orchard: Any, run_bot: Any, give: Give, alice: Person, bob: Person
) -> None:
    await linked(orchard, alice, "ann", shop="maintainer")
    async with run_bot(role_levels=LEVELS):
        approval = await orchard.ask(await orchard.running_story())
        post = await alice.wait_for_message(lambda message: message.labels == ["Approve", "Reject"])
        assert "no level" in (await settled(bob, await bob.press(post, "Approve"))).text
        await alice.press(post, "Approve")
        assert (
            await orchard.commands.approval(approval.id)
        ).answered_by == f"discord:{await alice.user_id()}"


async def test_roles_that_the_server_has_not_are_told_at_the_start(
    run_bot: Any, give: Give, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "bot.discord.client"):
        async with run_bot(role_levels={**LEVELS, "hleper": AccessLevel.ADMIN}, roles=frozenset({"99"})):
            pass
    [told] = [record.getMessage() for record in caplog.records if "no role" in record.getMessage()]
    assert "99, hleper" in told


async def test_who_was_shut_out_is_called_no_longer(
    orchard: Any, run_bot: Any, give: Give, alice: Person, bob: Person
) -> None:
    await linked(orchard, alice, "ann", "viewer")
    await linked(orchard, bob, "bob", "viewer")
    async with run_bot(role_levels=LEVELS):
        for person in (alice, bob):
            await settled(person, await person.slash("subscribe", {"project": "*"}))
        await orchard.commands.disable_user("bob")
        await orchard.block(await orchard.running_story())
        post = await alice.wait_for_message(lambda message: "Skip" in message.labels)
    assert f"<@{await alice.user_id()}>" in post.content
    assert f"<@{await bob.user_id()}>" not in post.content


async def test_a_user_of_one_project_is_shown_that_one_by_every_face(orchard: Any) -> None:
    """What is of every project is cut by the core itself, whoever asks it for somebody."""
    await orchard.add_project("vault")
    for project in ("shop", "vault"):
        story = await orchard.running_story(project, f"Story of {project}")
        await orchard.ask(story)
    asker = Asker(name="user:ann", levels=Levels(projects={"shop": AccessLevel.VIEWER}), face=Face.WEB)
    theirs = admitted(orchard.commands, asker)
    helping = admitted(
        orchard.commands, replace(asker, levels=Levels(projects={"shop": AccessLevel.CONTRIBUTOR}))
    )
    shown = {
        "system": await theirs.system(),
        "projects": await theirs.projects(),
        "stories": await theirs.stories(),
        "titles": await theirs.story_titles(),
        "approvals": await theirs.approvals(),
        "events": await theirs.events(limit=1000),
        "digest": await theirs.digest(f"discord:{1}", hours=24),
        "news": await theirs.news(0, 1000),
        "sessions": await theirs.sessions(),
        "budgets": await theirs.budgets(),
        "insights": await theirs.insights(),
        "agents": await theirs.agents(),
        "resources": await theirs.resources(),
    }
    for name, found in shown.items():
        assert "vault" not in repr(found), name
    for name in ("system", "projects", "stories", "titles", "approvals", "events", "digest"):
        assert "shop" in repr(shown[name]), name
    for wish in (
        lambda: theirs.project("vault"),
        lambda: theirs.story("vault-1"),
        lambda: theirs.news(0, 1000, "vault"),
        lambda: theirs.subscribe("discord:1", "vault"),
        lambda: theirs.start_project("shop", actor="x"),
        lambda: helping.link_session("shop-1", "vault-1", actor="x"),
        lambda: helping.fork_session("vault-1.1", "shop-1", actor="x"),
    ):
        with pytest.raises(NotAllowed):
            await wish()
    assert await theirs.sessions("vault") == ()
