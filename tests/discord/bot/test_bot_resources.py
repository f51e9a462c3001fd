"""Shares, sharing anew and why a story waits, from Discord; posts of limits and of room that was made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import Answer, CannotDo, LocalGuild, Person, PostedMessage
from core.domain.event import EventKind
from core.domain.story import Priority
from core.errors import InvalidInput, Unavailable
from core.orchestrator.resource_views import (
    Optimization,
    ProjectResources,
    ResourcesView,
    ResourceView,
)
from core.scheduler.quota import Quota
from tests.discord.bot.real_core import private, settled
from tests.waiting import until

PNG = b"\x89PNG\r\n\x1a\n"
SHOP = "proj-shop"


def quota(project: str, agents: int = 3) -> Quota:
    return Quota(
        project_name=project,
        allocated_agents=agents,
        allocated_memory_mb=2048,
        allocated_cpu_percent=25.0,
        priority_weight=1.0,
        reason="its fair share",
    )


def project(name: str, **more: Any) -> ProjectResources:
    facts: dict[str, Any] = {
        "tier": Priority.NORMAL,
        "quota": quota(name),
        "running": 1,
        "waiting": 2,
        "share": 0.1,
        "entitled": 0.33,
        "resources": (
            ResourceView(resource="agents", unit="agents", used=1, reserved=1, allocated=3, limit=4),
        ),
    }
    return ProjectResources(project=name, **{**facts, **more})


class Shares:
    """What an engine would say, as the core's commands give it."""

    def __init__(self) -> None:
        self.projects: tuple[ProjectResources, ...] = (project("shop"),)
        self.asked: list[tuple[str | None, bool, str]] = []
        self.changes: tuple[str, ...] = ("Increased memory allocation for shop by 512 MB",)

    async def resources(self) -> ResourcesView:
        total = ResourceView(resource="agents", unit="agents", used=1, reserved=1, allocated=None, limit=10)
        return ResourcesView(
            at=datetime.now(UTC),
            strategy="fair_share",
            total=(total,),
            projects=self.projects,
            locks=(),
            enforcement=("memory by cgroup v2",),
            problems=(),
        )

    async def optimize(
        self, *, strategy: str | None = None, dry_run: bool = False, actor: str
    ) -> Optimization:
        self.asked.append((strategy, dry_run, actor))
        if strategy not in (None, "fair_share") and not dry_run:
            raise InvalidInput("The strategy is fair_share.", hint="Only look: a dry run.")
        return Optimization(
            strategy=strategy or "fair_share",
            dry_run=dry_run,
            seconds=0.15,
            changes=self.changes,
            before=(quota("shop", 2),),
            after=(quota("shop"),),
        )


@pytest.fixture
def shares(orchard: Any, monkeypatch: pytest.MonkeyPatch) -> Shares:
    made = Shares()
    monkeypatch.setattr(orchard.commands, "resources", made.resources)
    monkeypatch.setattr(orchard.commands, "optimize", made.optimize)
    return made


def shown(answer: Answer) -> PostedMessage:
    assert answer.message is not None
    return answer.message


def says(words: str) -> Any:
    return lambda message: words in message.text


class TestStatus:
    async def test_the_table_at_once_then_with_its_picture(
        self, shares: Shares, service: DiscordService, alice: Person
    ) -> None:
        first = await alice.slash("resource_status")
        assert "**shop** 1/3 agents · 2 wait" in first.text

        async def drawn() -> PostedMessage | None:
            message = (await alice.look_again(first)).message
            return message if message is not None and message.attachments else None

        found = await until(drawn, "a picture")
        assert (await alice.download(found.attachments[0])).startswith(PNG)
        assert "Drawing" not in found.text
        again = await alice.slash("resource_status")
        assert shown(again).attachments  # at once: it is kept

    async def test_one_project_by_slash_and_as_text(
        self, shares: Shares, service: DiscordService, alice: Person
    ) -> None:
        answer = await alice.slash("resource_status", {"project": "shop"})
        assert "Resources of shop" in answer.text
        assert "Because: its fair share" in answer.text

        async def drawn() -> PostedMessage | None:
            message = (await alice.look_again(answer)).message
            return message if message is not None and message.attachments else None

        found = await until(drawn, "a picture")
        assert (await alice.download(found.attachments[0])).startswith(PNG)
        assert "Drawing" not in found.text
        mark = await alice.mark()
        await alice.say_to_bot("resource_status SHOP")
        await alice.wait_for_message(says("Resources of shop"), after=mark)
        missing = await settled(alice, await alice.slash("resource_status", {"project": "nowhere"}))
        assert private(missing)
        assert "no project 'nowhere'" in missing.text

    async def test_fifty_projects_are_leafed_through(
        self, shares: Shares, service: DiscordService, alice: Person
    ) -> None:
        shares.projects = tuple(project(f"p{n:02}") for n in range(50))
        page = shown(await alice.slash("resource_status"))
        seen = page.text
        while "More" in page.labels:
            page = shown(await alice.press(page, "More"))
            assert page.attachments == []
            seen += page.text
        assert all(f"**p{n:02}**" in seen for n in range(50))
        back = await alice.press(page, "Back")
        assert "page 5 of 6" in back.text or "Back" in shown(back).labels


class TestOptimize:
    async def test_it_is_done_and_told(self, shares: Shares, service: DiscordService, alice: Person) -> None:
        answer = await settled(alice, await alice.slash("resource_optimize"))
        assert "Resource Optimization Results" in answer.text
        assert "Changes made:\n• Increased memory allocation for shop by 512 MB" in answer.text
        assert shares.asked == [(None, False, f"discord:{await alice.user_id()}")]
        assert shown(answer).labels == []

    @pytest.mark.parametrize("named", [{}, {"strategy": "fair_share"}])
    async def test_a_dry_run_of_the_configured_strategy_can_be_done_by_its_button(
        self, shares: Shares, service: DiscordService, alice: Person, named: dict[str, str]
    ) -> None:
        looked = await settled(alice, await alice.slash("resource_optimize", {**named, "dry_run": True}))
        assert "nothing was changed" in looked.text
        assert shown(looked).labels == ["Do it"]
        pressed = await alice.press(shown(looked), "Do it")
        told = await alice.wait_for_message(lambda m: "Results" in m.text)
        assert told.id == shown(looked).id
        assert pressed.id
        assert shares.asked[-1] == ("fair_share", False, f"discord:{await alice.user_id()}")
        assert told.labels == []

    async def test_another_strategy_is_only_looked_at(
        self, shares: Shares, service: DiscordService, alice: Person
    ) -> None:
        looked = await settled(
            alice, await alice.slash("resource_optimize", {"strategy": "dynamic", "dry_run": True})
        )
        assert "Strategy: `dynamic`" in looked.text
        assert shown(looked).labels == []
        refused = await settled(alice, await alice.slash("resource_optimize", {"strategy": "dynamic"}))
        assert private(refused)
        assert "Only look: a dry run." in refused.text
        with pytest.raises(CannotDo):  # no import path from a chat
            await alice.slash("resource_optimize", {"strategy": "os:system", "dry_run": True})

    async def test_as_text(self, shares: Shares, service: DiscordService, alice: Person) -> None:
        mark = await alice.mark()
        await alice.say_to_bot("resource_optimize dynamic true")
        await alice.wait_for_message(says("Strategy: `dynamic`"), after=mark)
        mark = await alice.mark()
        await alice.say_to_bot("resource_optimize os:system true")
        await alice.wait_for_message(says("not possible for strategy"), after=mark)
        assert [asked[0] for asked in shares.asked] == ["dynamic"]

    async def test_many_changes_are_leafed_through(
        self, shares: Shares, service: DiscordService, alice: Person
    ) -> None:
        shares.changes = tuple(f"Changed number {n:03}." for n in range(45))
        page = shown(await settled(alice, await alice.slash("resource_optimize")))
        seen = page.text
        while "More" in page.labels:
            page = shown(await alice.press(page, "More"))
            seen += page.text
        assert all(f"number {n:03}." in seen for n in range(45))


class TestWhy:
    async def test_by_id_title_thread_text_and_button(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.add_project("calc")
        other = await orchard.commands.add_story("calc", "Add up", actor="cli")
        await alice.wait_for_channel(lambda seen: seen.name == SHOP)
        answer = await alice.slash("why", {"story": story.id})
        assert "`shop-1` **" in answer.text
        assert "`calc-1` **" in (await alice.slash("why", {"story": "add up"}, channel=SHOP)).text
        mark = await alice.mark()
        await alice.say_to_bot(f"why {other.id}")
        await alice.wait_for_message(says("`calc-1` **"), after=mark)
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()
        [thread] = await alice.threads(SHOP)
        assert "`shop-1` **" in (await alice.slash("why", channel=thread.id)).text
        pressed = await alice.press(shown(await alice.slash("story show", {"story": story.id})), "Why?")
        assert pressed.ephemeral
        assert "`shop-1` **" in pressed.text
        missing = await settled(alice, await alice.slash("why", {"story": "shop-99"}))
        assert private(missing)

    async def test_a_projects_own_stories_are_offered_first(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        await orchard.add_project("calc")
        for name in ("calc", "shop"):
            for number in range(2):
                await orchard.commands.add_story(name, f"Add {number}", actor="cli")
        await orchard.running_story()
        await orchard.posted()  # its project has a channel then
        offered = await alice.autocomplete("why", "story", "add", channel=SHOP)
        values = [choice.value for choice in offered]
        assert set(values[:3]) == {"shop-1", "shop-2", "shop-3"}
        assert set(values[3:]) == {"calc-1", "calc-2"}
        offered = await alice.autocomplete("why", "story", "calc", channel=SHOP)
        assert {choice.value for choice in offered} == {"calc-1", "calc-2"}


class TestPosts:
    async def test_a_limit_is_told_and_calls_only_when_it_happens_again_and_again(
        self, orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person, bob: Person
    ) -> None:
        called = await bob.user_id()
        async with run_bot(mentions=(f"<@{called}>",)):
            story = await orchard.running_story()
            for number in range(3):
                await orchard.emit(
                    EventKind.LIMIT_BREACHED, story, resource="memory", ended=1, text=f"Breach {number}."
                )
            await orchard.emit(EventKind.LIMIT_BREACHED, story, resource="disk", ended=0, text="Breach 3.")
            await orchard.posted()
            posts = [await alice.wait_for_message(says(f"Breach {n}.")) for n in range(4)]
            assert [f"<@{called}>" in post.text for post in posts] == [False, False, True, False]
            assert "3 times within 1 h" in posts[2].text
            channels = {post.channel_id for post in posts}
            assert len(channels) == 1

    async def test_hosts_that_an_agent_was_refused_make_one_post_that_grows(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        for number in range(30):
            await orchard.emit(
                EventKind.NETWORK_DENIED,
                story,
                what="agent",
                host=f"h{number % 25}.example",
                port=443,
                why="No rule names it.",
                hint=f"Add 'h{number % 25}.example:443'.",
            )
        await orchard.posted()
        post = await alice.wait_for_message(says("was refused 25 hosts"))
        assert "`h0.example:443`: No rule names it." in post.text
        assert "… and 15 more" in post.text
        assert "Add 'h0.example:443'." in post.text
        [thread] = await alice.threads(SHOP)
        assert post.channel_id == thread.id
        told = [each for each in await alice.messages(thread) if "by the allow-list" in each.text]
        assert [each.id for each in told] == [post.id]
        assert (await alice.press(post, "Why?")).ephemeral

    async def test_a_refused_strategy_is_told_in_the_general_channel(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        await orchard.store.write(
            lambda tx: tx.emit(
                EventKind.STRATEGY_REFUSED, data={"strategy": "shop:Mine", "why": "It hangs.", "kept": ""}
            )
        )
        post = await alice.wait_for_message(says("It hangs."))
        assert post.channel_id == (await alice.channel("orchard")).id
        assert "The last good allocation stays." in post.text

    async def test_a_parked_story_tells_its_thread_and_says_why_on_demand(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.STORY_PARKED, story, phase="code_green", taker="calc", reason="r")
        await orchard.posted()
        post = await alice.wait_for_message(says("Parked in `code_green` to make room for **calc**"))
        [thread] = await alice.threads(SHOP)
        assert post.channel_id == thread.id
        assert (await alice.press(post, "Why?")).ephemeral


class TestLive:
    async def test_shares_and_hours_are_in_the_live_status_and_follow_the_clock(
        self, orchard: Any, run_bot: Any, shares: Shares, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.discord.live.WATCH_SECONDS", 0.05)
        async with run_bot():
            await orchard.running_story()
            old = await alice.wait_for_message(says("🤖 1/3 agents · 2 GB · CPU 25 %"), channel=None)
            [one] = shares.projects
            shares.projects = (replace(one, barred="waits: it is outside the work hours of shop."),)
            await alice.wait_for_message(lambda m: m.id == old.id and "🚧 Outside the work hours" in m.text)
            shares.projects = (one,)
            await alice.wait_for_message(lambda m: m.id == old.id and "🚧" not in m.text)

    async def test_without_shares_there_is_still_a_live_status(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def unknown() -> ResourcesView:
            raise Unavailable("No engine.")

        monkeypatch.setattr(orchard.commands, "resources", unknown)
        async with run_bot():
            await orchard.running_story()
            shown = await alice.wait_for_message(says("0 of 1 done"))
            assert "🤖" not in shown.text
