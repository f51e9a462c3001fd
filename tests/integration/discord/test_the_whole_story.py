"""From a wish to a second sprint, as people see it in the project's channel."""

from __future__ import annotations

import pytest

from tests.integration.discord.house import git, honest

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300)]

PROPOSALS = """\
# A fruit shop

## Sell apples
People want apples.
Priority: high
Estimate: 3
Acceptance criteria:
- apple.txt says apple

## Sell plumz
Estimate: 2
Acceptance criteria:
- plum.txt says plum

## Sell pears
Estimate: 1
Acceptance criteria:
- pear.txt says pear
"""


async def test_a_product_is_developed_from_the_channel_alone(new_house) -> None:
    async with new_house() as house:
        house.project("shop", ai_settings={"require_human_review": True})
        house.play(
            {
                "A fruit shop": {"epic": [{"spec": PROPOSALS}, {"say": "Three stories."}]},
                "Sell apples": honest("apple"),
                "Sell plums": honest("plum"),
                "Sell pears": honest("pear"),
            }
        )
        async with house.running():
            alice = await house.moves_in("alice", "shop")
            bob = house.user("bob", "shop")

            # An epic: proposals are posted with buttons; one is edited, one approved, then the rest.
            asked = await alice.types("epic", text="A fruit shop")
            assert "shop-e1" in asked.text
            post = await alice.sees("Sell apples", "Sell plumz", button="Approve all")
            look = await bob.presses(post, "Look through")
            assert look.ephemeral
            one = await bob.person.choose(look.message, "orchard:pick:shop-e1", ["shop-2"])
            form = await bob.presses(one.message, "Edit")
            edited = await bob.fills_in(form, title="Sell plums", estimate="2")
            assert "Sell plums" in edited.text
            assert "shop-2" in (await bob.is_refused("sprint plan", stories="shop-2"))
            one = await bob.person.choose(look.message, "orchard:pick:shop-e1", ["shop-1"])
            await bob.changes(one.message, "Approve", "Approved by")
            await alice.changes(post, "Approve all", "Approved by", "shop-2, shop-3")
            await alice.sees("2 stories approved", "`/sprint plan`")

            # Order and needs.
            await alice.types("backlog prioritize", story="shop-3", place="top")
            needed = await alice.types("backlog edit", story="shop-3", needs="shop-2")
            assert "shop-2" in needed.text
            assert "shop-3" in await alice.is_refused("backlog edit", story="shop-2", needs="shop-3")

            # A sprint: the live status is one message that is edited; a thread a story.
            early = await alice.is_refused("sprint start")
            assert "BACKLOG_READY" in early
            assert "/sprint plan" in early
            planned = await alice.types("sprint plan", goal="Fruit for all")
            assert "Fruit for all" in planned.text
            await alice.types("sprint start")
            live = await alice.sees("▱ 0 of 3 done")
            first, second = (
                await alice.sees("shop-1", button="Approve"),
                await alice.sees("shop-2", button="Approve"),
            )
            await alice.reads("shop-1", "`code_green` passed")
            held = await alice.types("story show", story="shop-3")
            assert "shop-2" in held.text

            # Two are ready at once, and land in one batch.
            await alice.types("sprint pause")
            for question in (first, second):
                answered = await alice.changes(question, "Approve", "**Approved** by")
                assert answered.labels == []
            await alice.types("sprint resume")
            await alice.sees("`shop-1`", "is done:")
            await alice.sees("`shop-2`", "is done:")
            assert set(house.subjects("shop")[1:3]) == {"Sell apples", "Sell plums"}
            await alice.again(live, "2 of 3 done")
            burndown = await alice.types("sprint burndown")
            await alice.sees_picture(burndown)
            third = await alice.sees("shop-3", button="Approve")
            await alice.presses(third, "Approve")
            await alice.sees("`shop-3`", "is done:")

            # The review, with evidence.
            review = await alice.sees("🏁 Sprint 1 is finished", "6 of 6 points", "1 test")
            assert review.labels == ["Feedback", "Request changes"]
            evidence = await alice.types("sprint review")
            assert "tests/apple.sh" in evidence.text or "passed" in evidence.text
            state = await alice.types("state")
            assert "SPRINT_REVIEW" in state.text
            await alice.changes(state, "Allowed commands", "✅ `/request_changes`")
            await alice.presses(state, "State diagram")
            await alice.sees_picture(state)
            await alice.changes(state, "Project status", "priority normal")

            # Changes are asked for: a second sprint, which people close with their words.
            house.play({"Changes to shop-1: Sell apples": honest("red")})
            asked = await alice.types("request_changes", text="Redder apples", stories="shop-1")
            assert "shop-4" in asked.text
            await alice.types("backlog edit", story="shop-4", acceptance_criteria="red.txt says red")
            await alice.types("sprint plan")
            await alice.types("sprint start")
            await alice.presses(await alice.sees("shop-4", button="Approve"), "Approve")
            again = await alice.sees("🏁 Sprint 2 is finished")
            await alice.fills_in(
                await alice.presses(again, "Feedback"), text="The apples are *redder* than ever"
            )
            closed = await alice.again(again, "closed the sprint")
            assert closed.labels == []
            found = await alice.types("sprint history", query="redder")
            assert r"\*redder\*" in found.text
            assert "IDLE" in (await alice.types("state")).text
        assert house.subjects("shop")[-2:] != []
        assert git(house.projects["shop"], "status", "--porcelain") == ""
