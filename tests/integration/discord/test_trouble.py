"""When it goes wrong: what people are told, and what they can do, in the channel and by its buttons."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.localguild import CannotDo
from tests.integration.discord.house import HANG, MANY, House, honest, plain

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

WRONG: list[Any] = [{"write": {"path": "other.txt", "text": "not what was asked for\n"}}]


async def test_a_blocked_story_is_helped_another_is_skipped_and_one_given_up(house: House) -> None:
    helped = honest("flour")["code_green"]
    house.project("mill", ai_settings={"max_auto_retry": 1}, **MANY)
    house.play(
        {
            "Grind": honest(
                "flour",
                code_green=[{"when": 'feedback contains "flour.txt"', "then": helped, "else": WRONG}],
            ),
            "Doomed": honest("doom", code_green=[{"write": {"path": "doom.md", "text": "-"}}]),
            "Hopeless": honest("hope", code_green=HANG),
        }
    )
    alice = await house.moves_in("alice", "mill")
    await alice.begins("Grind", "Doomed", "Hopeless")

    # A refusal shows its evidence in the story's thread, then a post says what was tried.
    refused = await alice.reads("mill-1", "code_green", "try 1", "was refused", "tests/flour.sh")
    assert refused.raw["mentions"] == []
    blocked = await alice.sees("mill-1 is blocked", button="Suggest fix")
    assert "after 2 tries" in blocked.text
    assert "code_green, tries 1, 2" in plain(blocked.text)
    assert "tests/flour.sh" in blocked.text
    form = await alice.presses(blocked, "Suggest fix")
    await alice.fills_in(form, text="The wheat goes into flour.txt, *only* there")
    helped_now = await alice.again(blocked, "suggests: The wheat goes into flour.txt")
    assert helped_now.labels == []
    await alice.sees("`mill-1`", "is done:")

    doomed = await alice.sees("mill-2 is blocked", button="Skip")
    skipped = await alice.changes(doomed, "Skip", "Skipped by")
    with pytest.raises(CannotDo):  # the client has no such button any more
        await alice.person.press(skipped, "Suggest fix")

    await house.agent_did("mill-3", "Hang")
    aborted = await alice.types("tdd abort", story="Hopeless", reason="A wrong idea")
    assert "mill-3 is aborted" in aborted.text
    await alice.sees("`mill-3`", "was aborted by", "A wrong idea")
    finished = await alice.sees("🏁 Sprint 1 is finished", "1 of 3 stories")
    assert "🛑 `mill-3` **Hopeless** · aborted" in finished.text
    assert "⏭️ `mill-2` **Doomed** · skipped" in finished.text
    review = await alice.types("sprint review")
    assert "1 of 3 points" in review.text
    assert house.subjects("mill") == ["First commit", "Grind"]


async def test_silence_is_told_once_and_the_story_goes_on(house: House) -> None:
    house.project("pond")
    house.play({"Dive": honest("deep", code_green=[{"silent": 3}, *honest("deep")["code_green"]])})
    alice = await house.moves_in("alice", "pond")
    await alice.begins("Dive")
    told = await alice.reads("pond-1", "🐌", "code_green")
    assert "/story steer" in plain(told.text)
    await alice.sees("`pond-1`", "is done:")
    assert len(await alice.posts("🐌", where=await alice.thread("pond-1"))) == 1


async def test_a_usage_limit_pauses_and_the_sprint_goes_on_by_itself_where_that_is_wanted(
    house: House,
) -> None:
    house.project("opted", ai_settings={"resume_after_usage_limit": True, "max_auto_retry": 0})
    limited = [{"limit": {"text": "Claude AI usage limit reached", "seconds": 2, "times": 1}}]
    house.play({"Eat": honest("meal", code_green=[*limited, *honest("meal")["code_green"]])})
    alice = await house.moves_in("alice", "opted")
    await alice.begins("Eat")
    post = await alice.sees("🪫", "takes no more work", "by itself")
    assert "<t:" in post.text  # until when
    await alice.sees("🔋", "works again")
    await alice.sees("`opted-1`", "is done:")
    await alice.person.wait_for_message(lambda seen: seen.id == post.id and not seen.labels)


async def test_else_a_person_resumes_it_by_the_posts_button(house: House) -> None:
    house.project("asked")
    limited = [{"limit": {"text": "Claude AI usage limit reached", "seconds": 3600, "times": 1}}]
    house.play({"Sleep": honest("bed", code_green=[*limited, *honest("bed")["code_green"]])})
    alice, bob = await house.moves_in("alice", "asked"), house.user("bob", "asked")
    await alice.begins("Sleep")
    post = await alice.sees("🪫", "takes no more work", "Resume it", button="Resume")
    live = await alice.sees("▱ 0 of 1 done", "🪫", button="Resume")
    assert "SPRINT_PAUSED" in plain((await alice.types("state")).text)
    refused = await alice.is_refused("tdd code", story="asked-1")
    assert "SPRINT_PAUSED" in refused
    assert "/sprint resume" in refused
    await asyncio.gather(alice.presses(post, "Resume"), bob.presses(post, "Resume"))
    await alice.sees("🔋", "works again")
    await alice.sees("`asked-1`", "is done:")
    assert len(await alice.posts("🔋")) == 1
    assert "🪫" not in (await alice.again(live, "1 of 1 done")).text
