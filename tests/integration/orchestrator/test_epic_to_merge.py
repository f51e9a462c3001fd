"""An epic from a person's wish to merged stories and their review, with nothing replaced but the model."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowState
from core.domain.story import EpicState, StoryState, StoryStatus
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

PROPOSALS = """\
# A calculator

## Multiply
Two numbers are multiplied.
Estimate: 2
Acceptance criteria:
- multiply(6, 2) is 12

## Minus
Estimate: 3
Needs: 1
Acceptance criteria:
- subtract(6, 2) is 4
"""
ONE = "## Divide\nAcceptance criteria:\n- divide(6, 2) is 3\n"


@pytest.fixture
def farm(quick_farm):
    return quick_farm


async def settled(orchard: Any, epic: str, state: EpicState) -> Any:
    """The epic's view once it is in the state."""

    async def there() -> bool:
        return (await orchard.runtime.commands.epic(epic)).epic.state is state

    await until(there, f"{epic} {state}")
    return await orchard.runtime.commands.epic(epic)


async def exists(path: Path) -> bool:
    return path.exists()


async def gone(path: Path) -> bool:
    return not path.exists()


async def test_an_epic_is_designed_approved_built_reviewed_and_kept(farm, git_in):
    checkout = farm.add("calc")
    worktree = farm.root / ".orch-global" / "worktrees" / "calc" / "calc-e1"
    farm.script["stories"]["A calculator"] = {"epic": [{"spec": PROPOSALS}, {"say": "Two stories."}]}
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        asked = await commands.begin_epic("calc", "A calculator\nthat multiplies.", actor="discord:1")
        assert asked.epic.id == "calc-e1"
        proposed = await orchard.until(EventKind.EPIC_PROPOSED, EventKind.EPIC_FAILED)
        assert proposed.data == {"epic": "calc-e1", "stories": ["calc-1", "calc-2"]}
        await until(partial(gone, worktree))

        async def git_has_forgotten_it() -> bool:  # its folder goes a moment before git's note of it
            return "\n" not in git_in(checkout, "worktree", "list")

        await until(git_has_forgotten_it)
        assert git_in(checkout, "rev-list", "--count", "main") == "1"

        await commands.edit_story("calc-2", title="Subtract", actor="discord:1")
        approved = await commands.approve_stories("calc", actor="discord:1")
        assert [view.status for view in approved] == [StoryStatus.BACKLOG] * 2
        assert (await commands.epic("calc-e1")).epic.state is EpicState.SETTLED
        await commands.plan_sprint("calc", goal="Arithmetic", actor="discord:1")
        await commands.start_sprint("calc", actor="discord:1")
        finished = await orchard.until(EventKind.SPRINT_FINISHED, EventKind.STORY_BLOCKED)
        assert finished.kind is EventKind.SPRINT_FINISHED, finished.data
        assert finished.data["review"]["points_done"] == 5

        merged = [e.story_id for e in await commands.events(limit=1000) if e.kind is EventKind.STORY_MERGED]
        assert merged == ["calc-1", "calc-2"]  # the second needs the first
        started = [e for e in await commands.events(limit=1000) if e.kind is EventKind.PHASE_STARTED]
        order = [(event.story_id, event.data["phase"]) for event in started]
        assert order.index(("calc-1", "commit")) < order.index(("calc-2", "design"))

        review = await commands.review("calc")
        assert {result.view.story.state for result in review.results} == {StoryState.DONE}
        assert all(result.tests == 1 and result.evidence for result in review.results)
        assert [point.remaining for point in review.burndown.actual][-1] == 0
        state = (await commands.feedback("calc", "Arithmetic is fun.", actor="discord:1")).state
        assert state is WorkflowState.IDLE
        assert [sprint.number for sprint in await commands.retrospectives("FUN arithmetic")] == [1]


async def test_what_cannot_be_read_goes_back_to_the_agent_then_people_are_told(farm):
    farm.add("calc")
    farm.settings = {"ai_settings": {"max_auto_retry": 1}}
    farm.script["stories"]["Learns"] = {
        "epic": [
            {
                "when": 'feedback contains "has no acceptance criteria"',
                "then": [{"spec": ONE}],
                "else": [{"spec": "## Divide\n"}],
            }
        ]
    }
    farm.script["stories"]["Never learns"] = {"epic": [{"spec": "no stories at all"}]}
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.begin_epic("calc", "Learns", actor="cli")
        await commands.begin_epic("calc", "Never learns", actor="cli")
        learnt = await settled(orchard, "calc-e1", EpicState.PROPOSED)
        assert (learnt.epic.attempt, [view.story.title for view in learnt.stories]) == (2, ["Divide"])
        failed = await orchard.until(EventKind.EPIC_FAILED)
        assert (failed.data["epic"], failed.data["tried"]) == ("calc-e2", 2)
        assert "There is no story" in failed.data["error"]
        assert (await commands.workflow("calc")).state is WorkflowState.BACKLOG_READY
        await commands.remove_story("calc-1", actor="cli")
        assert (await commands.workflow("calc")).state is WorkflowState.IDLE


async def test_a_person_s_wish_reaches_the_agent_with_its_proposals(farm):
    farm.add("calc")
    farm.script["stories"]["A calculator"] = {
        "epic": [
            {
                "when": 'feedback contains "also divide"',
                "then": [{"append": {"path": ".orch-state/stories/calc-e1.md", "text": f"\n{ONE}"}}],
                "else": [{"spec": PROPOSALS}],
            }
        ]
    }
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.begin_epic("calc", "A calculator", actor="cli")
        first = await orchard.until(EventKind.EPIC_PROPOSED, EventKind.EPIC_FAILED)
        await commands.approve_stories("calc", ["calc-1"], actor="cli")
        await commands.edit_story("calc-2", title="Subtract", actor="cli")
        await commands.revise_epic("calc-e1", "It must also divide.", actor="cli")
        again = await orchard.until(EventKind.EPIC_PROPOSED, EventKind.EPIC_FAILED, after=first.seq)
        assert again.kind is EventKind.EPIC_PROPOSED, again.data
        views = await commands.backlog("calc")
    assert [(view.story.title, view.status) for view in views] == [
        ("Multiply", StoryStatus.BACKLOG),
        ("Subtract", StoryStatus.PROPOSED),
        ("Divide", StoryStatus.PROPOSED),
    ]


async def test_a_killed_worker_designs_again_and_an_epic_waits_for_a_place(farm):
    farm.add("one")
    farm.add("two")
    farm.global_settings = {"max_total_agents": 1}
    marker = farm.root / "died"
    die_once = f"test -e {marker} || {{ touch {marker}; sleep 300; }}"
    farm.script["stories"]["Dies"] = {"epic": [{"run": die_once}, {"spec": ONE}]}
    farm.script["stories"]["Waits"] = {"epic": [{"spec": ONE}]}
    farm.settings = {"isolation": "process"}
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.begin_epic("one", "Dies", actor="cli")
        await until(partial(exists, marker))
        await commands.begin_epic("two", "Waits", actor="cli")

        async def waits() -> bool:
            return "max_total_agents" in (await commands.epic("two-e1")).why

        await until(waits)
        worker = (await commands.project("one")).worker
        os.kill(worker.pid, signal.SIGKILL)
        for epic in ("one-e1", "two-e1"):
            view = await settled(orchard, epic, EpicState.PROPOSED)
            assert [story.story.title for story in view.stories] == ["Divide"]
        epic = (await commands.epic("one-e1")).epic
    assert epic.generation > 1
    assert epic.attempt == 1  # a crash is no attempt


async def test_an_epic_under_way_is_designed_after_the_next_start(farm):
    farm.add("calc")
    farm.settings = {"isolation": "process"}
    marker = farm.root / "began"
    worktree = farm.root / ".orch-global" / "worktrees" / "calc" / "calc-e1"
    farm.script["stories"]["Long"] = {
        "epic": [{"run": f"test -e {marker} || {{ touch {marker}; sleep 300; }}"}, {"spec": ONE}]
    }
    async with farm.running() as orchard:
        await orchard.runtime.commands.begin_epic("calc", "Long", actor="cli")
        await until(partial(exists, marker))
    async with farm.running() as orchard:
        view = await settled(orchard, "calc-e1", EpicState.PROPOSED)
        await until(partial(gone, worktree))
    assert view.epic.generation > 1


async def test_a_usage_limit_is_told_and_waited_for_where_that_was_asked_for(farm):
    farm.add("calc")
    farm.settings = {"ai_settings": {"resume_after_usage_limit": True}}
    farm.script["stories"]["Limited"] = {
        "epic": [
            {"limit": {"text": "Claude AI usage limit reached", "seconds": 3, "times": 1}},
            {"spec": ONE},
        ]
    }
    async with farm.running() as orchard:
        await orchard.runtime.commands.begin_epic("calc", "Limited", actor="cli")
        limited = await orchard.until(EventKind.USAGE_LIMITED, EventKind.EPIC_FAILED)
        assert limited.kind is EventKind.USAGE_LIMITED, limited.data
        assert (limited.data["epic"], limited.data["resumes"]) == ("calc-e1", True)
        view = await settled(orchard, "calc-e1", EpicState.PROPOSED)
        assert (view.epic.attempt, view.why) == (1, "")


def limited_for(seconds):
    return {
        "epic": [
            {"limit": {"text": "Claude AI usage limit reached", "seconds": seconds, "times": 1}},
            {"spec": ONE},
        ]
    }


async def test_a_usage_limit_asks_people_where_waiting_was_not_asked_for(farm):
    farm.add("calc")
    limit, spec = limited_for(3600)["epic"]
    farm.script["stories"]["Limited"] = {
        "epic": [{"when": 'feedback contains "Go on."', "then": [spec], "else": [limit]}]
    }
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.begin_epic("calc", "Limited", actor="cli")
        failed = await orchard.until(EventKind.USAGE_LIMITED, EventKind.EPIC_FAILED)
        assert failed.kind is EventKind.EPIC_FAILED
        assert "replay takes no more work. It ends at 20" in failed.data["error"]
        await commands.revise_epic("calc-e1", "Go on.", actor="cli")
        await settled(orchard, "calc-e1", EpicState.PROPOSED)


async def test_the_next_life_waits_for_a_usage_limit_too_until_a_person_asks_for_a_start(farm):
    farm.add("calc")
    farm.settings = {"ai_settings": {"resume_after_usage_limit": True}}
    farm.script["stories"]["Limited"] = limited_for(3600)
    async with farm.running() as orchard:
        await orchard.runtime.commands.begin_epic("calc", "Limited", actor="cli")
        await orchard.until(EventKind.USAGE_LIMITED)
    async with farm.running() as orchard:
        commands = orchard.runtime.commands

        async def waits() -> bool:
            return "no more work" in commands._engine.why("calc-e1")

        await until(waits)
        view = await commands.epic("calc-e1")
        assert (view.epic.state, view.epic.generation) == (EpicState.DESIGNING, 1)
        assert "tried again at" in view.why
        await commands.stop_project("calc", actor="cli")
        await commands.start_project("calc", actor="cli")
        await settled(orchard, "calc-e1", EpicState.PROPOSED)


async def test_a_stopped_project_designs_on_when_it_is_started_and_leftovers_go(farm, git_in):
    checkout = farm.add("calc")
    farm.settings = {"isolation": "process"}
    marker = farm.root / "began"
    farm.script["stories"]["Long"] = {
        "epic": [{"run": f"test -e {marker} || {{ touch {marker}; sleep 300; }}"}, {"spec": ONE}]
    }
    worktree = farm.root / ".orch-global" / "worktrees" / "calc" / "calc-e1"
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.begin_epic("calc", "Long", actor="cli")
        await until(partial(exists, marker))
        await commands.stop_project("calc", actor="cli")

        async def waits() -> bool:
            return (await commands.epic("calc-e1")).why == "waits: calc is not started; next when it is."

        await until(waits)
        await commands.start_project("calc", actor="cli")
        view = await settled(orchard, "calc-e1", EpicState.PROPOSED)
        assert view.epic.attempt == 1
        await until(lambda: "\n" not in git_in(checkout, "worktree", "list"))
    git_in(checkout, "worktree", "add", "-q", "--detach", str(worktree))  # as a crash would leave it
    async with farm.running():
        await until(partial(gone, worktree))


async def test_an_epic_s_agent_is_watched_and_asks_nobody(farm):
    farm.add("calc")
    farm.settings = {"isolation": "process"}
    farm.global_settings = {"stall_seconds": 1, "stall_cancel_seconds": 600}
    farm.script["stories"]["Quiet"] = {
        "epic": [
            {"ask": {"title": "Look it up", "kind": "fetch", "then": [{"end": "refusal"}], "else": []}},
            {"silent": 8},
            {"spec": ONE},
        ]
    }
    async with farm.running() as orchard:
        await orchard.runtime.commands.begin_epic("calc", "Quiet", actor="cli")
        stalled = await orchard.until(EventKind.AGENT_STALLED, EventKind.EPIC_FAILED)
        assert (stalled.kind, stalled.data.get("epic")) == (EventKind.AGENT_STALLED, "calc-e1")
        view = await settled(orchard, "calc-e1", EpicState.PROPOSED)
        assert view.epic.attempt == 1
        assert await orchard.runtime.commands.approvals() == ()
