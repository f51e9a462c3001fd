"""From event to post: channels, threads, approvals, blocked stories, the live status, faults and restarts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.discord.notify import Notifier
from bot.discord.service import DiscordService
from bot.localguild import (
    Answer,
    Fault,
    FaultKind,
    GuildSettings,
    LocalGuild,
    Person,
    PostedMessage,
    SeenChannel,
)
from bot.localguild.permissions import Permission
from core.domain.approval import ApprovalState
from core.domain.event import EventKind
from core.domain.story import StoryStatus
from core.store import outbox, posts
from tests.discord.patience import patient_guild
from tests.waiting import until

POST = "POST /channels/{channel_id}/messages"
SHOP = "proj-shop"
BLOCKED_BUTTONS = ["Suggest fix", "Take over", "Skip", "Why?"]


def says(words: str) -> Any:
    return lambda message: words in message.text


async def asked(alice: Person) -> PostedMessage:
    """The approval's message, with its buttons."""
    return await alice.wait_for_message(lambda message: message.labels == ["Approve", "Reject"])


async def followups(*answers: tuple[Person, Answer]) -> list[PostedMessage]:
    """What was said to these people after their answers, as soon as anything was."""

    async def said() -> list[PostedMessage]:
        looks = [await person.look_again(answer) for person, answer in answers]
        return [one for look in looks for one in look.followups]

    return await until(said, "something that follows the answer")


async def only_channel(alice: Person, name: str) -> SeenChannel:
    found = [channel for channel in await alice.channels() if channel.name == name]
    assert len(found) == 1, [channel.name for channel in await alice.channels()]
    return found[0]


class TestPlaces:
    async def test_a_project_has_a_channel_in_the_category_and_a_story_a_thread(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story(title="Add a basket")
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design", attempt=1)
        await orchard.emit(EventKind.GATE_PASSED, story, phase="design", attempt=1, summary="fine")
        await orchard.posted()
        channel = await only_channel(alice, SHOP)
        category = await only_channel(alice, "Orchard")
        assert channel.parent_id == category.id
        [thread] = await alice.threads(channel)
        assert thread.name == "shop-1 Add a basket"
        steps = [message.text for message in await alice.messages(thread) if message.embeds]
        assert "`design` started" in steps[0]
        assert "`design` passed: fine" in steps[1]
        told = [message.text for message in await alice.messages(channel)]
        assert any("Sprint planned" in text for text in told)
        assert any("Sprint 1 started" in text for text in told)

    async def test_in_its_channel_and_threads_the_project_is_implied(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()
        assert "shop: SPRINT_ACTIVE" in (await alice.slash("state", channel=SHOP)).text
        [thread] = await alice.threads(SHOP)
        assert "shop: SPRINT_ACTIVE" in (await alice.slash("state", channel=thread)).text

    async def test_a_new_channel_is_known_to_whoever_is_quick(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        await orchard.commands.add_story("shop", "Add", actor="cli")
        await orchard.commands.plan_sprint("shop", actor="cli")
        channel = await alice.wait_for_channel(lambda seen: seen.name == SHOP)
        assert "shop: SPRINT_PLANNED" in (await alice.slash("state", channel=channel)).text

    async def test_a_restart_finds_channel_and_thread_again(
        self, orchard: Any, run_bot: Any, alice: Person
    ) -> None:
        async with run_bot():
            story = await orchard.running_story()
            await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
            await orchard.posted()
        async with run_bot():
            await orchard.emit(EventKind.PHASE_STARTED, story, phase="test_red")
            await orchard.posted()
            assert "shop: SPRINT_ACTIVE" in (await alice.slash("state", channel=SHOP)).text
        [thread] = await alice.threads(await only_channel(alice, SHOP))
        assert len([m for m in await alice.messages(thread) if m.embeds]) == 2

    async def test_without_memory_the_channel_is_found_by_name(
        self, orchard: Any, run_bot: Any, alice: Person
    ) -> None:
        async with run_bot():
            await orchard.running_story()
            await orchard.posted()
        await orchard.store.write(lambda tx: posts.forget(tx, "channel", "shop"))
        await orchard.store.write(lambda tx: posts.forget(tx, "category", "shop"))
        async with run_bot():
            await orchard.commands.pause_sprint("shop", actor="cli")
            await orchard.commands.stop_project("shop", actor="cli")
            await orchard.posted()
        await only_channel(alice, SHOP)
        await only_channel(alice, "Orchard")

    async def test_a_deleted_channel_and_thread_are_made_again(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()
        old = await only_channel(alice, SHOP)
        _, server = await service._gateway.home()
        await server.get_channel(int(old.id)).delete()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="test_red")
        await orchard.posted()
        new = await only_channel(alice, SHOP)
        assert new.id != old.id
        [thread] = await alice.threads(new)
        assert any("test_red" in message.text for message in await alice.messages(thread))

    @pytest.mark.parametrize("by", ["name", "id"])
    async def test_a_configured_channel_is_used_where_it_is(
        self, orchard: Any, run_bot: Any, alice: Person, by: str
    ) -> None:
        general = await alice.channel("general")
        configured = "#General" if by == "name" else general.id
        async with run_bot(channel_of=lambda project: configured):
            await orchard.running_story()
            await orchard.posted()
        assert any("Sprint planned" in message.text for message in await alice.messages("general"))
        assert SHOP not in [channel.name for channel in await alice.channels()]

    async def test_what_belongs_to_no_project_has_a_channel_too(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        data = {"project": "gone", "message": "the folder is missing", "hint": "mount it"}
        await orchard.store.write(lambda tx: tx.emit(EventKind.PROJECT_UNAVAILABLE, data=data))
        told = await alice.wait_for_message(says("the folder is missing"), channel=None)
        assert told.channel_id == (await alice.channel("orchard")).id


class TestApprovals:
    async def test_approve(self, orchard: Any, service: DiscordService, alice: Person) -> None:
        approval = await orchard.ask(await orchard.running_story(), detail="rm -rf build")
        message = await asked(alice)
        assert "rm -rf build" in message.text
        assert "it deletes files" in message.text
        answer = await alice.press(message, "Approve")
        assert answer.message is not None
        assert answer.message.labels == []
        assert f"**Approved** by <@{await alice.user_id()}>" in answer.text
        assert (await orchard.commands.approval(approval.id)).state is ApprovalState.APPROVED

    async def test_reject_asks_for_a_reason(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        approval = await orchard.ask(await orchard.running_story())
        shown = await alice.press(await asked(alice), "Reject")
        assert shown.modal is not None
        answer = await alice.submit(shown, {"text": "keep *the* build"})
        assert r"keep \*the\* build" in answer.text
        found = await orchard.commands.approval(approval.id)
        assert (found.state, found.reason) == (ApprovalState.REJECTED, "keep *the* build")
        assert found.answered_by == f"discord:{await alice.user_id()}"

    async def test_buttons_and_an_open_form_survive_a_restart(
        self, orchard: Any, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        async with run_bot():
            first = await orchard.ask(await orchard.running_story())
            second_story = await orchard.commands.add_story("shop", "Other", actor="cli")
            message = await asked(alice)
            shown = await alice.press(message, "Reject")
            second = await orchard.ask(second_story)
            other = await alice.wait_for_message(
                lambda m: m.labels == ["Approve", "Reject"] and m.id != message.id
            )
        async with run_bot():
            await alice.submit(shown, {"text": "no"})
            await bob.press(other, "Approve")
        assert (await orchard.commands.approval(first.id)).state is ApprovalState.REJECTED
        assert (await orchard.commands.approval(second.id)).state is ApprovalState.APPROVED

    async def test_an_answer_from_elsewhere_takes_the_buttons_away(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        approval = await orchard.ask(await orchard.running_story())
        message = await asked(alice)
        await orchard.commands.answer_approval(approval.id, False, reason="not now", actor="cli")
        edited = await alice.wait_for_message(lambda m: m.id == message.id and not m.buttons)
        assert "**Rejected** by the command line" in edited.text
        assert "not now" in edited.text

    @pytest.mark.parametrize("button", ["Approve", "Reject"])
    async def test_a_click_on_an_answered_question_is_told_kindly(
        self,
        orchard: Any,
        run_bot: Any,
        guild: LocalGuild,
        alice: Person,
        bob: Person,
        button: str,
    ) -> None:
        async with run_bot():
            approval = await orchard.ask(await orchard.running_story())
            message = await asked(alice)
        await orchard.commands.answer_approval(approval.id, True, actor="cli")
        guild.world.faults.plan(
            Fault(kind=FaultKind.SERVER_ERROR, route="PATCH /channels/*", times=None, status=503)
        )
        async with run_bot():  # it cannot take the buttons off, so that bob may still press one
            answer = await bob.press(message, button)
            if answer.modal:  # a machine too busy to look before the form: then its answer is told
                answer = await bob.submit(answer, {"What should be different?": "No."})
            [told] = await followups((bob, answer))
            settled = (await bob.look_again(answer)).message
        assert settled is not None
        assert not settled.buttons
        assert told.ephemeral
        assert "already" in told.text

    async def test_two_people_press_at_once_and_one_of_them_wins(
        self, orchard: Any, service: DiscordService, alice: Person, bob: Person
    ) -> None:
        approval = await orchard.ask(await orchard.running_story())
        message = await asked(alice)
        answers = await asyncio.gather(alice.press(message, "Approve"), bob.press(message, "Approve"))
        [told] = await followups((alice, answers[0]), (bob, answers[1]))
        assert "already" in told.text
        assert (await orchard.commands.approval(approval.id)).state is ApprovalState.APPROVED

    async def test_a_long_diff_is_attached(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        diff = "+a line of code\n" * 2000
        await orchard.ask(await orchard.running_story(), detail=diff)
        message = await asked(alice)
        assert (await alice.download(message.attachments[0])).decode() == diff
        answer = await alice.press(message, "Approve")
        assert answer.message is not None
        assert len(answer.message.attachments) == 1

    async def test_a_broken_core_still_answers_a_button(
        self, orchard: Any, service: DiscordService, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await orchard.ask(await orchard.running_story())
        message = await asked(alice)

        async def broken(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(orchard.commands, "answer_approval", broken)
        answer = await alice.press(message, "Approve")
        assert answer.ephemeral
        assert "error_" in answer.text
        assert [button.label for button in (await asked(alice)).buttons] == ["Approve", "Reject"]


class TestBlockedStories:
    async def test_suggest_fix(self, orchard: Any, service: DiscordService, alice: Person) -> None:
        story = await orchard.running_story()
        await orchard.block(story, "code\\_green was tried 4 times")
        message = await alice.wait_for_message(lambda m: m.labels == BLOCKED_BUTTONS)
        shown = await alice.press(message, "Suggest fix")
        answer = await alice.submit(shown, {"text": "use a set"})
        assert "is blocked" in answer.text
        assert "use a set" in answer.text
        assert answer.message is not None
        assert not answer.message.buttons
        detail = await orchard.commands.story(story.id)
        assert detail.view.status is StoryStatus.WAITING
        await orchard.posted()
        [thread] = await alice.threads(SHOP)
        assert any("use a set" in message.text for message in await alice.messages(thread))

    async def test_skip(self, orchard: Any, service: DiscordService, alice: Person) -> None:
        story = await orchard.running_story()
        await orchard.block(story)
        message = await alice.wait_for_message(lambda m: m.labels == BLOCKED_BUTTONS)
        answer = await alice.press(message, "Skip")
        assert "Skipped by" in answer.text
        assert (await orchard.commands.story(story.id)).view.status is StoryStatus.SKIPPED
        again = await alice.slash("skip_task", {"story": story.id})
        assert again.ephemeral

    async def test_help_from_elsewhere_takes_the_buttons_away(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.block(story)
        message = await alice.wait_for_message(lambda m: m.labels == BLOCKED_BUTTONS)
        await orchard.commands.suggest_fix(story.id, "use a set", actor="cli")
        edited = await alice.wait_for_message(lambda m: m.id == message.id and not m.buttons)
        assert "the command line suggests: use a set" in edited.text


class TestPings:
    async def test_only_what_needs_people_pings_and_only_whom_it_may(
        self, orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        me = await alice.user_id()
        async with run_bot(mentions=(f"<@{me}>",)):
            story = await orchard.running_story(title="@everyone look")
            await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
            await orchard.block(story, "@everyone <@1>")
            await orchard.posted()
        messages = [m for m in await alice.messages(SHOP) if m.author == "Orchard"]
        pinged = [m.text for m in messages if m.raw["mentions"]]
        assert len(pinged) == 1
        assert "is blocked" in pinged[0]
        assert not any(m.raw["mention_everyone"] for m in messages)


class TestLiveStatus:
    async def test_one_message_is_edited_as_the_sprint_goes_on(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        live = await alice.wait_for_message(says("0 of 1 done"), channel=None)
        await orchard.block(story)
        edited = await alice.wait_for_message(lambda m: m.id == live.id and "blocked" in m.text, channel=None)
        assert edited.id == live.id
        await orchard.commands.suggest_fix(story.id, "try", actor="cli")
        await orchard.commands.skip_story(story.id, "", actor="cli")
        await alice.wait_for_message(lambda m: m.id == live.id and "skipped" in m.text, channel=None)
        assert len([m for m in await alice.messages(SHOP) if "of 1 done" in m.text]) == 1

    async def test_the_next_sprint_has_one_of_its_own(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        await orchard.finished_sprint()
        first = await alice.wait_for_message(lambda m: m.text.startswith("Sprint 1\n"), channel=None)
        await orchard.commands.feedback("shop", "Good", actor="cli")
        await orchard.running_story(title="Pay")
        second = await alice.wait_for_message(lambda m: m.text.startswith("Sprint 2\n"), channel=None)
        assert second.id != first.id
        shown = [m.text for m in await alice.messages(SHOP) if m.id == first.id]
        assert ["Sprint 1\n" in text for text in shown] == [True]

    async def test_a_deleted_one_is_posted_again(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        live = await alice.wait_for_message(says("0 of 1 done"), channel=None)
        _, server = await service._gateway.home()
        await server.get_channel(int(live.channel_id)).get_partial_message(int(live.id)).delete()
        await orchard.block(story)
        await alice.wait_for_message(
            lambda m: m.id != live.id and "of 1 done" in m.text and "blocked" in m.text, channel=None
        )


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault(kind=FaultKind.RATE_LIMITED, route=POST, times=2, seconds=0.2),
            Fault(kind=FaultKind.SERVER_ERROR, route=POST, times=1, status=503),
            Fault(kind=FaultKind.HANG_UP, route=POST, times=1),
            Fault(kind=FaultKind.ANSWER_LOST, route=POST, times=1, status=503),
        ],
        ids=lambda fault: str(fault.kind),
    )
    async def test_a_post_arrives_once_and_in_order_whatever_happens(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person, fault: Fault
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await alice.wait_for_message(says("0 of 1 done"), channel=None)  # which is a post, too
        await orchard.posted()
        guild.world.faults.plan(fault)
        for phase in ("test_red", "code_green", "refactor"):
            await orchard.emit(EventKind.PHASE_STARTED, story, phase=phase)
        await orchard.posted()
        [thread] = await alice.threads(SHOP)
        steps = [m.text.split("`")[1] for m in await alice.messages(thread) if m.embeds]
        assert steps == ["design", "test_red", "code_green", "refactor"]

    async def test_a_missing_permission_is_told_where_it_can_be(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, caplog: pytest.LogCaptureFixture
    ) -> None:
        guild.world.set_bot_permissions(Permission.VIEW_CHANNEL | Permission.SEND_MESSAGES)
        await orchard.running_story()
        await until(lambda: "Manage Channels" in caplog.text, "a sentence in the log")
        assert (await orchard.store.read(outbox.counts))["pending"] > 0

    async def test_what_discord_does_not_take_is_posted_in_short(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await alice.wait_for_message(says("0 of 1 done"), channel=None)  # which is a post, too
        await orchard.posted()
        guild.world.faults.plan(Fault(kind=FaultKind.REFUSED, route=POST, times=1, status=400, code=50035))
        await orchard.commands.pause_sprint("shop", actor="cli")
        await orchard.commands.stop_project("shop", actor="cli")
        await orchard.posted()
        assert any("project_stopped" in message.text for message in await alice.messages(SHOP))
        assert story

    async def test_an_event_is_posted_without_a_look_for_it(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.discord.notify.IDLE_SECONDS", 3600.0)
        async with run_bot():
            story = await orchard.running_story()
            for number in range(3):
                await orchard.emit(EventKind.PHASE_STARTED, story, phase=f"phase{number}")
                await alice.wait_for_message(says(f"phase{number}"))
                await orchard.posted()


class TestCrash:
    @pytest.fixture
    def guild_settings(self) -> GuildSettings:
        """It has forgotten the nonce when the bot comes back, as Discord does after some minutes."""
        return patient_guild(nonce_window_seconds=0)

    async def test_a_crash_between_posting_and_marking_posts_nothing_twice(
        self, orchard: Any, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: Any) -> None:
            await asyncio.Event().wait()

        await orchard.commands.add_story("shop", "Add", actor="cli")
        with monkeypatch.context() as patch:
            patch.setattr(Notifier, "_settle", never)
            async with run_bot():
                await orchard.commands.plan_sprint("shop", actor="cli")
                await alice.wait_for_message(says("Sprint planned"))
        assert (await orchard.store.read(outbox.counts))["pending"] == 1
        async with run_bot():
            await orchard.posted()
        assert len([m for m in await alice.messages(SHOP) if "Sprint planned" in m.text]) == 1

    async def test_what_is_sent_while_the_outbox_is_read_is_not_sent_again(
        self,
        orchard: Any,
        service: DiscordService,
        guild: LocalGuild,
        alice: Person,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await alice.wait_for_message(says("0 of 1 done"), channel=None)  # which is a post, too
        await orchard.posted()
        busy, read = service._notifier._busy, orchard.store.read

        async def seen_late(store: Any, query: Any) -> Any:
            found = await read(query)
            if getattr(query, "func", None) is outbox.due:
                await until(lambda: not busy, "the row is sent")
            return found

        monkeypatch.setattr(type(orchard.store), "read", seen_late)
        guild.world.faults.plan(Fault(kind=FaultKind.SLOW, route=POST, times=1, seconds=0.5))
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="test_red")
        await until(lambda: busy, "it is being sent")
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="code_green")
        await orchard.posted()
        [thread] = await alice.threads(SHOP)
        steps = [m.text.split("`")[1] for m in await alice.messages(thread) if m.embeds]
        assert steps == ["design", "test_red", "code_green"]
