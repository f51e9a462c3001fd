"""A person's hands on running stories: stopped, led step by step, spoken to, taken over, sent back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.integration.discord.house import HANG, MANY, House, User, git, honest, plain

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

PHASES = ["design", "test_red", "code_green", "refactor", "commit"]


async def started(user: User, story: str) -> list[str]:
    """The phases that the story's thread says were started, in order."""
    posts = await user.posts("▶️", "started by", where=await user.thread(story))
    return [found[1] for post in posts if (found := re.search(r"`(\w+)`", post.text))]


async def test_a_story_is_led_step_by_step_through_every_gate(house: House) -> None:
    house.project("steps")
    waits = honest("one", design=HANG)
    house.play({"Walk": waits})
    alice = await house.moves_in("alice", "steps")
    await alice.types("backlog add_story", title="Walk")
    story = "steps-1"
    await alice.types("sprint plan")
    await alice.types("sprint start")
    await house.agent_did(story, "Hang")
    stopped = await alice.types("story stop", story="Walk")  # by its title
    assert "is stopped" in stopped.text
    assert "Go on" in stopped.labels
    assert "stopped" in await alice.is_refused("story stop", story=story)
    house.play({"Walk": honest("one")})
    thread, step = await alice.thread(story), stopped
    for phase in PHASES[:-1]:
        early = await alice.is_refused("tdd commit", where=thread)  # the thread says which story
        assert "commit" in early
        assert phase in early, early
        assert "/tdd next" in early or "Possible now" in early, early
        seen = await alice.posts("One step", where=thread)
        if phase == "code_green":
            await alice.presses(step, "Next step")
        else:
            await alice.types("tdd next", where=thread)
        step = await alice.sees("One step", f"`{phase}`", where=thread, besides=seen)
        assert "/tdd next" in plain(step.text)
    await alice.types("tdd next", where=thread)
    await alice.sees(f"`{story}`", "is done:")
    assert (await started(alice, story))[1:] == PHASES[:4]  # after the one that was stopped
    assert house.subjects("steps") == ["First commit", "Walk"]


async def test_a_word_reaches_the_turn_that_runs(house: House) -> None:
    house.project("helm")
    spoken: dict[str, Any] = {
        "seconds": 60,
        "then": [
            {
                "when": 'steering contains "north"',
                "then": honest("ship")["code_green"],
                "else": [{"say": "What?"}],
            }
        ],
        "else": [{"say": "Nobody spoke."}],
    }
    waits = [
        {"write": {"path": "waits.txt", "text": "."}},
        {"delete": "waits.txt"},
        {"steered": spoken},
    ]
    house.play({"Sail": honest("ship", code_green=waits)})
    alice = await house.moves_in("alice", "helm")
    (story,) = await alice.begins("Sail")
    await house.agent_did(story, "Delete waits")
    steered = await alice.types("story steer", where=await alice.thread(story), text="Go north @everyone")
    assert "is steered" in steered.text
    told = await alice.reads(story, "🧭", "Go north", "The agent has it now")
    assert told.raw["mention_everyone"] is False
    await alice.sees(f"`{story}`", "is done:")
    assert not await alice.posts("was refused", where=await alice.thread(story))


async def test_a_story_is_taken_over_and_handed_back(house: House) -> None:
    house.project("bench")
    house.play({"Carve": honest("wood", code_green=HANG)})
    alice, bob = await house.moves_in("alice", "bench"), house.user("bob", "bench")
    (story,) = await alice.begins("Carve")
    await house.agent_did(story, "Hang")
    taken = await alice.types("story takeover", story=story)
    folder = house.worktree(story)
    assert str(folder) in plain(taken.text)
    assert f"orchard/{story}" in plain(taken.text)
    whose = f"<@{await alice.person.user_id()}> works in its folder"
    assert whose in await bob.is_refused("story takeover", story=story)
    refused = await bob.is_refused("tdd next", story=story)
    assert "handback" in refused
    # As a person would: own commits in the story's branch, in the worktree.
    (folder / "half.txt").unlink()
    (folder / "wood.txt").write_text("wood, by hand\n")
    git(folder, "add", "-A")
    git(folder, "-c", "user.name=Alice", "-c", "user.email=a@example.org", "commit", "-q", "-m", "By hand")
    form = await alice.presses(taken, "Hand back")
    back = await alice.fills_in(form, text="I carved it myself.")
    assert "is given back" in back.text
    await alice.reads(story, "gives it back", "I carved it myself.")
    await alice.reads(story, "`code_green` passed")
    await alice.sees(f"`{story}`", "is done:")
    assert git(house.projects["bench"], "show", "main:wood.txt") == "wood, by hand"
    assert (await started(alice, story)).count("code_green") == 2


async def test_a_story_goes_back_to_its_test_and_never_ahead(house: House) -> None:
    house.project("tide", **MANY)
    house.play({"Ebb": honest("low", code_green=HANG)})
    alice = await house.moves_in("alice", "tide")
    (story,) = await alice.begins("Ebb")
    await house.agent_did(story, "Hang")
    early = await alice.is_refused("tdd commit", story=story)
    assert "code_green" in early
    assert "commit" in early
    house.play(
        {
            "Ebb": honest(
                "low", test_red=[{"write": {"path": "tests/low.sh", "text": "grep -q low low.txt && true\n"}}]
            )
        }
    )
    back = await alice.types("tdd test", story=story, reason="Test the water too")
    assert story in back.text
    await alice.reads(story, "Back from `code_green` to `test_red`", "Test the water too")
    await alice.sees(f"`{story}`", "is done:")
    assert git(house.projects["tide"], "show", "main:tests/low.sh").endswith("true")
    logs = await alice.types("tdd logs", story=story)
    seen = logs.text
    while "More" in logs.labels:
        logs = (await alice.presses(logs, "More")).message or logs
        seen += logs.text
    assert "sent back" in seen
    overview = await alice.types("tdd overview")
    assert "Nothing is at work" in overview.text
    ran = await alice.types("tdd run_tests")
    await alice.again(ran, "All tests pass")
