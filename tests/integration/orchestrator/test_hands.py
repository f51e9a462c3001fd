"""People's hands on running stories; of what they run, only the model and pytest are replaced."""

import asyncio
import copy
import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import CycleState, Phase, WorkflowState
from core.domain.story import Hold, StoryState, StoryStatus
from core.errors import NotAllowed
from core.orchestrator.supervisor import SupervisionTimes
from tests.waiting import SECONDS, until

pytestmark = pytest.mark.timeout(120)

ME = "cli"
HANG = [{"write": {"path": "half.py", "text": "# half\n"}}, {"hang": {"ignore": []}}]
GREEN = "def multiply(a, b):\n    return a * b\n"


@pytest.fixture
def farm(quick_farm):
    return quick_farm


@pytest.fixture
def hanging(farm):
    """A project whose agent writes half.py in code_green and goes silent."""
    farm.add("calc")
    farm.honest = copy.deepcopy(farm.script)
    farm.script["stories"]["Multiply"]["code_green"] = HANG
    return farm


async def hang_in(farm, orchard):
    (story,) = await orchard.sprint("calc", "Multiply")
    folder = farm.root / ".orch-global" / "worktrees" / "calc" / story
    await until((folder / "half.py").exists, "half.py")
    return story, folder


def mend(farm):
    """Agents that start from now on are honest."""
    farm.script = farm.honest
    farm.write()


async def test_a_stopped_story_stands_until_it_is_started_and_loses_nothing(hanging, git_in):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, _ = await hang_in(hanging, orchard)
        await commands.stop_story(story, actor=ME)
        assert (await commands.story(story)).view.status is StoryStatus.STOPPED
        mend(hanging)
        after = (await commands.story_log(story))[-1].seq
        await commands.start_story(story, actor=ME)
        await orchard.green(story)
        log = [event for event in await commands.story_log(story) if event.seq > after]
    started = [event.data for event in log if event.kind is EventKind.PHASE_STARTED]
    assert started[0] == {"phase": "code_green", "attempt": 1, "agent": "replay"}  # a stop is not its fault
    assert [event.data["files"] for event in log if event.kind is EventKind.WORK_SALVAGED] == [["half.py"]]
    assert git_in(hanging.projects["calc"], "show", f"orchard/{story}:multiply.py") == GREEN.strip()


async def test_step_by_step_no_gate_is_skipped(farm):
    farm.add("calc")
    ends = (EventKind.STORY_STOPPED, EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        (story,) = await orchard.sprint("calc", "Multiply")
        await commands.next_phase(story, actor=ME)  # at once: what runs already is that phase
        stops = []
        end = await orchard.until(*ends)
        while end.kind is EventKind.STORY_STOPPED:
            stops.append(end.data["after"])
            assert (await commands.story(story)).view.status is StoryStatus.STOPPED
            await commands.next_phase(story, actor=ME)
            end = await orchard.until(*ends, after=end.seq)
        detail = await commands.story(story)
        log = await commands.story_log(story)
    assert detail.view.story.state is StoryState.DONE
    assert [gate.phase for gate in detail.gates] == list(Phase)
    assert stops == [str(phase) for phase in Phase][-1 - len(stops) : -1]
    assert len(stops) >= 3  # the first ones may have passed before the word came
    kinds = [event.kind for event in log]
    first = kinds.index(EventKind.STORY_STOPPED)
    assert kinds[first:].count(EventKind.PHASE_STARTED) == len(stops)


async def test_a_person_takes_a_running_story_and_hands_it_back(hanging, git_in):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, folder = await hang_in(hanging, orchard)
        found = await commands.take_over(story, actor=ME)
        assert (found.path, found.branch) == (str(folder), f"orchard/{story}")
        assert (folder / "half.py").exists()  # what the agent left is there to go on with
        assert git_in(folder, "symbolic-ref", "--short", "HEAD") == f"orchard/{story}"
        assert not orchard.runtime.progress.get(story)
        (folder / "half.py").unlink()
        (folder / "multiply.py").write_text(GREEN)
        assert (await commands.story(story)).view.status is StoryStatus.TAKEN
        back = await commands.hand_back(story, "Mine is shorter.", actor=ME)
        assert back.cycle.by_hand
        await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        detail = await commands.story(story)
    assert detail.view.story.state is StoryState.DONE, detail.view.why
    assert git_in(hanging.projects["calc"], "show", "main:multiply.py") == GREEN.strip()
    assert [gate.phase for gate in detail.gates] == list(Phase)  # the person's work went through each gate


async def test_what_a_person_leaves_is_refused_like_an_agents(hanging):
    hanging.settings = {"ai_settings": {"max_auto_retry": 0}}
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, folder = await hang_in(hanging, orchard)
        await commands.take_over(story, actor=ME)
        (folder / "tests" / "test_multiply.py").write_text("def test_multiply():\n    pass\n")
        await commands.hand_back(story, actor=ME)
        blocked = await orchard.until(EventKind.STORY_BLOCKED, EventKind.STORY_MERGED)
    assert blocked.kind is EventKind.STORY_BLOCKED
    (tried,) = blocked.data["tried_list"]
    assert (tried["phase"], tried["attempt"], tried["by"]) == ("code_green", 1, "gate")
    assert "test" in tried["said"]


async def test_a_story_that_has_not_begun_has_a_folder_for_its_person_too(hanging, git_in):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, _ = await hang_in(hanging, orchard)
        waiting = (await commands.add_story("calc", "Subtract", needs=(story,), actor=ME)).id
        view = await commands.start_story(waiting, actor=ME)
        assert story in view.why  # it waits for the one that hangs
        found = await commands.take_over(waiting, actor=ME)
        assert (Path(found.path) / "calc.py").exists()
        base = git_in(Path(found.path), "rev-parse", "HEAD")
        cycle = (await commands.story(waiting)).view.cycle
    assert (cycle.base_commit, cycle.head_commit, cycle.hold) == (base, base, Hold.TAKEN)


async def test_a_word_reaches_the_running_turn(farm):
    farm.add("calc")
    honest = farm.script["stories"]["Multiply"]["code_green"]
    farm.script["stories"]["Multiply"]["code_green"] = [
        {"write": {"path": "waits.txt", "text": "."}},
        {"delete": "waits.txt"},
        {"steered": {"seconds": 60, "then": honest, "else": [{"say": "Nobody spoke."}]}},
    ]
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        (story,) = await orchard.sprint("calc", "Multiply")
        transcripts = farm.root / ".orch-global" / "transcripts" / "calc" / story
        await until(
            lambda: [1 for path in transcripts.glob("code_green*") if "Delete waits" in path.read_text()],
            "the agent to wait",
        )
        await commands.steer_story(story, "It is a product.", actor=ME)
        await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        log = await commands.story_log(story)
        text = await commands.transcript(story)
    (steered,) = [event for event in log if event.kind is EventKind.STORY_STEERED]
    assert steered.data == {"by": ME, "text": "It is a product.", "reached": True}
    assert EventKind.GATE_REFUSED not in [event.kind for event in log]
    assert text.startswith("# refactor-1")


async def test_a_word_to_a_stopped_story_is_in_its_next_prompt(hanging):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, _ = await hang_in(hanging, orchard)
        await commands.stop_story(story, actor=ME)
        await commands.steer_story(story, "It is a product.", actor=ME)
        honest = hanging.honest["stories"]["Multiply"]
        honest["code_green"] = [
            {
                "when": 'feedback contains "It is a product."',
                "then": honest["code_green"],
                "else": [{"say": "?"}],
            }
        ]
        mend(hanging)
        await commands.start_story(story, actor=ME)
        await orchard.green(story)
        log = await commands.story_log(story)
    assert [event.data["reached"] for event in log if event.kind is EventKind.STORY_STEERED] == [False]


async def test_an_aborted_story_ends_with_its_turn(hanging, git_in):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, folder = await hang_in(hanging, orchard)
        view = await commands.abort_story(story, "Not wanted any more.", actor=ME)
        assert view.story.state is StoryState.ABORTED
        await until(lambda: not folder.exists(), "the worktree's end")
        assert (await commands.workflow("calc")).state is WorkflowState.SPRINT_REVIEW
        with pytest.raises(NotAllowed, match="is aborted"):
            await commands.start_story(story, actor=ME)
    salvaged = git_in(hanging.projects["calc"], "show", f"refs/orchard/salvage/{story}/1:half.py")
    assert salvaged == "# half"


@pytest.mark.parametrize("phase", [Phase.TEST_RED, Phase.DESIGN])
async def test_sent_back_it_comes_through_every_gate_again(farm, git_in, phase):
    checkout = farm.add("calc")
    farm.settings = {"ai_settings": {"require_human_review": True}}
    story = farm.script["stories"]["Multiply"]
    story["design"] = [{"spec": "# Product\n\n## Acceptance criteria\n\n- zero gives zero\n"}]
    zero = {
        "path": "tests/test_multiply.py",
        "text": "\n\ndef test_zero():\n    assert multiply(0, 3) == 0\n",
    }
    if phase is Phase.TEST_RED:
        story["test_red"] = [
            {"when": 'feedback contains "zero"', "then": [{"append": zero}], "else": story["test_red"]}
        ]
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        (name,) = await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.APPROVAL_REQUESTED)
        await commands.run_phase(name, phase, "Mind zero.", actor=ME)
        back = await orchard.until(EventKind.STORY_SENT_BACK)
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED, EventKind.STORY_BLOCKED, after=back.seq)
        log = [event for event in await commands.story_log(name) if event.seq > back.seq]
        assert asked.kind is EventKind.APPROVAL_REQUESTED, asked.data
        await commands.answer_approval(asked.data["approval"], True, actor=ME)
        await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        detail = await commands.story(name)
    passed = [event.data["phase"] for event in log if event.kind is EventKind.GATE_PASSED]
    order = [str(each) for each in Phase]
    assert passed == order[order.index(phase) : order.index("commit")]
    assert EventKind.GATE_REFUSED not in [event.kind for event in log]
    assert detail.view.story.state is StoryState.DONE
    tests = (checkout / "tests" / "test_multiply.py").read_text()
    assert "def test_multiply" in tests  # those of before stay
    assert ("def test_zero" in tests) is (phase is Phase.TEST_RED)
    if phase is Phase.DESIGN:
        assert "zero gives zero" in detail.view.cycle.spec


async def test_tests_can_be_run_at_any_time(hanging):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        story, _ = await hang_in(hanging, orchard)
        main = await commands.run_tests("calc", actor=ME)
        own = await commands.run_tests("calc", story, actor=ME)
        log = await commands.events(project="calc", limit=1000)
    assert (main.report.passed, main.report.failed_count) == (1, 0)
    assert own.report.failed_count >= 1 or own.report.exit_code != 0  # red, as it should be now
    assert [event.story_id for event in log if event.kind is EventKind.TESTS_RAN] == [None, story]


async def test_a_test_run_can_be_stopped(farm):
    farm.quick = False
    farm.add("calc", {"tests/test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(300)\n"})
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        with pytest.raises(NotAllowed, match="No tests of calc run now"):
            await commands.stop_tests("calc", actor=ME)
        run = asyncio.create_task(commands.run_tests("calc", actor=ME))
        while not run.done():
            with suppress(NotAllowed):  # it has not reached the worker yet
                await commands.stop_tests("calc", actor=ME)
            await asyncio.wait([run], timeout=0.2)
        (told,) = [e for e in await commands.events(limit=1000) if e.kind is EventKind.TESTS_RAN]
    assert run.result().report.error == told.data["error"] == "The test run was stopped."


async def test_an_agents_usage_limit_pauses_and_resumes_by_itself(farm):
    farm.add("calc")
    farm.settings = {"ai_settings": {"resume_after_usage_limit": True, "max_auto_retry": 0}}
    story = farm.script["stories"]["Multiply"]
    limit = {"limit": {"text": "Claude AI usage limit reached", "seconds": 3, "times": 1}}
    story["code_green"] = [limit, *story["code_green"]]
    async with farm.running() as orchard:
        (name,) = await orchard.sprint("calc", "Multiply")
        limited = await orchard.until(EventKind.USAGE_LIMITED)
        assert (limited.data["agent"], limited.data["resumes"]) == ("replay", True)
        await orchard.until(EventKind.USAGE_RESET)
        await orchard.green(name)  # with no retry to spare: the limit cost none


async def test_without_that_wish_a_person_resumes(farm):
    farm.add("calc")
    story = farm.script["stories"]["Multiply"]
    limit = {"limit": {"text": "Claude AI usage limit reached", "seconds": 3600, "times": 1}}
    story["code_green"] = [limit, *story["code_green"]]
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        (name,) = await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.USAGE_LIMITED)
        assert (await commands.workflow("calc")).state is WorkflowState.SPRINT_PAUSED
        with pytest.raises(NotAllowed, match="SPRINT_PAUSED"):
            await commands.run_phase(name, Phase.CODE_GREEN, actor=ME)
        await commands.resume_sprint("calc", actor=ME)
        reset = await orchard.until(EventKind.USAGE_RESET)
        await orchard.green(name)
    assert reset.data["by"] == ME


async def test_a_stop_that_was_asked_for_is_no_loss(farm):
    farm.add("calc")
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.start_project("calc", actor=ME)
        await commands.stop_project("calc", actor=ME)
        await orchard.until(EventKind.WORKER_STOPPED)
        log = await commands.events(project="calc", limit=1000)
    assert EventKind.WORKER_LOST not in [event.kind for event in log]


async def test_a_stop_between_the_claim_and_the_turn_is_not_lost(hanging):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        with orchard.runtime.bus.subscribe() as events:
            (story,) = await orchard.sprint("calc", "Multiply")
            async for event in events:
                if event.kind is EventKind.PHASE_STARTED and event.data["phase"] == "code_green":
                    break
            await commands.stop_story(story, actor=ME)  # the worker may not know of the phase yet
        async with asyncio.timeout(SECONDS):
            assert (await commands.take_over(story, actor=ME)).path  # waits until nothing works there


async def test_a_stop_while_the_turn_gets_its_secrets_is_not_lost(hanging):
    async with hanging.running() as orchard:
        commands = orchard.runtime.commands
        dispatcher = commands._engine._dispatcher
        supply, asked, go = dispatcher.supervisor.supply, asyncio.Event(), asyncio.Event()

        async def late(job):
            if getattr(job, "phase", None) is Phase.CODE_GREEN:
                asked.set()
                await go.wait()
            return await supply(job)

        dispatcher.supervisor.supply = late
        (story,) = await orchard.sprint("calc", "Multiply")
        async with asyncio.timeout(SECONDS):
            await asked.wait()
        await commands.stop_story(story, actor=ME)  # the worker does not know of the phase yet
        go.set()
        await until(lambda: not dispatcher.drives(story), "the end of what runs for it")
    transcripts = hanging.root / ".orch-global" / "transcripts" / "calc" / story
    assert not list(transcripts.glob("code_green*"))  # no agent was started


async def test_a_worker_s_end_is_written_down_before_orchard_ends(hanging):
    no_other = SupervisionTimes(first_back_off=600.0, longest_back_off=600.0)
    async with hanging.running(no_other) as orchard:
        supervisor = orchard.runtime.commands._engine._dispatcher.supervisor
        await hang_in(hanging, orchard)
        worker_ended, begun = supervisor._events.worker_ended, asyncio.Event()

        async def late(*said, **how):
            begun.set()
            await asyncio.sleep(1)
            await worker_ended(*said, **how)

        supervisor._events.worker_ended = late
        os.kill(supervisor.view("calc").pid, signal.SIGKILL)
        async with asyncio.timeout(SECONDS):
            await begun.wait()
        stop = asyncio.create_task(supervisor.stop("calc"))
        await asyncio.sleep(0)
        stop.cancel()  # that one gives up to wait for it changes nothing
    with closing(sqlite3.connect(hanging.root / ".orch-global" / "orchard.db")) as conn:
        assert conn.execute("SELECT * FROM leases WHERE released_at IS NULL").fetchall() == []
        told = [kind for (kind,) in conn.execute("SELECT kind FROM events WHERE kind LIKE 'worker_%'")]
    assert told == [EventKind.WORKER_STARTED, EventKind.WORKER_LOST]


async def test_people_are_told_of_a_silent_agent_before_its_turn_is_ended(farm):
    farm.add("calc")
    farm.global_settings = {"stall_seconds": 2, "stall_cancel_seconds": 4}
    story = farm.script["stories"]["Multiply"]
    story["code_green"] = [[{"silent": 600}], story["code_green"]]
    async with farm.running() as orchard:
        (name,) = await orchard.sprint("calc", "Multiply")
        await orchard.green(name)
        log = await orchard.runtime.commands.story_log(name)
    ends = (EventKind.AGENT_STALLED, EventKind.AGENT_FAILED)
    first, then, *_ = [e for e in log if e.kind in ends and e.data["phase"] == "code_green"]
    assert (first.kind, then.kind) == ends  # an honest turn may be as silent where a machine stands still
    assert 2 <= first.data["seconds"] < 600


async def test_a_story_that_no_longer_fits_shows_people_both_sides(farm):
    farm.add("calc")
    farm.settings = {"ai_settings": {"require_human_review": True, "max_conflicts": 1}}
    mine = {"write": {"path": "multiply.py", "text": "# kept by Subtract\n"}}
    farm.script["stories"]["Subtract"]["code_green"].append(mine)
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        first, second = await orchard.sprint("calc", "Multiply", "Subtract")
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED, story=first)
        await orchard.until(EventKind.APPROVAL_REQUESTED, story=second)
        await commands.answer_approval(asked.data["approval"], True, actor=ME)
        await orchard.until(EventKind.STORY_MERGED, story=first)
        await commands.run_phase(second, Phase.REFACTOR, actor=ME)  # it takes the main branch in first
        blocked = await orchard.until(EventKind.STORY_BLOCKED, EventKind.STORY_MERGED, story=second)
        cycle = (await commands.story(second)).view.cycle
        workflow = await commands.workflow("calc")
    assert blocked.kind is EventKind.STORY_BLOCKED
    assert blocked.data["conflicts"] == ["multiply.py"]
    for side in ("# kept by Subtract", "def multiply(a, b):"):
        assert side in blocked.data["reason"]
        assert side in cycle.feedback
    assert (cycle.state, cycle.conflicts, cycle.rebase_onto) == (CycleState.TEST_RED, 1, None)
    assert workflow.state is WorkflowState.BLOCKED
