"""Questions about risky changes: what is shown, who may answer, what an answer and what silence does."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests.integration.discord.house import (
    House,
    PostedMessage,
    Script,
    gather,
    git,
    honest,
    plain,
    said,
)
from tests.waiting import until

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300)]

TABLE = "migrations/0001_cart.sql"
ALSO = {"write": {"path": TABLE, "text": "".join(f"-- line {n} of the table\n" for n in range(300))}}


def risky(name: str) -> Script:
    return honest(name, code_green=[*honest(name)["code_green"], ALSO])


CALM = [
    {
        "when": 'feedback contains "no table"',
        "then": [{"delete": TABLE}],
        "else": risky("cart")["code_green"],
    }
]


def lets_in(house: House, name: str, role: str) -> None:
    """Gives a person a role, as who manages the server does."""
    from bot.localguild.model import Role

    world = house.guild.world
    world.add_person(name)
    made = next((one for one in world.guild.roles.values() if one.name == role), None)
    if made is None:
        made = Role(id=world.snowflakes.new(), name=role, position=2)
        world.guild.roles[made.id] = made
    world.add_person(name).roles.append(made.id)


async def test_a_risky_change_is_asked_about_and_answered_once(new_house) -> None:
    settings = {"discord": {"roles": ["builders"]}}
    async with new_house(settings=settings) as house, AsyncExitStack() as life:
        house.project("shop", ai_settings={"max_auto_retry": 2})
        house.project("kiosk")
        house.owned["kiosk"] = {
            "ai_settings": {"max_auto_retry": 0},
            "approvals": {"answer_within_minutes": 0.03, "when_unanswered": "deny"},
        }
        house.play(
            {"Cart": honest("cart", code_green=CALM), "Stand": risky("stand"), "Later": risky("later")}
        )
        for name in ("alice", "bob"):
            lets_in(house, name, "builders")
        await life.enter_async_context(house.running())
        alice, bob = await house.moves_in("alice", "shop"), house.user("bob", "shop")
        eve = house.user("eve", "shop")

        # Who lacks the role looks, and is told what is missing.
        assert "builders" in await eve.is_refused("backlog add_story", title="Mine")
        assert "shop" in (await eve.types("state")).text
        (cart,) = await alice.begins("Cart")
        question = await alice.sees(cart, button="Approve")
        assert "migrations" in question.text
        [attached] = question.attachments
        diff = (await alice.person.download(attached)).decode()
        assert "+-- line 299 of the table" in diff
        assert "tests/cart.sh" in diff
        refused = await eve.presses(question, "Approve")
        assert all(message.ephemeral for message in said(refused))
        assert "You may not answer" in refused.text
        assert "builders" in refused.text

        # A rejection's reason reaches the agent, who mends it; then it needs nobody.
        form = await bob.presses(question, "Reject")
        await bob.fills_in(form, text="Please no table")
        rejected = await alice.again(question, "**Rejected** by", "no table")
        assert rejected.labels == []
        await alice.reads(cart, "👎", "no table")
        await alice.sees(f"`{cart}`", "is done:")
        assert TABLE not in git(house.projects["shop"], "ls-tree", "-r", "--name-only", "main")

        # Silence denies where that was asked for; it never approves.
        carol = await house.moves_in("alice", "kiosk")
        (stand,) = await carol.begins("Stand")
        denied = await carol.sees(stand, "**Rejected** by orchard", "nobody answered")
        assert denied.labels == []
        blocked = await carol.sees(f"{stand} is blocked")
        assert "nobody answered" in blocked.text
        await carol.presses(blocked, "Skip")

        # Orchard is restarted between question and answer; two press at once, and one of them wins.
        await alice.types("feedback", text="Fine")
        (later,) = await alice.begins("Later")
        question = await alice.sees(later, button="Approve")
        await life.aclose()
        await life.enter_async_context(house.running())
        answers = await gather(*(user.presses(question, "Approve") for user in (alice, bob)))
        decided = await alice.again(question, "**Approved** by")
        assert decided.labels == []
        await alice.sees(f"`{later}`", "is done:")

        async def told() -> list[PostedMessage]:
            pressed = zip((alice, bob), answers, strict=True)
            now = [await user.person.look_again(answer) for user, answer in pressed]
            return [message for answer in now for message in answer.followups]

        late = await until(told, "the later one is told")
        assert len(late) == 1
        assert late[0].ephemeral
        assert "already" in plain(late[0].text)
        assert len(await alice.posts("👍", where=await alice.thread(later))) == 1
        assert house.subjects("shop").count("Later") == 1
