"""Epics, the backlog, sprints, cycles and stories from Discord, against the real core."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import Answer, CannotDo, LocalGuild, Person, PostedMessage
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, WorkflowState
from core.domain.story import Hold, StoryState, StoryStatus
from core.errors import Unavailable
from core.orchestrator.views import RunView
from core.worker.contract import SuiteReport
from tests.discord.bot.real_core import private, settled
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("service")

PROPOSALS = """
## A basket
For fruit.
Priority: high
Estimate: 3
Acceptance criteria:
- it holds apples

## A till
Needs: 1
Acceptance criteria:
- it counts coins
"""
PNG = b"\x89PNG\r\n\x1a\n"
IN_SHOP = {"project": "shop"}


def shown(answer: Answer) -> PostedMessage:
    assert answer.message is not None
    return answer.message


async def status(orchard: Any, story_id: str) -> StoryStatus:
    return (await orchard.commands.story(story_id)).view.status


class TestEpics:
    async def test_an_epic_is_asked_for(self, orchard: Any, alice: Person) -> None:
        answer = await alice.slash("epic", {"text": "A *shop* for fruit", "project": "shop"})
        assert "shop-e1 is being designed" in answer.text
        assert "A *shop* for fruit" in answer.text  # in a code block, as it was typed
        again = await alice.slash("epic", {"text": "A *shop* for fruit", "project": "shop"})
        assert again.ephemeral

    async def test_proposals_are_leafed_through_chosen_and_approved(
        self, orchard: Any, alice: Person, bob: Person
    ) -> None:
        await orchard.propose(PROPOSALS)
        post = await alice.wait_for_message(lambda m: "Approve all" in m.labels)
        look = await bob.press(post, "Look through")
        assert look.ephemeral
        assert "A basket" in look.text
        one = await bob.choose(shown(look), "orchard:pick:shop-e1", ["shop-1"])
        assert one.ephemeral
        assert "it holds apples" in one.text
        assert "3 points" in one.text
        approved = await bob.press(shown(one), "Approve")
        assert "Approved by" in approved.text
        assert shown(approved).buttons == []
        assert await status(orchard, "shop-1") is StoryStatus.BACKLOG
        assert await status(orchard, "shop-2") is StoryStatus.PROPOSED
        everything = await alice.press(post, "Approve all")
        assert "shop-2" in everything.text
        assert await status(orchard, "shop-2") is StoryStatus.BACKLOG
        with pytest.raises(CannotDo):
            await alice.press(shown(everything), "Approve all")

    async def test_two_who_approve_all_at_once(self, orchard: Any, alice: Person, bob: Person) -> None:
        await orchard.propose(PROPOSALS)
        post = await alice.wait_for_message(lambda m: "Approve all" in m.labels)
        await asyncio.gather(alice.press(post, "Approve all"), bob.press(post, "Approve all"))
        approvals = [
            event
            for event in await orchard.commands.events(limit=1000)
            if event.kind is EventKind.STORIES_APPROVED
        ]
        assert len(approvals) == 1

    async def test_changes_are_asked_for_by_a_form(self, orchard: Any, alice: Person) -> None:
        await orchard.propose(PROPOSALS)
        post = await alice.wait_for_message(lambda m: "Ask for changes" in m.labels)
        form = await alice.press(post, "Ask for changes")
        assert form.modal is not None
        sent = await alice.submit(form, {"text": "smaller @everyone"})
        assert "asks for changes" in sent.text
        assert (await orchard.commands.epic("shop-e1")).epic.state == "designing"

    @pytest.mark.parametrize("typed", [None, "ALL", "shop-1, shop-2"])
    async def test_approve_by_command(self, orchard: Any, alice: Person, typed: str | None) -> None:
        await orchard.propose(PROPOSALS)
        options = {**IN_SHOP, **({"stories": typed} if typed else {})}
        assert "2 stories are in the backlog" in (await alice.slash("approve", options)).text
        refused = await alice.slash("approve", options)
        assert refused.ephemeral

    async def test_proposed_stories_are_offered_one_after_the_other(
        self, orchard: Any, alice: Person
    ) -> None:
        await orchard.propose(PROPOSALS)
        offered = await alice.autocomplete("approve", "stories", "bask", options=IN_SHOP)
        assert [choice.value for choice in offered] == ["shop-1"]
        offered = await alice.autocomplete("approve", "stories", "shop-1 till", options=IN_SHOP)
        assert [choice.value for choice in offered] == ["shop-1 shop-2"]

    async def test_thirty_proposals_fit_into_menus(self, orchard: Any, alice: Person) -> None:
        many = "\n".join(f"## Story {n}\nAcceptance criteria:\n- it is {n}" for n in range(30))
        await orchard.propose(many)
        post = await alice.wait_for_message(lambda m: "Look through" in m.labels)
        page = shown(await alice.press(post, "Look through"))
        seen: set[str] = set()
        while True:
            [menu] = [c for row in page.raw["components"] for c in row["components"] if c["type"] == 3]
            assert len(menu["options"]) <= 25
            seen |= {option["value"] for option in menu["options"]}
            if "More" not in page.labels:
                break
            page = shown(await alice.press(page, "More"))
        assert seen == {f"shop-{n}" for n in range(1, 31)}


class TestBacklog:
    async def test_a_story_with_everything(self, orchard: Any, alice: Person) -> None:
        await orchard.add_project("till")
        other = await orchard.commands.add_story("till", "Count coins", actor="cli")
        offered = await alice.autocomplete("backlog add_story", "needs", "coins", options=IN_SHOP)
        assert [choice.value for choice in offered] == [other.id]
        answer = await alice.slash(
            "backlog add_story",
            {
                **IN_SHOP,
                "title": "Basket",
                "estimate": 5,
                "labels": "api, later on",
                "needs": other.id,
                "links": "https://example.org/a",
            },
        )
        assert not answer.ephemeral, answer.text
        view = (await orchard.commands.story("shop-1")).view
        assert view.story.estimate == 5
        assert view.story.labels == ("api", "later on")
        assert view.needs == (other.id,)
        assert "needs `till-1`" in (await alice.slash("backlog view", IN_SHOP)).text

    @pytest.mark.parametrize("estimate", [-1, 1001])
    async def test_an_estimate_has_bounds(self, alice: Person, estimate: int) -> None:
        with pytest.raises(CannotDo):
            await alice.slash("backlog add_story", {**IN_SHOP, "title": "x", "estimate": estimate})

    async def test_edit_by_options_by_title(self, orchard: Any, alice: Person) -> None:
        await orchard.commands.add_story("shop", "Basket", body="for fruit", estimate=3, actor="cli")
        answer = await alice.slash(
            "backlog edit", {**IN_SHOP, "story": "basket", "title": "Trolley", "body": "-"}
        )
        assert "Trolley" in answer.text
        story = (await orchard.commands.story("shop-1")).view.story
        assert (story.title, story.body, story.estimate) == ("Trolley", "", 3)

    async def test_edit_by_a_form_that_shows_what_is_there(self, orchard: Any, alice: Person) -> None:
        await orchard.commands.add_story(
            "shop", "Basket", body="for fruit", acceptance_criteria=["a; b", "c"], estimate=3, actor="cli"
        )
        form = await alice.slash("backlog edit", {"story": "shop-1", **IN_SHOP})
        assert form.modal is not None
        values = {part["component"]["custom_id"]: part["component"] for part in form.modal["components"]}
        assert values["body"]["value"] == "for fruit"
        assert values["acceptance_criteria"]["value"] == "a; b\nc"
        sent = await alice.submit(
            form, {"title": "Basket", "body": "for fruit", "acceptance_criteria": "a; b\nc", "estimate": ""}
        )
        assert sent.ephemeral
        story = (await orchard.commands.story("shop-1")).view.story
        assert story.estimate is None
        assert story.acceptance_criteria == ("a; b", "c")

    async def test_a_form_never_undoes_what_somebody_else_changed(self, orchard: Any, alice: Person) -> None:
        await orchard.commands.add_story("shop", "Basket", actor="cli")
        form = await alice.slash("backlog edit", {"story": "shop-1", **IN_SHOP})
        await orchard.commands.edit_story("shop-1", title="Trolley", actor="cli")
        sent = await alice.submit(form, {"title": "Bag", "body": "long thoughts"})
        assert "nothing of yours was saved" in sent.text
        [file] = shown(sent).attachments
        assert b"long thoughts" in await alice.download(file)
        assert (await orchard.commands.story("shop-1")).view.story.title == "Trolley"

    async def test_a_text_too_long_for_the_form_stays(self, orchard: Any, alice: Person) -> None:
        await orchard.commands.add_story("shop", "Basket", body="x" * 9000, actor="cli")
        form = await alice.slash("backlog edit", {"story": "shop-1", **IN_SHOP})
        await alice.submit(form, {"title": "Bag"})
        story = (await orchard.commands.story("shop-1")).view.story
        assert (story.title, len(story.body)) == ("Bag", 9000)

    async def test_an_estimate_that_is_none_is_said(self, orchard: Any, alice: Person) -> None:
        await orchard.commands.add_story("shop", "Basket", actor="cli")
        form = await alice.slash("backlog edit", {"story": "shop-1", **IN_SHOP})
        sent = await alice.submit(form, {"title": "Bag", "estimate": "many"})
        assert "is no estimate" in sent.text
        assert (await orchard.commands.story("shop-1")).view.story.title == "Basket"

    async def test_prioritize_and_remove(self, orchard: Any, alice: Person) -> None:
        for title in ("One", "Two", "Three"):
            await orchard.commands.add_story("shop", title, actor="cli")
        await alice.slash("backlog prioritize", {**IN_SHOP, "story": "shop-3", "place": "top"})
        await alice.slash("backlog prioritize", {**IN_SHOP, "story": "shop-2", "before": "one"})
        await alice.slash("backlog prioritize", {**IN_SHOP, "story": "shop-1", "priority": "critical"})
        order = [view.story.id for view in await orchard.commands.backlog("shop")]
        assert order == ["shop-1", "shop-3", "shop-2"]
        both = await alice.slash(
            "backlog prioritize", {**IN_SHOP, "story": "shop-2", "place": "top", "before": "shop-1"}
        )
        assert both.ephemeral
        await alice.slash("backlog remove", {**IN_SHOP, "story": "shop-2", "reason": "no"})
        assert await status(orchard, "shop-2") is StoryStatus.REMOVED


class TestSprints:
    async def test_review_burndown_history_and_changes(self, orchard: Any, alice: Person) -> None:
        story = await orchard.finished_sprint()
        review = await alice.slash("sprint review", IN_SHOP)
        assert "Review of sprint 1" in review.text
        assert story.id in review.text
        burndown = await alice.slash("sprint burndown", {**IN_SHOP, "number": 1})
        drawn = await until(lambda: _with_picture(alice, burndown), "a picture")
        assert drawn.embeds[0]["image"]["url"]
        assert (await alice.download(drawn.attachments[0])).startswith(PNG)
        again = await alice.slash("sprint burndown", {**IN_SHOP, "number": 1})
        assert shown(again).attachments  # at once: it is kept
        asked = await alice.slash("request_changes", {**IN_SHOP, "text": "rounder", "stories": story.id})
        assert "shop-2" in asked.text
        assert (await orchard.commands.workflow("shop")).state is WorkflowState.BACKLOG_READY

    async def test_what_was_said_is_found_again(self, orchard: Any, alice: Person) -> None:
        await orchard.finished_sprint()
        await alice.slash("feedback", {**IN_SHOP, "text": "Too many *meetings*"})
        found = await alice.slash("sprint history", {"query": "meetings"})
        assert r"Too many \*meetings\*" in found.text
        assert "No reviewed sprint" in (await alice.slash("sprint history", {"query": "zebra"})).text

    async def test_where_no_picture_can_be_drawn_the_words_tell(
        self, orchard: Any, alice: Person, service: DiscordService
    ) -> None:
        await orchard.running_story()
        service._desk.draw._command = ("/nowhere/python",)  # type: ignore[attr-defined]
        answer = await alice.slash("sprint burndown", IN_SHOP)
        told = await alice.wait_for_message(lambda m: "could not be drawn" in m.text)
        assert told.id == shown(answer).id
        assert "1 of 1 points" in told.text
        state = await alice.slash("state", IN_SHOP)
        diagram = await alice.press(shown(state), "State diagram")
        said = await alice.wait_for_message(lambda m: "these are its arrows" in m.text)
        assert "**SPRINT\\_ACTIVE" in said.text or "**SPRINT_ACTIVE" in said.text
        assert diagram.id


async def _with_picture(alice: Person, answer: Answer) -> PostedMessage | None:
    message = (await alice.look_again(answer)).message
    return message if message is not None and message.attachments else None


class TestCharts:
    async def test_a_picture_of_each_kind(self, orchard: Any, alice: Person) -> None:
        await orchard.running_story()
        cycle_time = await alice.slash("chart cycle_time", IN_SHOP)
        drawn = await until(lambda: _with_picture(alice, cycle_time), "a picture")
        assert "0 stories merged in the last 30 days" in drawn.text
        assert (await alice.download(drawn.attachments[0])).startswith(PNG)
        one = await orchard.commands.add_story("shop", "One", actor="cli")
        two = await orchard.commands.add_story("shop", "Two", needs=[one.id], actor="cli")
        graph = await alice.slash("chart dependencies", {})
        drawn = await until(lambda: _with_picture(alice, graph), "a picture")
        assert f"`{two.id}` after `{one.id}`" in drawn.text
        assert "Cost of shop" in (await alice.slash("chart cost", {**IN_SHOP, "days": 7})).text
        assert "Use of all projects" in (await alice.slash("chart resources", {"days": 3})).text

    async def test_a_project_that_there_is_not(self, orchard: Any, alice: Person) -> None:
        answer = await alice.slash("chart cost", {"project": "nowhere"})
        assert "nowhere" in answer.text
        assert not shown(answer).attachments


class TestState:
    async def test_three_looks(self, orchard: Any, alice: Person) -> None:
        first = shown(await alice.slash("state", IN_SHOP))
        assert first.labels == ["Allowed commands", "State diagram", "Project status"]
        commands = await alice.press(first, "Allowed commands")
        assert "✅ `/epic`" in commands.text
        assert "`/sprint start` · in SPRINT_PLANNED" in commands.text
        await alice.press(first, "State diagram")
        drawn = await alice.wait_for_message(lambda m: m.id == first.id and bool(m.attachments))
        assert (await alice.download(drawn.attachments[0])).startswith(PNG)
        status = await alice.press(drawn, "Project status")
        assert "priority normal" in status.text
        assert shown(status).attachments == []

    async def test_project_and_insights(self, orchard: Any, alice: Person) -> None:
        await orchard.running_story()
        assert "SPRINT_ACTIVE" in (await alice.slash("project_status", IN_SHOP)).text
        assert "is paused" in (await alice.slash("project_pause", IN_SHOP)).text
        # it is in no configuration file here: what starts a project says so
        resumed = await settled(alice, await alice.slash("project_resume", IN_SHOP))
        assert "not configured any more" in resumed.text
        assert "No gate has judged anything yet" in (await alice.slash("insights")).text


class TestCycles:
    async def test_in_a_storys_thread_the_story_is_implied(
        self, orchard: Any, run_bot: Any, alice: Person
    ) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()
        [thread] = await alice.threads("proj-shop")
        assert story.id in (await alice.slash("tdd status", channel=thread)).text
        await alice.say_to_bot("story steer use a set", channel=thread)
        told = await alice.wait_for_message(lambda m: "is steered" in m.text)
        assert told.ephemeral is False
        cycle = (await orchard.commands.story(story.id)).view.cycle
        assert "use a set" in cycle.feedback

    async def test_the_only_story_at_work_is_meant(self, orchard: Any, alice: Person) -> None:
        story = await orchard.running_story()
        assert story.id in (await alice.slash("tdd next", IN_SHOP)).text
        assert (await orchard.commands.story(story.id)).view.cycle.hold is Hold.STEP
        await orchard.add_project("till")
        nothing = await alice.slash("tdd next", {"project": "till"})
        assert "Which story?" in nothing.text
        assert nothing.ephemeral

    async def test_start_stop_go_on_and_abort(self, orchard: Any, alice: Person) -> None:
        story = await orchard.running_story()
        stopped = await settled(alice, await alice.slash("story stop", {"story": story.id}))
        assert "is stopped" in stopped.text
        assert await status(orchard, story.id) is StoryStatus.STOPPED
        assert "Go on" in shown(stopped).labels
        went = await settled(alice, await alice.press(shown(stopped), "Go on"))
        assert private(went)
        assert await status(orchard, story.id) is StoryStatus.WAITING
        with pytest.raises(CannotDo):  # a reason is wanted
            await alice.slash("tdd abort", {"story": story.id})
        assert (
            "is aborted" in (await alice.slash("tdd abort", {"story": story.id, "reason": "wrong idea"})).text
        )
        assert (await orchard.commands.story(story.id)).view.story.state is StoryState.ABORTED

    @pytest.mark.parametrize(
        ("command", "phase"),
        [
            ("test", Phase.TEST_RED),
            ("code", Phase.CODE_GREEN),
            ("refactor", Phase.REFACTOR),
            ("commit", Phase.COMMIT),
        ],
    )
    async def test_no_gate_is_passed_over(
        self, orchard: Any, alice: Person, command: str, phase: Phase
    ) -> None:
        story = await orchard.running_story()
        refused = await settled(alice, await alice.slash(f"tdd {command}", {"story": story.id}))
        assert private(refused)
        assert "design" in refused.text
        assert (await orchard.commands.story(story.id)).view.cycle.state == "design"
        assert phase

    async def test_logs_and_overview(self, orchard: Any, alice: Person) -> None:
        story = await orchard.running_story(title="A [basket](http://x)")
        for number in range(14):
            await orchard.emit(EventKind.GATE_REFUSED, story, phase="design", attempt=number, summary="no")
        logs = await alice.slash("tdd logs", {"story": story.id})
        assert "gate refused" in logs.text
        assert "sprint started" not in logs.text  # the project's, not the story's
        older = await alice.press(shown(logs), "More")
        assert "page 2" in older.text
        overview = await alice.slash("tdd overview", IN_SHOP)
        assert story.id in overview.text
        assert "min" in overview.text

    async def test_test_runs_answer_at_once_and_tell_later(
        self, orchard: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = asyncio.Event()

        async def slowly(project: str, story_id: str | None, *, actor: str) -> RunView:
            await gone.wait()
            return RunView(
                project=project,
                report=SuiteReport(
                    story_id=None,
                    commit="abc",
                    passed=3,
                    failed=("tests/a.py::b",),
                    failed_count=1,
                    skipped=0,
                    seconds=9.0,
                    exit_code=1,
                    exit_code_only=False,
                    output="```\n@everyone boom",
                ),
            )

        monkeypatch.setattr(orchard.commands, "run_tests", slowly)
        first = await alice.slash("tdd run_tests", IN_SHOP)
        assert "Running the tests" in first.text
        gone.set()
        told = await alice.wait_for_message(lambda m: "Tests fail" in m.text)
        assert told.id == shown(first).id
        assert "3 passed, 1 failed" in told.text
        assert b"@everyone boom" in await alice.download(told.attachments[0])

    async def test_a_test_run_that_cannot_be_is_told_in_its_place(
        self, orchard: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(*_: Any, **__: Any) -> RunView:
            raise Unavailable("No worker.", hint="Start it.")

        monkeypatch.setattr(orchard.commands, "run_tests", fails)
        first = await alice.slash("tdd run_tests", IN_SHOP)
        told = await alice.wait_for_message(lambda m: "No worker." in m.text)
        assert told.id == shown(first).id

    async def test_show_tells_everything_with_fitting_buttons(
        self, orchard: Any, alice: Person, guild: LocalGuild
    ) -> None:
        story = await orchard.running_story()
        running = shown(await alice.slash("story show", {"story": story.id}))
        assert running.labels == ["Steer", "Stop", "Take over", "Skip", "Why?"]
        form = await alice.press(running, "Steer")
        steered = await alice.submit(form, {"text": "use a set"})
        assert steered.ephemeral
        await orchard.block(story)
        blocked = shown(await alice.slash("story show", {"story": story.id}))
        assert blocked.labels == ["Suggest fix", "Take over", "Skip", "Why?"]
        old = await settled(alice, await alice.press(running, "Stop"))  # a click on what was shown before
        assert private(old)
