"""Budgets from Discord: looked at, told when they end, raised by a click, a form or a command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import Answer, CannotDo, LocalGuild, Person, PostedMessage
from core.domain.budget import Scope, Unit
from core.domain.event import EventKind
from core.orchestrator.budgets import Budgets
from core.store import ledger
from core.store.ledger import Call, Source
from tests.discord.bot.real_core import Orchard, open_orchard, private, settled
from tests.midday import midday_hours
from tests.waiting import until

SHOP = "proj-shop"
SETTINGS = """
projects:
  shop:
    path: {path}
    budgets:
      day: {{dollars: 5}}
      story: {{tokens: 100000}}
      raise_level: {level}
    work_hours: {hours}
"""


def settings(folder: Path, level: str = "maintainer") -> None:
    (folder / "shop").mkdir(exist_ok=True)
    text = SETTINGS.format(path=folder / "shop", level=level, hours=json.dumps(midday_hours()))
    (folder / "orch-config.yaml").write_text(text, "utf-8")


@pytest.fixture
async def orchard(tmp_path: Path) -> AsyncIterator[Orchard]:
    settings(tmp_path)
    async with open_orchard(tmp_path) as orchard:
        await orchard.add_project("shop")
        yield orchard


def budgets_of(orchard: Orchard) -> Budgets:
    projects = orchard.commands._registry.configuration.settings.projects
    return Budgets(orchard.store, orchard.clock, projects.get)


async def spend(orchard: Orchard, name: str, **more: Any) -> None:
    """One call to a model, as the gateway reports it."""
    facts: dict[str, Any] = {
        "call_id": name,
        "project": "shop",
        "story_id": None,
        "phase": "code_green",
        "agent": "claude",
        "run_id": "run-1",
        "provider": "anthropic",
        "model": "sonnet",
        "wire": "anthropic-messages",
        "at": orchard.clock.now(),
        "source": Source.GATEWAY,
    }
    budgets = budgets_of(orchard)
    await budgets.record((Call(**{**facts, **more}),))
    await budgets.close()


async def use_up(orchard: Orchard, name: str = "call-1") -> None:
    """The day's five dollars, and a little more."""
    await spend(orchard, name, microdollars=5_100_000, input_tokens=1000)


async def raises(orchard: Orchard) -> list[tuple[int, str]]:
    found = await orchard.store.read(lambda conn: ledger.raises(conn, "shop", orchard.clock.now()))
    return [(one.amount, one.by) for one in found]


def says(words: str) -> Any:
    return lambda message: words in message.text


USED_UP = "The budget of shop for today is used up"


async def used_up(person: Person) -> PostedMessage:
    return await person.wait_for_message(says(USED_UP))


class TestPosts:
    async def test_near_the_end_it_is_told_quietly_at_the_end_people_are_called(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        called = await bob.user_id()
        async with run_bot(mentions=(f"<@{called}>",)):
            await spend(orchard, "call-1", microdollars=4_000_000)
            warned = await alice.wait_for_message(says("Shop has used 80 % of its 5.00 USD for today"))
            assert f"<@{called}>" not in warned.text
            assert warned.labels == []
            await spend(orchard, "call-2", microdollars=1_000_000)
            post = await used_up(alice)
            assert f"<@{called}>" in post.text
            assert "100 % · **5.00 USD** of 5.00 USD" in post.text
            assert post.labels == ["Raise by half: +$2.50 for today", "Raise by … for today"]
            assert post.channel_id == (await alice.channel(SHOP)).id

    async def test_a_storys_warning_is_told_in_its_thread_and_its_end_in_the_channel(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await spend(orchard, "call-1", story_id=story.id, input_tokens=90_000)
        warned = await alice.wait_for_message(says("has used 90 % of its 100,000 tokens"))
        assert warned.channel_id in {thread.id for thread in await alice.threads(SHOP)}
        await spend(orchard, "call-2", story_id=story.id, input_tokens=10_000)
        post = await alice.wait_for_message(says("The budget of shop-1 is used up · Add a basket"))
        assert post.channel_id == (await alice.channel(SHOP)).id
        assert "Raise by half: +50,000 tokens for shop-1" in post.labels

    async def test_who_was_raised_before_the_post_could_be_made_is_not_asked(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        await use_up(orchard)
        await orchard.commands.raise_budget(
            "shop", scope=Scope.DAY, unit=Unit.MICRODOLLARS, amount=5_000_000, actor="cli"
        )
        called = await bob.user_id()
        async with run_bot(mentions=(f"<@{called}>",)):
            post = await used_up(alice)
            assert post.labels == []
            assert f"<@{called}>" not in post.text


class TestRaising:
    async def test_one_click_raises_by_half_and_the_post_says_who(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        await use_up(orchard)
        post = await used_up(alice)
        await alice.press(post, post.labels[0])
        me = f"discord:{await alice.user_id()}"
        assert await raises(orchard) == [(2_500_000, me)]
        edited = await alice.wait_for_message(lambda m: m.id == post.id and not m.labels)
        assert f"Raised by <@{await alice.user_id()}>: +$2.50 for today." in edited.text
        told = await alice.wait_for_message(says("💰 Raised by"))
        assert told.channel_id == post.channel_id
        await orchard.posted()
        again = await alice.wait_for_message(lambda m: m.id == post.id)
        assert again.text.count("Raised by <@") == 1  # the notifier did not say it once more

    async def test_double_clicks_of_two_people_and_a_click_after_a_restart_are_one_raise(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        await use_up(orchard)
        async with run_bot():
            post = await used_up(alice)
            label = post.labels[0]
            clicks = [person.press(post, label) for person in (alice, bob, alice)]
            answers = await asyncio.gather(*clicks, return_exceptions=True)
            for answer in answers:
                assert isinstance(answer, (Answer, CannotDo)), answer
            [(amount, by)] = await raises(orchard)
            assert amount == 2_500_000
            edited = await alice.wait_for_message(lambda m: m.id == post.id and not m.labels)
            assert f"<@{by.partition(':')[2]}>" in edited.text

    async def test_a_post_of_before_a_restart_still_raises_and_once(
        self, orchard: Orchard, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        await use_up(orchard)
        async with run_bot():
            post = await used_up(alice)
        async with run_bot():
            await alice.press(post, post.labels[0])
            await alice.wait_for_message(lambda m: m.id == post.id and not m.labels)
            assert len(await raises(orchard)) == 1

    async def test_a_form_takes_any_amount_and_what_is_none_is_said(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        await use_up(orchard)
        post = await used_up(alice)
        for typed, told in (
            ("much", "'much' is no amount"),
            ("5 more", "There is no unit 'more'"),
            ("60 dollars", "is too much at once"),
            ("1 2 3", "That is no amount"),
            ("3 turns", "has no such limit"),
        ):
            form = await alice.press(post, post.labels[1])
            assert form.modal is not None
            refused = await settled(alice, await alice.submit(form, {"text": typed}))
            assert private(refused)
            assert told in refused.text.replace("\\", "")
        assert await raises(orchard) == []
        form = await alice.press(post, post.labels[1])
        await alice.submit(form, {"text": "$7.25"})
        assert [amount for amount, _ in await raises(orchard)] == [7_250_000]
        edited = await alice.wait_for_message(lambda m: m.id == post.id and not m.labels)
        assert "+$7.25 for today" in edited.text

    async def test_who_may_not_is_told_privately_who_may(
        self, orchard: Orchard, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        await use_up(orchard)
        async with run_bot(roles=frozenset({"dev"})):
            post = await used_up(alice)
            for label in post.labels:
                refused = await settled(alice, await alice.press(post, label))
                assert private(refused)
                assert refused.modal is None
                assert "who may steer Orchard (roles: dev)" in refused.text
            typed = {"amount": "5", "unit": "dollars", "project": "shop"}
            refused = await settled(alice, await alice.slash("budget raise", typed))
            assert private(refused)
            assert "You may not raise budgets of shop" in refused.text
            assert await raises(orchard) == []
            assert (await used_up(alice)).labels == post.labels
            await guild.person("owner").press(post, post.labels[0])
            assert len(await raises(orchard)) == 1

    async def test_a_higher_level_than_steering_can_be_asked_for(
        self, orchard: Orchard, service: DiscordService, guild: LocalGuild, alice: Person, tmp_path: Path
    ) -> None:
        settings(tmp_path, "admin")
        await orchard.commands._registry.reload()
        await use_up(orchard)
        post = await used_up(alice)
        refused = await settled(alice, await alice.press(post, post.labels[0]))
        assert private(refused)
        assert "admin and higher: who manages this server" in refused.text
        await guild.person("owner").press(post, post.labels[0])
        assert len(await raises(orchard)) == 1

    async def test_yesterdays_button_raises_nothing_today(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        data = {
            "scope": "day",
            "day": "2020-02-29",
            "unit": "microdollars",
            "spent": 5_000_000,
            "limit": 5_000_000,
            "text": "shop has used all of its 5.00 USD for today",
        }
        await orchard.store.write(lambda tx: tx.emit(EventKind.BUDGET_REACHED, project="shop", data=data))
        post = await used_up(alice)
        for label in post.labels:
            refused = await settled(alice, await alice.press(post, label))
            assert private(refused)
            assert "2020-02-29, and this day is over" in refused.text
        assert await raises(orchard) == []

    async def test_a_raise_at_the_command_line_is_on_the_post_too(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        await use_up(orchard)
        post = await used_up(alice)
        await orchard.commands.raise_budget(
            "shop", scope=Scope.DAY, unit=Unit.MICRODOLLARS, amount=5_000_000, actor="cli"
        )
        edited = await alice.wait_for_message(lambda m: m.id == post.id and not m.labels)
        assert "Raised by the command line: +$5.00 for today." in edited.text


class TestCommands:
    async def test_what_is_used_is_shown_of_all_of_a_project_and_of_a_story(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await spend(orchard, "call-1", story_id=story.id, input_tokens=40_000, microdollars=1_250_000)
        await spend(orchard, "call-2", output_tokens=7, source=Source.AGENT)
        every = await alice.slash("budget show", channel="general")
        assert "📦 **shop**" in every.text
        await orchard.posted()
        here = await alice.slash("budget show", channel=SHOP)
        for words in (
            "Budget of shop",
            "25 % · **1.25 USD** of 5.00 USD",
            "Dearest of 2 calls",
            "claude \\*",
        ):
            assert words in here.text
        of_story = await alice.slash("budget show", {"story": "add a basket"})
        assert "Budget of shop-1" in of_story.text
        assert "40 % · **40,000 tokens** of 100,000 tokens" in of_story.text
        missing = await settled(alice, await alice.slash("budget show", {"project": "nowhere"}))
        assert private(missing)

    async def test_a_raise_by_command_and_as_text(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        typed = {"amount": "2.50", "unit": "dollars", "project": "shop"}
        assert (
            "2.50 USD more until the day ends: 7.50 USD in all"
            in (await alice.slash("budget raise", typed)).text
        )
        mark = await alice.mark()
        await alice.say_to_bot(f"budget raise 50k tokens story {story.id}")
        await alice.wait_for_message(says("50,000 tokens more: 150,000 tokens in all"), after=mark)
        for words, told in (("budget shop", "Budget of shop"), (f"budget {story.id}", "Budget of shop-1")):
            mark = await alice.mark()
            await alice.say_to_bot(words)
            await alice.wait_for_message(says(told), after=mark)
        for scope, whose in (({}, "shop-1 may use"), ({"scope": "day"}, "has no such limit")):
            named = {"amount": "10k", "unit": "tokens", "story": story.id, **scope}
            answer = await settled(alice, await alice.slash("budget raise", named))
            assert whose in answer.text  # a named story is what is meant, unless the day is said
        assert [amount for amount, _ in await raises(orchard)] == [2_500_000, 50_000, 10_000]

    async def test_what_is_used_up_is_raised_from_where_it_is_looked_at(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        await use_up(orchard)
        looked = await alice.slash("budget show", {"project": "shop"})
        assert looked.message is not None
        assert looked.message.labels == ["Raise by half: +$2.50 for today", "Raise by … for today"]
        await alice.press(looked.message, looked.message.labels[0])

        async def raised() -> bool:
            message = (await alice.look_again(looked)).message
            return message is not None and "of 7.50 USD" in message.text and not message.labels

        await until(raised, "the budget as it is now")
        post = await alice.wait_for_message(lambda m: USED_UP in m.text and not m.labels)
        assert "+$2.50 for today" in post.text
