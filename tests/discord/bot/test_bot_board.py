"""The live status through limits, holds and Discord's rations; what epics, limits and sprints post."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import Fault, FaultKind, LocalGuild, Person, PostedMessage
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowState
from core.orchestrator.usage_limit import UsagePolicy, pause_for_usage
from core.store import approvals, outbox
from core.store.database import Transaction
from tests.waiting import until

SHOP = "proj-shop"
EDIT = "PATCH /channels/{channel_id}/messages/{message_id}"
PROPOSALS = """## Show a basket
Acceptance criteria:
- it is shown
Priority: high
Estimate: 3

## Empty a *basket*
Acceptance criteria:
- it is empty
Needs: 1
"""


def says(words: str) -> Any:
    return lambda message: words in message.text


async def live(alice: Person, words: str = "of 1 done") -> PostedMessage:
    return await alice.wait_for_message(lambda m: "Sprint 1" in m.text and words in m.text, channel=None)


async def limited(orchard: Any, *, resumes: bool = False) -> None:
    def pause(tx: Transaction) -> None:
        said = tx.now + timedelta(hours=3)
        policy = UsagePolicy(resumes=resumes)
        pause_for_usage(tx, "shop", agent="claude", reason="5-hour *limit*", said=said, policy=policy)

    await orchard.store.write(pause)


class LaterClock(SystemClock):
    """Two hours ahead of Discord: what was just posted is old."""

    def now(self) -> Any:
        return super().now() + timedelta(hours=2)


class TestLiveStatus:
    async def test_an_edit_that_discord_refuses_makes_a_new_one_and_takes_the_old_away(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        story = await orchard.running_story()
        old = await live(alice)
        guild.world.faults.plan(Fault(kind=FaultKind.REFUSED, route=EDIT, status=400, code=50035))
        await orchard.block(story)
        new = await live(alice, "blocked")
        assert new.id != old.id

        async def gone() -> bool:
            return old.id not in [message.id for message in await alice.messages(SHOP)]

        await until(gone, "the old one goes away")

    async def test_an_old_one_whose_edits_are_rationed_is_posted_anew(
        self, orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        orchard.clock = LaterClock()
        async with run_bot():
            story = await orchard.running_story()
            old = await live(alice)
            guild.world.faults.plan(
                Fault(kind=FaultKind.RATE_LIMITED, route=EDIT, times=None, seconds=1000.0)
            )
            await orchard.block(story)
            assert (await live(alice, "blocked")).id != old.id

    async def test_a_young_one_waits_for_its_turn(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        story = await orchard.running_story()
        old = await live(alice)
        guild.world.faults.plan(Fault(kind=FaultKind.RATE_LIMITED, route=EDIT, times=2, seconds=0.2))
        await orchard.block(story)
        assert (await live(alice, "blocked")).id == old.id

    async def test_a_failed_post_of_it_is_tried_again_without_another_event(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        guild.world.faults.plan(
            Fault(
                kind=FaultKind.REFUSED,
                route="POST /channels/{channel_id}/messages",
                status=403,
                code=50013,
                times=3,
            )
        )
        await orchard.running_story()
        await live(alice)

    async def test_held_and_taken_stories_are_seen(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        shown = await live(alice)
        await orchard.commands.stop_story(story.id, actor="cli")
        assert (await live(alice, "stopped")).id == shown.id


class TestUsageLimit:
    async def test_it_is_told_shown_and_ended_by_a_button(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        await orchard.running_story()
        await live(alice)
        await limited(orchard)
        post = await alice.wait_for_message(says("takes no more work until"))
        assert r"5-hour \*limit\*" in post.text
        shown = await live(alice, "waits for Resume")
        assert shown.labels == ["Resume"]
        answer = await alice.press(post, "Resume")
        assert answer.ephemeral
        assert "Sprint 1 of shop goes on" in answer.text
        assert (await orchard.commands.workflow("shop")).state is WorkflowState.SPRINT_ACTIVE
        closed = await alice.wait_for_message(lambda m: m.id == post.id and not m.buttons)
        assert f"Resumed by <@{await alice.user_id()}>" in closed.text
        await alice.wait_for_message(lambda m: m.id == shown.id and not m.buttons, channel=None)

    async def test_a_click_after_it_is_over_is_told_kindly(
        self, orchard: Any, service: DiscordService, guild: LocalGuild, alice: Person
    ) -> None:
        await orchard.running_story()
        await limited(orchard)
        post = await alice.wait_for_message(says("takes no more work until"))
        guild.world.faults.plan(Fault(kind=FaultKind.SERVER_ERROR, route=EDIT, times=None, status=503))
        await orchard.commands.resume_sprint("shop", actor="cli")
        answer = await alice.press(post, "Resume")
        assert answer.ephemeral
        assert "resume is not possible now" in answer.text


class TestPosts:
    async def test_an_epics_proposals_are_listed_with_their_buttons(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        view = await orchard.propose(PROPOSALS)
        post = await alice.wait_for_message(says("2 stories proposed"))
        assert "**Show a basket** · 1 criterion · 3 points · high" in post.text
        assert rf"**Empty a \*basket\*** · 1 criterion · needs `{view.stories[0].story.id}`" in post.text
        assert "Approve all" in post.labels

    async def test_proposals_that_are_settled_call_nobody(
        self, orchard: Any, run_bot: Any, alice: Person
    ) -> None:
        await orchard.propose(PROPOSALS)
        await orchard.commands.approve_stories("shop", actor="cli")
        async with run_bot(mentions=(f"<@{await alice.user_id()}>",)):
            await orchard.posted()
        [post] = [m for m in await alice.messages(SHOP) if "2 stories proposed" in m.text]
        assert post.labels == []
        assert post.raw["mentions"] == []

    async def test_a_sprints_end_shows_its_review(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.commands.skip_story(story.id, "later", actor="cli")
        post = await alice.wait_for_message(says("Sprint 1 is finished"))
        assert f"⏭️ `{story.id}` **Add a basket** · skipped" in post.text
        assert "0 of 1 stories · 0 of 1 point" in post.text

    @pytest.mark.parametrize("button", ["Feedback", "Request changes"])
    async def test_a_sprint_is_closed_or_sent_back_under_its_review(
        self, orchard: Any, service: DiscordService, alice: Person, button: str
    ) -> None:
        story = await orchard.running_story()
        await orchard.commands.skip_story(story.id, "later", actor="cli")
        post = await alice.wait_for_message(says("Sprint 1 is finished"))
        shown, again = await alice.press(post, button), await alice.press(post, button)
        answer = await alice.submit(shown, {"text": "more *tests*"})
        assert r"more \*tests\*" in answer.text
        assert answer.message is not None
        assert answer.message.labels == []
        state = (await orchard.commands.workflow("shop")).state
        assert state is (WorkflowState.IDLE if button == "Feedback" else WorkflowState.BACKLOG_READY)
        late = await alice.submit(again, {"text": "once more"})
        assert late.ephemeral

    async def test_a_reminder_loses_its_buttons_with_the_question(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        asked = await orchard.ask(story)

        await orchard.emit(
            EventKind.APPROVAL_ESCALATED, story, approval=asked.id, question=asked.question, to="admins"
        )
        reminder = await alice.wait_for_message(says("still waits for an answer"))
        assert reminder.labels == ["Approve", "Reject"]
        await orchard.commands.answer_approval(asked.id, True, actor="cli")
        closed = await alice.wait_for_message(lambda m: m.id == reminder.id and not m.buttons)
        assert "**Approved** by the command line" in closed.text

    async def test_a_reminder_that_comes_too_late_has_none(
        self, orchard: Any, run_bot: Any, alice: Person
    ) -> None:
        story = await orchard.running_story()
        asked = await orchard.ask(story)
        await orchard.emit(EventKind.APPROVAL_OVERDUE, story, approval=asked.id, question="Run?", to="all")
        await orchard.commands.answer_approval(asked.id, True, actor="cli")
        async with run_bot(mentions=(f"<@{await alice.user_id()}>",)):
            await orchard.posted()
        [reminder] = [m for m in await alice.messages(SHOP) if "still waits" in m.text]
        assert reminder.labels == []
        assert reminder.raw["mentions"] == []
        assert await orchard.store.read(lambda conn: approvals.pending(conn)) == ()

    async def test_a_thread_that_somebody_deleted_is_opened_again(
        self, orchard: Any, service: DiscordService, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()
        [thread] = await alice.threads(SHOP)
        _, server = await service._gateway.home()
        await (await server.fetch_channel(int(thread.id))).delete()
        await orchard.emit(EventKind.OVERLAP_FORESEEN, story, other="shop-9", files=["cart.py"])
        await orchard.posted()
        [new] = await alice.threads(SHOP)
        assert new.id != thread.id
        assert any("`cart.py`" in message.text for message in await alice.messages(new))
        assert (await orchard.store.read(outbox.counts))["dead"] == 0

    @pytest.mark.parametrize("with_story", [True, False])
    async def test_a_test_run_is_told_where_it_was_asked(
        self, orchard: Any, service: DiscordService, alice: Person, with_story: bool
    ) -> None:
        story = await orchard.running_story()
        data = {"passed": 3, "failed": [], "failed_count": 0, "skipped": 0, "exit_code": 0, "by": "cli"}
        await orchard.store.write(
            lambda tx: tx.emit(
                EventKind.TESTS_RAN,
                project="shop",
                story_id=story.id if with_story else None,
                data=data,
            )
        )
        await orchard.posted()
        place = (await alice.threads(SHOP))[0] if with_story else SHOP
        assert any("✅ 3 passed" in message.text for message in await alice.messages(place))
