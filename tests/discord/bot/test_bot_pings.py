"""Whom posts call, when not, and what people are told of what they missed; their own commands."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.discord.audience import PEOPLE_AT_ONCE
from bot.discord.crier import Crier
from bot.discord.notify import Notifier
from bot.discord.service import DiscordService
from bot.localguild import (
    Fault,
    FaultKind,
    GuildSettings,
    LocalGuild,
    Person,
    PostedMessage,
)
from core.domain.event import EventKind
from core.domain.quiet import QuietHours
from core.store import people
from tests.discord.patience import patient_guild
from tests.waiting import until

SHOP = "proj-shop"
POST = "POST /channels/{channel_id}/messages"


class MovedClock:
    """The real time, and what a test adds to it."""

    def __init__(self, base: Any) -> None:
        self._base = base
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self._base.now() + self.ahead

    def monotonic(self) -> float:
        return self._base.monotonic()


@pytest.fixture
def moved_clock(orchard: Any) -> MovedClock:
    orchard.clock = MovedClock(orchard.clock)
    return orchard.clock


def around_now(hours: float = 1) -> QuietHours:
    """Quiet since an hour ago, for some hours from now."""
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(hours=hours)
    return QuietHours(start=start.time(), end=end.time(), time_zone="UTC")


async def named(person: Person) -> str:
    return f"discord:{await person.user_id()}"


def pinged(messages: Sequence[PostedMessage]) -> list[tuple[str, list[str]]]:
    """The first words of each message that called people, and whom."""
    return [
        (
            message.raw["embeds"][0].get("title") or message.text[:40],
            [u["id"] for u in message.raw["mentions"]],
        )
        for message in messages
        if message.author == "Orchard" and message.raw["mentions"]
    ]


async def summaries(alice: Person) -> list[PostedMessage]:
    return [message for message in await alice.messages(SHOP) if "While you were away" in message.text]


async def nothing_missed(orchard: Any, person: str) -> bool:
    return not await orchard.store.read(lambda conn: people.missed(conn, person))


class TestSubscribers:
    async def test_whoever_asked_for_the_kind_is_called_and_nobody_else(
        self, orchard: Any, service: DiscordService, alice: Person, bob: Person
    ) -> None:
        await orchard.commands.subscribe(await named(alice), "shop", ["blocked"])
        await orchard.commands.subscribe(await named(bob), None, ["done"])
        story = await orchard.running_story(title=f"<@{await bob.user_id()}> look")
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.block(story, f"ask <@{await bob.user_id()}>")
        await orchard.emit(EventKind.STORY_MERGED, story, commit="c" * 40, branch="main")
        await orchard.posted()
        called = [ids for _, ids in pinged(await alice.messages(SHOP))]
        assert called == [[str(await alice.user_id())], [str(await bob.user_id())]]

    async def test_a_retry_after_a_lost_answer_calls_once(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        await orchard.commands.subscribe(await named(alice))
        story = await orchard.running_story()
        await alice.wait_for_message(lambda m: "0 of 1 done" in m.text)  # which is a post, too
        await orchard.posted()
        guild.world.faults.plan(Fault(kind=FaultKind.ANSWER_LOST, route=POST, times=1, status=503))
        await orchard.block(story)
        await orchard.posted()
        assert len(pinged(await alice.messages(SHOP))) == 1
        assert await nothing_missed(orchard, await named(alice))

    async def test_more_than_a_post_can_name_are_told_by_themselves(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        strangers = [f"discord:{10**17 + n}" for n in range(PEOPLE_AT_ONCE)]
        for person in (*strangers, await named(alice)):  # she was last
            await orchard.commands.subscribe(person, "shop")
        await orchard.block(await orchard.running_story())
        await orchard.posted()
        [post] = [m for m in await alice.messages(SHOP) if "and 1 more, who are told by themselves" in m.text]
        assert len(post.raw["content"]) < 2000
        [told] = await until(lambda: summaries(alice), "a message of her own")
        assert [user["id"] for user in told.raw["mentions"]] == [str(await alice.user_id())]
        assert f"/{post.channel_id}/{post.id}" in told.text

    async def test_those_whom_a_question_asks_are_called(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        me = str(await alice.user_id())
        await orchard.emit(
            EventKind.APPROVAL_ESCALATED, story, question="Merge?", to="you", people=[me, "x"], roles=["gone"]
        )
        await orchard.posted()
        [(title, ids)] = pinged(await alice.messages(SHOP))
        assert "still waits" in title
        assert ids == [me]


class TestQuietHours:
    async def test_what_was_missed_is_told_once_when_they_end(
        self, orchard: Any, moved_clock: MovedClock, service: DiscordService, alice: Person, bob: Person
    ) -> None:
        me = await named(alice)
        await orchard.commands.subscribe(me, "shop")
        await orchard.commands.subscribe(await named(bob), "shop")
        await orchard.commands.set_quiet_hours(me, around_now())
        story = await orchard.running_story(title="Add a basket")
        await orchard.block(story)
        await orchard.emit(EventKind.STORY_MERGED, story, commit="c" * 40, branch="main")
        await orchard.posted()
        posts = [m for m in await alice.messages(SHOP) if m.raw["mentions"]]
        assert [[u["id"] for u in m.raw["mentions"]] for m in posts] == [[str(await bob.user_id())]] * 2
        moved_clock.ahead = timedelta(hours=1, minutes=1)
        [told] = await until(lambda: summaries(alice), "what she missed")
        assert "🎉 1 done · ⛔ 1 blocked" in told.text
        assert all(f"/{post.channel_id}/{post.id}" in told.text for post in posts)
        assert [user["id"] for user in told.raw["mentions"]] == [str(await alice.user_id())]
        await until(lambda: nothing_missed(orchard, me), "it is settled")
        assert len(await summaries(alice)) == 1

    async def test_it_waits_through_a_restart(self, orchard: Any, run_bot: Any, alice: Person) -> None:
        me = await named(alice)
        await orchard.commands.subscribe(me, "shop")
        await orchard.commands.set_quiet_hours(me, around_now())
        async with run_bot():
            await orchard.block(await orchard.running_story())
            await orchard.posted()
            assert not pinged(await alice.messages(SHOP))
        await orchard.commands.set_quiet_hours(me, None)
        async with run_bot():
            assert len(await until(lambda: summaries(alice), "what she missed")) == 1

    async def test_configured_people_have_quiet_hours_too(
        self, orchard: Any, run_bot: Any, alice: Person
    ) -> None:
        await orchard.commands.set_quiet_hours(await named(alice), around_now())
        async with run_bot(mentions=(f"<@{await alice.user_id()}>",)):
            await orchard.block(await orchard.running_story())
            await orchard.posted()
        assert not pinged(await alice.messages(SHOP))

    async def test_discord_failing_loses_nobody(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        me = await named(alice)
        await orchard.commands.subscribe(me)
        await orchard.commands.set_quiet_hours(me, around_now())
        await orchard.block(await orchard.running_story())
        await alice.wait_for_message(lambda m: "of 1 done" in m.text)  # which is a post, too
        await orchard.posted()
        guild.world.faults.plan(Fault(kind=FaultKind.REFUSED, route=POST, times=1, status=403, code=50013))
        guild.world.faults.plan(Fault(kind=FaultKind.ANSWER_LOST, route=POST, times=1, status=503))
        await orchard.commands.set_quiet_hours(me, None)
        await until(lambda: not guild.world.faults.planned, "both faults")
        await until(lambda: nothing_missed(orchard, me), "it was told")
        assert len(await summaries(alice)) == 1


class TestCrash:
    @pytest.fixture
    def guild_settings(self) -> GuildSettings:
        """It has forgotten the nonce when the bot comes back, as Discord does after some minutes."""
        return patient_guild(nonce_window_seconds=0)

    async def test_between_posting_and_marking_calls_nobody_twice(
        self, orchard: Any, run_bot: Any, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: Any) -> None:
            await asyncio.Event().wait()

        await orchard.commands.subscribe(await named(alice), "shop")
        async with run_bot():
            story = await orchard.running_story()
            await orchard.posted()
        with monkeypatch.context() as patch:
            patch.setattr(Notifier, "_settle", never)
            async with run_bot():
                await orchard.block(story)
                await alice.wait_for_message(lambda m: "is blocked" in m.text)
        await orchard.commands.subscribe(await named(bob), "shop")  # the post that is there does not name him
        async with run_bot():
            await orchard.posted()
            [told] = await until(lambda: summaries(alice), "bob is told by himself")
        assert [ids for title, ids in pinged(await alice.messages(SHOP)) if "is blocked" in title] == [
            [str(await alice.user_id())]
        ]
        assert [user["id"] for user in told.raw["mentions"]] == [str(await bob.user_id())]

    async def test_quiet_hours_that_end_while_a_call_is_put_off_put_it_off_no_longer(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        me = await named(alice)
        await orchard.commands.subscribe(me, "shop")
        await orchard.commands.set_quiet_hours(me, around_now())
        judged = Crier.call

        async def call(self: Crier, *asked: Any) -> Any:
            found = await judged(self, *asked)
            await orchard.commands.set_quiet_hours(me, None)
            return found

        monkeypatch.setattr(Crier, "call", call)
        async with run_bot():
            await orchard.block(await orchard.running_story())
            await orchard.posted()
            [told] = await until(lambda: summaries(alice), "she is told by herself")
        assert "1 blocked" in told.text

    async def test_between_telling_and_marking_tells_nothing_twice(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        me = await named(alice)
        await orchard.commands.subscribe(me, "shop")
        await orchard.commands.set_quiet_hours(me, around_now())
        async with run_bot():
            story = await orchard.running_story()
            await orchard.block(story)
            await orchard.posted()
        await orchard.commands.set_quiet_hours(me, None)
        with monkeypatch.context() as patch:
            patch.setattr(people, "told", lambda *_: 1 / 0)
            async with run_bot():
                await until(lambda: summaries(alice), "a summary")
            await orchard.store.write(lambda tx: None)  # after what the bot handed in before it ended
        assert not await nothing_missed(orchard, me)
        async with run_bot():
            await orchard.commands.set_quiet_hours(me, around_now())
            await orchard.emit(EventKind.STORY_MERGED, story, commit="c" * 40, branch="main")
            await orchard.posted()
            await orchard.commands.set_quiet_hours(me, None)
            await until(lambda: nothing_missed(orchard, me), "the rest is told")
        heads = [("⛔ 1 blocked" in m.text, "🎉 1 done" in m.text) for m in await summaries(alice)]
        assert sorted(heads) == [(False, True), (True, False)]


class TestCommands:
    async def test_a_person_subscribes_looks_and_leaves(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        await orchard.running_story()
        await orchard.posted()
        here = await alice.slash("subscribe", {"kind": "done"}, channel=SHOP)
        assert here.ephemeral
        assert "`shop`: 🎉 done" in here.text
        everywhere = await alice.slash("subscribe", {"project": "*"}, channel=SHOP)
        assert "every project" in everywhere.text
        assert "`shop`" in (await alice.slash("subscriptions")).text
        gone = await alice.slash("unsubscribe")
        assert "called for nothing" in gone.text
        again = await alice.slash("unsubscribe")
        assert again.ephemeral
        assert "not subscribed" in again.text

    async def test_quiet_hours_by_command(self, orchard: Any, service: DiscordService, alice: Person) -> None:
        unknown = await alice.slash("quiet_hours", {"start": "22:00", "end": "7"})
        assert "Which time zone?" in unknown.text
        zone = {"start": "22:00", "end": "7", "timezone": "Europe/Berlin"}
        assert "Quiet from 22:00 to 07:00 (`Europe/Berlin`)" in (await alice.slash("quiet_hours", zone)).text
        kept = await alice.slash("quiet_hours", {"start": "23.30", "end": "06:15"})
        assert "23:30 to 06:15 (`Europe/Berlin`)" in kept.text
        wrong = await alice.slash("quiet_hours", {"start": "25:00", "end": "7"})
        assert "no time of day" in wrong.text
        assert "No quiet hours" in (await alice.slash("quiet_hours", {"start": "off"})).text

    async def test_a_digest_is_for_one_person_and_links_to_what_waits(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.ask(story)
        await orchard.posted()
        question = await alice.wait_for_message(lambda m: m.labels == ["Approve", "Reject"])
        answer = await alice.slash("digest")
        assert answer.ephemeral
        assert "Run rm -rf build?" in answer.text
        assert f"/{question.channel_id}/{question.id})" in answer.text
        assert "1 × sprint started" in answer.text
        second = await alice.slash("digest")
        assert "sprint started" not in second.text
        assert "Run rm -rf build?" in second.text
        assert "sprint started" in (await alice.slash("digest", {"hours": 2})).text

    async def test_a_long_digest_is_leafed_through(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        for number in range(12):
            story = await orchard.commands.add_story("shop", f"Story {number}", actor="cli")
            await orchard.emit(EventKind.STORY_MERGED, story, commit="c" * 40, branch="main")
        await orchard.posted()
        first = await alice.slash("digest")
        assert "Story 0" in first.text
        assert "Story 11" not in first.text
        assert first.message is not None
        second = await alice.press(first.message, "More")
        assert "Story 11" in second.text
        assert re.search(r"page 2 of \d", second.text)
