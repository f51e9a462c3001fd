"""What people delete and what the bot may no longer do: it goes on, and says so once."""

from __future__ import annotations

import pytest

from bot.localguild.permissions import Permission
from tests.integration.discord.house import SECONDS, House, honest
from tests.waiting import until

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300)]


async def delete_channel(house: House, channel_id: str) -> None:
    """As who manages the server does; by REST, as the bot itself could."""
    await by_rest(house, f"/channels/{channel_id}")


async def by_rest(house: House, path: str) -> None:
    import aiohttp

    headers = {"Authorization": f"Bot {house.guild.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.delete(house.guild.api_url + path) as answer,
    ):
        assert answer.status < 300, await answer.text()


async def test_what_is_deleted_is_made_again_and_nothing_stops(
    new_house, caplog: pytest.LogCaptureFixture
) -> None:
    async with new_house(refusals=True) as house:
        house.project("shop", ai_settings={"require_human_review": True})
        house.play({name: honest(name.lower()) for name in ("Apple", "Plum", "Pear")})
        async with house.running():
            alice = await house.moves_in("alice", "shop")

            # The posted question is deleted: it can be read and answered where the story is shown.
            (apple,) = await alice.begins("Apple")
            question = await alice.sees(apple, button="Approve")
            await by_rest(house, f"/channels/{question.channel_id}/messages/{question.id}")
            detail = await alice.types("story show", story=apple)
            [diff] = [one for one in detail.attachments if one["filename"].endswith(".diff")]
            assert b"+apple" in await alice.person.download(diff)
            await alice.changes(detail, "Approve", "**Approved** by")
            await alice.sees(f"`{apple}`", "is done:")
            await alice.types("feedback", text="Fine")

            # The story's thread is deleted: it is opened again.
            (plum,) = await alice.begins("Plum")
            thread = await alice.thread(plum)
            question = await alice.sees(plum, button="Approve")
            await delete_channel(house, thread.id)
            form = await alice.presses(question, "Reject")
            await alice.fills_in(form, text="Once more")
            told = await alice.person.wait_for_message(
                lambda seen: "👎" in seen.text and seen.channel_id != thread.id, timeout=SECONDS
            )
            assert told.channel_id != thread.id
            await alice.sees(plum, button="Approve", besides=[question])

            # The project's channel is deleted: it is made again.
            old = await alice.person.channel(alice.place)
            await delete_channel(house, old.id)
            await alice.types("project_pause", where="general", project="shop")
            await alice.types("project_resume", where="general", project="shop")
            new = await alice.person.wait_for_channel(
                lambda seen: seen.name == alice.place and seen.id != old.id, timeout=SECONDS
            )
            detail = await alice.types("tdd status", where=new, story=plum)
            await alice.changes(detail, "Approve", "**Approved** by")
            await alice.sees(f"`{plum}`", "is done:")
            await alice.types("feedback", text="Fine")

            # The bot may write no more: commands are answered, work goes on, and what it could not say comes.
            await alice.types("backlog add_story", title="Pear", acceptance_criteria="it says pear")
            caplog.clear()
            before = house.guild.world.set_bot_permissions(Permission.VIEW_CHANNEL)
            await alice.types("sprint plan")
            await alice.types("sprint start")
            assert "Pear" in (await alice.types("sprint status")).text
            await until(lambda: (house.worktree("shop-3") / "pear.txt").exists(), "the work goes on")

            def told() -> list[str]:  # an alert of this machine may say so, too
                said = [record.getMessage() for record in caplog.records]
                return [each for each in said if each.startswith("I cannot post for shop")]

            await until(told, "it says what it lacks")
            assert len(told()) == 1  # though it had four things to say
            assert "Send Messages" in told()[0]
            house.guild.world.set_bot_permissions(before)
            third = await alice.sees("shop-3", button="Approve")
            await alice.changes(third, "Approve", "**Approved** by")
            await alice.sees("`shop-3`", "is done:")
            assert len(await alice.posts("Sprint 3 started")) == 1
        assert house.subjects("shop") == ["First commit", "Apple", "Plum", "Pear"]
