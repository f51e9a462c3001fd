"""Budgets and providers' limits in a running Orchard, with nothing replaced but the model."""

from datetime import UTC, datetime, timedelta

import pytest

from core.domain.budget import Scope, Unit
from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowState
from core.errors import InvalidInput
from core.gateway.contract import ProviderHold
from core.gateway.refusal import RefusalKind
from core.store import projects, usage
from tests.midday import midday_hours
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

ME = "cli"
HALF = {"write": {"path": "half.py", "text": "HALF = 1\n"}}
REST = {
    "write": {
        "path": "multiply.py",
        "text": "from half import HALF\n\n\ndef multiply(a, b):\n    return HALF * a * b\n",
    }
}
RESUMED = 'prompt contains "interrupted to make place"'


def used(tokens: int) -> dict:
    return {"usage": {"input": tokens - 100, "output": 100, "used": 10, "size": 20}}


@pytest.fixture
def farm(quick_farm):
    quick_farm.agent_row = {"usage": "turn"}
    quick_farm.add("calc")
    return quick_farm


async def told(orchard, *kinds: EventKind) -> list:
    found = await orchard.runtime.commands.events(limit=1000)
    return [event for event in found if event.kind in kinds]


async def test_a_story_that_used_its_budget_up_waits_is_raised_and_is_merged(farm) -> None:
    farm.settings = {
        "budgets": {"story": {"tokens": 1000}, "day": {"turns": 50}},
        "work_hours": midday_hours(),
    }
    farm.script["stories"]["Multiply"]["test_red"].append(used(1200))
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")
        reached = await orchard.until(EventKind.BUDGET_REACHED, story="calc-1")
        assert (reached.data["spent"], reached.data["limit"]) == (1200, 1000)

        async def waits() -> bool:
            return "budget of calc-1 is used up" in (await commands.why("calc-1")).sentence

        await until(waits)
        assert (await commands.why("calc-1")).sentence == (
            "waits: the budget of calc-1 is used up: 1,200 tokens of 1,000 tokens; next when it is raised: "
            "/budget raise."
        )
        more = {"scope": Scope.STORY, "unit": Unit.TOKENS, "amount": 5000, "actor": ME, "click": "button-1"}
        first = await commands.raise_budget("calc-1", **more)
        again = await commands.raise_budget("calc-1", **more)
        assert (first.new, again.new, first.limit, again.limit) == (True, False, 6000, 6000)
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="calc-1")
        assert ended.kind is EventKind.STORY_MERGED
        kinds = [event.kind for event in await told(orchard, *_BUDGETS)]
        assert kinds == [EventKind.BUDGET_REACHED, EventKind.BUDGET_RAISED]
        (project,) = (await commands.budgets("calc")).projects
        (story,) = (await commands.budgets(story="calc-1")).projects
        spent = {unit.unit: unit for unit in story.budgets[0].units}
        assert (spent[Unit.TOKENS].spent, spent[Unit.TOKENS].on_agents_word) == (1200, 1200)
        assert spent[Unit.TURNS].spent == 3  # the design is the story's own, and needs no agent
        assert spent[Unit.MILLISECONDS].spent > 0
        day = next(one for one in project.budgets if one.scope is Scope.DAY)
        assert {unit.unit: unit.spent for unit in day.units}[Unit.TURNS] == 3


_BUDGETS = (EventKind.BUDGET_WARNED, EventKind.BUDGET_REACHED, EventKind.BUDGET_RAISED)


async def test_a_day_that_one_story_uses_up_parks_the_other_at_once(farm, git_in) -> None:
    """And what it left stays as it is until somebody allows more: no try is counted."""
    hours = midday_hours()
    farm.settings = {"budgets": {"day": {"tokens": 1000}}, "work_hours": hours}
    stories = farm.script["stories"]
    stories["Multiply"]["code_green"] = [
        {"when": RESUMED, "then": [REST], "else": [HALF, {"hang": {"ignore": []}}]}
    ]
    folder = farm.root / ".orch-global" / "worktrees" / "calc" / "calc-1"
    stories["Subtract"]["refactor"] = [used(1200)]
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")

        async def hangs() -> bool:
            return (folder / "half.py").exists()

        await until(hangs)
        other = await commands.add_story("calc", "Subtract", acceptance_criteria=("it works",), actor=ME)
        await commands.start_story(other.id, actor=ME)
        parked = await orchard.until(EventKind.STORY_PARKED, story="calc-1")
        assert "calc has used all of its 1,000 tokens for today and 200 tokens more" in parked.data["reason"]

        async def at_rest() -> bool:
            view = (await commands.story("calc-1")).view
            return view.why.startswith("parked: the budget of calc's day is used up")

        await until(at_rest)
        why = await commands.why("calc-1")
        assert f"next at 00:00 {hours['timezone']}, or raise it with /budget raise" in why.sentence
        assert (folder / "half.py").read_text() == "HALF = 1\n"
        await commands.raise_budget("calc", scope=Scope.DAY, unit=Unit.TOKENS, amount=9000, actor=ME)
        await orchard.green("calc-1")
        log = await commands.story_log("calc-1")
        reached = await told(orchard, EventKind.BUDGET_REACHED)
    assert {event.data["attempt"] for event in log if event.kind is EventKind.PHASE_STARTED} == {1}
    assert len([event for event in log if event.kind is EventKind.STORY_PARKED]) == 1
    assert len(reached) == 1
    assert git_in(farm.projects["calc"], "show", "orchard/calc-1:half.py") == "HALF = 1"


async def test_a_silent_turn_is_parked_when_its_time_is_over(farm) -> None:
    farm.settings = {"budgets": {"story": {"minutes": 0.05}}}
    story = farm.script["stories"]["Multiply"]
    honest, story["test_red"] = story["test_red"], [{"hang": {"ignore": []}}]
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")
        parked = await orchard.until(EventKind.STORY_PARKED, story="calc-1")
        assert "calc-1 has used all of its 3 s" in parked.data["reason"]
        reached = await orchard.until(EventKind.BUDGET_REACHED, story="calc-1")
        assert reached.data["unit"] == "milliseconds"
        with pytest.raises(InvalidInput, match="too much at once"):
            await commands.raise_budget(
                "calc-1", scope=Scope.STORY, unit=Unit.MILLISECONDS, amount=10**9, actor=ME
            )
        story["test_red"] = honest
        farm.write()
        for _ in range(5):  # enough for a busy machine
            await commands.raise_budget(
                "calc-1", scope=Scope.STORY, unit=Unit.MILLISECONDS, amount=30_000, actor=ME
            )
        await orchard.until(EventKind.GATE_PASSED, story="calc-1", phase="test_red")


async def test_one_project_s_limit_pauses_all_that_share_the_provider_each_told_once(farm) -> None:
    """Bank has a fallback that asks another provider: it goes on with it."""
    farm.add("depot")
    farm.add("bank")
    farm.agents = {"other": {"like": "replay", "variables": {"script": str(farm.root / "replay.yaml")}}}
    farm.own_settings = {
        "bank": {"agent_fallbacks": ["other"]},
        "depot": {"ai_settings": {"resume_after_usage_limit": True}},
    }
    limit = {"limit": {"text": "Claude AI usage limit reached", "seconds": 3600, "times": 1}}
    stories = farm.script["stories"]
    stories["Multiply"]["code_green"].insert(0, limit)
    stories["Subtract"]["test_red"].insert(0, {"hang": {"ignore": []}})
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("depot", "Subtract")
        await orchard.sprint("bank", "Subtract")
        await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.USAGE_LIMITED)
        limited = await told(orchard, EventKind.USAGE_LIMITED)
        assert {event.project for event in limited} == {"calc", "depot"}
        assert len(limited) == 2
        assert {event.data["others"] for event in limited} == {"All that depends on replay waits with it."}
        assert {event.project: event.data["resumes"] for event in limited} == {"calc": False, "depot": True}
        holds = commands._engine._designs._holds

        async def is_known() -> bool:  # after the transaction that told people
            return holds.held_agent("replay") != ""

        await until(is_known)
        assert holds.held_agent("other") == ""
        assert holds.held_agent("replay").startswith("replay is at its usage limit until ")
    del stories["Subtract"]["test_red"][0]
    async with farm.running() as orchard:  # the next life knows it, too, and asks nobody anew
        commands = orchard.runtime.commands
        holds = commands._engine._designs._holds
        assert holds.held_agent("replay") != ""
        again = ProviderHold(
            provider="replay",
            key_id="k",
            kind=RefusalKind.QUOTA,
            until=datetime.now(UTC) + timedelta(hours=2),
            reason="still",
        )
        await holds.held(again)
        assert len(await told(orchard, EventKind.USAGE_LIMITED)) == 2
        states = await orchard.runtime.store.read(
            lambda conn: {name: projects.get(conn, name).workflow for name in ("calc", "depot", "bank")}
        )
        assert states["calc"] is states["depot"] is WorkflowState.SPRINT_PAUSED
        assert states["bank"] in (WorkflowState.SPRINT_ACTIVE, WorkflowState.SPRINT_REVIEW)  # it goes on
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="bank-1")
        assert ended.kind is EventKind.STORY_MERGED
        log = await commands.story_log("bank-1")
        started = [event.data.get("agent") for event in log if event.kind is EventKind.PHASE_STARTED]
        assert [agent for agent in started if agent][-3:] == ["other"] * 3
        await commands.resume_sprint("calc", actor=ME)  # a person wants it to be tried now
        await orchard.green("calc-1")
        assert await orchard.runtime.store.read(usage.holds) == ()
