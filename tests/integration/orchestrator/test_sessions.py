"""Sessions of a running Orchard; of what it runs, only the model and pytest are replaced."""

from __future__ import annotations

import copy
import os
import signal

import pytest

from core.domain.event import EventKind
from core.domain.session import How, TurnOutcome
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

OWN = "---\nversion: 7\n---\nOur own way of red.\n\n$rights\n\n$context\n"
HANG = [
    {"write": {"path": "half.py", "text": "# half\n"}},
    {"say": "I was in the middle."},
    {"hang": {"ignore": []}},
]
ENDS = (EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)


async def test_a_storys_turns_can_be_looked_up_with_the_prompts_that_they_had(quick_farm):
    farm = quick_farm
    prompts = farm.root / "prompts"
    prompts.mkdir()
    (prompts / "test_red.md").write_text(OWN)
    (prompts / "refactor.md").write_text(OWN + "$nobody\n")
    farm.own_settings["calc"] = {"prompts_path": "prompts"}
    farm.add("calc")
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        told = await orchard.until(EventKind.PROMPTS_REFUSED)
        (story,) = await orchard.sprint("calc", "Multiply")
        end = await orchard.until(*ENDS)
        (view,) = await commands.sessions(story)
        detail = await commands.session(story)
        red = await commands.session(next(t.turn_id for t in view.session.turns if t.phase == "test_red"))

        async def searched():
            found = await commands.search_sessions("recorded refactor", project="calc")
            return found.hits

        hits = await until(searched)

    assert end.kind is EventKind.STORY_MERGED, end.data
    assert told.data["problems"] == [
        f"{prompts}/refactor.md:9: nobody fills $nobody; there are $context, $rights, $spec_path, "
        "$test_command."
    ]
    turns = view.session.turns
    assert [(turn.phase, turn.template_version, turn.outcome) for turn in turns] == [
        ("test_red", 7, "idle"),
        ("code_green", 1, "idle"),
        ("refactor", 1, "idle"),
    ]
    assert [turn.how for turn in turns] == [How.FRESH, How.RESUMED, How.RESUMED]
    assert turns[0].template_source == str(prompts / "test_red.md")
    assert "Our own way of red." in red.turns[-1].prompt
    assert detail.turns[-1].prompt.startswith(f"Orchard-Story: {story}\n")
    assert "no model is at work" in detail.transcript
    assert [hit.turn.phase for hit in hits] == ["refactor"]


def said(transcripts) -> bool:
    return any("in the middle" in path.read_text() for path in transcripts.glob("test_red-*"))


async def test_a_turn_whose_worker_is_killed_is_kept_and_its_session_taken_up(quick_farm):
    farm = quick_farm
    farm.add("calc")
    honest = copy.deepcopy(farm.script)
    farm.script["stories"]["Multiply"]["test_red"] = HANG
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        (story,) = await orchard.sprint("calc", "Multiply")
        transcripts = farm.root / ".orch-global" / "transcripts" / "calc" / story
        await until(lambda: said(transcripts))
        farm.script = honest
        farm.write()
        os.kill((await commands.project("calc")).worker.pid, signal.SIGKILL)
        end = await orchard.until(*ENDS)
        (view,) = await commands.sessions(story)

    assert end.kind is EventKind.STORY_MERGED, end.data
    turns = view.session.turns
    assert [turn.outcome for turn in turns] == [TurnOutcome.CUT, *[TurnOutcome.IDLE] * 3]
    assert [turn.how for turn in turns] == [How.FRESH, *[How.RESUMED] * 3]
    assert turns[0].session_id is not None


async def test_a_new_story_goes_on_from_anothers_session_and_a_linked_one_hears_of_it(quick_farm):
    farm = quick_farm
    farm.add("calc")
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        stories = [
            (await commands.add_story("calc", title, acceptance_criteria=("it works",), actor="cli")).id
            for title in ("Multiply", "Divide", "Subtract")
        ]
        first, forked, linked = stories
        await commands.plan_sprint("calc", stories=(first,), actor="cli")
        await commands.start_sprint("calc", actor="cli")
        assert (await orchard.until(*ENDS, story=first)).kind is EventKind.STORY_MERGED
        review = await orchard.until(EventKind.SPRINT_FINISHED)
        await commands.fork_session(first, forked, actor="cli")
        await commands.link_session(linked, first, actor="cli")
        await commands.feedback("calc", "Good.", actor="cli")
        await commands.plan_sprint("calc", stories=(forked, linked), actor="cli")
        await commands.start_sprint("calc", actor="cli")
        for story in (forked, linked):
            assert (await orchard.until(*ENDS, story=story, after=review.seq)).kind is EventKind.STORY_MERGED
        branch, told = [(await commands.sessions(story))[0].session.turns[0] for story in (forked, linked)]
        prompts = [(await commands.session(turn.turn_id)).turns[0].prompt for turn in (branch, told)]

    assert (branch.how, branch.why) == (How.SEEDED, "replay cannot branch a session off.")
    assert f"goes on from the work on another story of this project, {first}" in prompts[0]
    assert "- Write tests/test_multiply.py" in prompts[0] or "Asked: refactor" in prompts[0]
    assert f"linked work, calc, {first}, " in prompts[1]
    assert told.how is How.FRESH
