"""Stories from the backlog to the main branch, with nothing replaced but the model."""

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import Phase, WorkflowState
from core.domain.story import StoryState
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy


async def test_a_story_goes_through_every_phase_to_the_main_branch(farm, git_in):
    checkout = farm.add("calc")
    async with farm.running() as orchard:
        (story,) = await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.SPRINT_FINISHED, EventKind.STORY_BLOCKED)
        detail = await orchard.runtime.commands.story(story)
        workflow = await orchard.runtime.commands.workflow("calc")
        figures = (await orchard.runtime.commands.system()).figures
        # the story's worktree goes after the sprint has ended
        await until(lambda: "\n" not in git_in(checkout, "worktree", "list"))
    assert detail.view.story.state is StoryState.DONE, detail.view.why
    assert [gate.phase for gate in detail.gates] == list(Phase)
    assert all(gate.verdict.passed for gate in detail.gates)
    assert workflow.state is WorkflowState.SPRINT_REVIEW
    assert git_in(checkout, "rev-parse", "main") == detail.view.cycle.merge_commit
    assert "Orchard-Story: calc-1" in git_in(checkout, "log", "-1", "--format=%B")
    assert git_in(checkout, "status", "--porcelain") == ""
    assert (checkout / "multiply.py").exists()  # the person's checkout followed
    assert figures.total_stories_completed == 1
    assert 0 < figures.average_cycle_time_hours < 1
    assert {"workers", "outcomes", "memory", "disk"} <= figures.parts.keys()
    assert figures.parts["workers"] == figures.parts["outcomes"] == 1


async def test_several_stories_of_several_projects_run_and_all_merge(quick_farm, git_in):
    checkouts = [quick_farm.add("one"), quick_farm.add("two")]
    async with quick_farm.running() as orchard:
        stories = await orchard.sprint("one", "Multiply", "Subtract")
        stories += await orchard.sprint("two", "Divide")
        for story in stories:
            merged = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story=story)
            assert merged.kind is EventKind.STORY_MERGED, merged.data
    made = [{path.name for path in checkout.glob("*.py")} - {"calc.py"} for checkout in checkouts]
    assert made == [{"multiply.py", "subtract.py"}, {"divide.py"}]
    assert [git_in(checkout, "rev-list", "--count", "main") for checkout in checkouts] == ["3", "2"]


async def test_a_refused_gate_feeds_its_evidence_back_and_blocks_after_the_retries(farm):
    farm.add("calc")
    farm.settings = {"ai_settings": {"max_auto_retry": 1}}
    farm.script["stories"]["Lie"] = {"test_red": [{"say": "I wrote a failing test, promise."}]}
    async with farm.running() as orchard:
        (story,) = await orchard.sprint("calc", "Lie")
        blocked = await orchard.until(EventKind.STORY_BLOCKED)
        detail = await orchard.runtime.commands.story(story)
        workflow = await orchard.runtime.commands.workflow("calc")
    refused = [gate for gate in detail.gates if not gate.verdict.passed]
    assert len(refused) == 2
    assert "tried 2 times" in blocked.data["reason"]
    assert detail.view.cycle.feedback == refused[0].verdict.explain()
    assert workflow.state is WorkflowState.BLOCKED


async def test_a_persons_suggestion_reaches_the_agent_and_unblocks_it(quick_farm):
    quick_farm.add("calc")
    quick_farm.settings = {"ai_settings": {"max_auto_retry": 0}}
    honest = quick_farm.script["stories"]["Multiply"]["test_red"]
    quick_farm.script["stories"]["Multiply"]["test_red"] = [
        {"when": 'feedback contains "six times two"', "then": honest, "else": [{"say": "What to test?"}]}
    ]
    async with quick_farm.running() as orchard:
        (story,) = await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.STORY_BLOCKED)
        await orchard.runtime.commands.suggest_fix(story, "Test that six times two is 12.", actor="cli")
        await orchard.until(EventKind.GATE_PASSED, story=story, phase="test_red")


async def test_a_rejection_sends_the_story_back_with_the_reason(quick_farm):
    quick_farm.add("calc")
    quick_farm.settings = {"ai_settings": {"require_human_review": True}}
    quick_farm.script["stories"]["Multiply"]["code_green"] = [
        {
            "when": 'feedback contains "docstring"',
            "then": [
                {
                    "write": {
                        "path": "multiply.py",
                        "text": 'def multiply(a, b):\n    """The product."""\n    return a * b\n',
                    }
                }
            ],
            "else": quick_farm.script["stories"]["Multiply"]["code_green"],
        }
    ]
    async with quick_farm.running() as orchard:
        commands = orchard.runtime.commands
        await orchard.sprint("calc", "Multiply")
        first = await orchard.until(EventKind.APPROVAL_REQUESTED)
        await commands.answer_approval(first.data["approval"], False, reason="Add a docstring.", actor="cli")
        back = await orchard.until(EventKind.STORY_SENT_BACK)
        await orchard.until(EventKind.APPROVAL_REQUESTED, after=back.seq)
        pending = await commands.approvals("calc")
    assert '+    """The product."""' in pending[0].detail
