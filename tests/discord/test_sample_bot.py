"""An unmodified discord.py bot lives in the local guild; every exchange is checked (see conftest)."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator

import discord
import pytest

from bot.localguild import CannotDo, Fault, FaultKind, Limit, LocalGuild, Person, RatePolicy
from bot.localguild.ratelimits import RateLimits
from tests.discord.conftest import RunClient
from tests.discord.openapi_checker import ExchangeChecker
from tests.discord.sample_bot import SampleBot
from tests.waiting import SECONDS

MESSAGES = "POST /channels/{channel_id}/messages"


@pytest.fixture
async def bot(guild: LocalGuild, running_client: RunClient) -> AsyncIterator[SampleBot]:
    bot = SampleBot(guild.guild_id)
    async with running_client(bot):
        yield bot


@pytest.fixture
def general(bot: SampleBot) -> discord.TextChannel:
    return bot.guilds[0].text_channels[0]


async def test_a_slash_command_is_answered_in_the_channel(bot: SampleBot, alice: Person) -> None:
    answer = await alice.slash("ping", {"word": "hello"})
    assert answer.text == "hello"
    assert not answer.ephemeral
    assert (await alice.messages())[-1].id == answer.message.id


async def test_options_of_every_kind_arrive_typed(
    bot: SampleBot, alice: Person, general: discord.TextChannel
) -> None:
    values = {
        "count": 3,
        "unit": "tests",
        "share": 0.25,
        "whom": "@alice",
        "where": "#general",
        "role": "everyone",
    }
    answer = await alice.slash("measure", values)
    assert answer.text == "3 tests 0.25 alice general @everyone"


async def test_a_file_option_can_be_read(bot: SampleBot, alice: Person) -> None:
    file = {"name": "notes.txt", "content": base64.b64encode(b"the content").decode()}
    answer = await alice.slash("attach", {"file": file})
    assert answer.text == "notes.txt: the content"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"unit": "tests"}, "required option"),
        ({"count": "many", "unit": "tests"}, "wants integer"),
        ({"count": 11, "unit": "tests"}, "between 1 and 10"),
        ({"count": 1, "unit": "bananas"}, "is one of"),
        ({"count": 1, "unit": "tests", "colour": "red"}, "no option"),
        ({"count": 1, "unit": "tests", "whom": "nobody"}, "is no user here"),
    ],
)
async def test_the_client_refuses_wrong_options(
    bot: SampleBot, alice: Person, options: dict[str, object], why: str
) -> None:
    with pytest.raises(CannotDo, match=why):
        await alice.slash("measure", options)


async def test_an_unknown_command_or_sub_command_is_refused(bot: SampleBot, alice: Person) -> None:
    with pytest.raises(CannotDo, match="no command"):
        await alice.slash("deploy")
    with pytest.raises(CannotDo, match="needs one of the sub-commands"):
        await alice.slash("sprint")
    with pytest.raises(CannotDo, match="no sub-command 'cancel'"):
        await alice.slash("sprint cancel")


async def test_autocomplete_offers_what_fits(bot: SampleBot, alice: Person) -> None:
    offered = await alice.autocomplete("sprint plan", "story", "shop-1")
    assert [one.value for one in offered] == ["shop-1", "shop-10", "shop-11"]
    assert (await alice.slash("sprint plan", {"story": "shop-10"})).text == "planned shop-10"


async def test_a_button_changes_its_message(bot: SampleBot, alice: Person) -> None:
    asked = await alice.slash("ask")
    assert asked.message.labels == ["Approve", "Reject"]
    answer = await alice.press(asked.message, "Approve")
    assert answer.message.content == "approved by alice"
    assert answer.message.id == asked.message.id
    assert answer.message.buttons == []
    with pytest.raises(CannotDo, match="no 'Approve'"):
        await alice.press(answer.message, "Approve")


async def test_a_modal_asks_for_a_reason(bot: SampleBot, alice: Person) -> None:
    asked = await alice.slash("ask")
    form = await alice.press(asked.message, "Reject")
    assert form.modal["title"] == "Why not?"
    with pytest.raises(CannotDo, match="required"):
        await alice.submit(form, {})
    with pytest.raises(CannotDo, match="3 to 200 characters"):
        await alice.submit(form, {"Reason": "no"})
    await alice.submit(form, {"Reason": "the sum is wrong"})
    assert (await alice.messages())[-1].content == "rejected: the sum is wrong"


async def test_a_select_takes_labels_within_its_bounds(bot: SampleBot, alice: Person) -> None:
    asked = await alice.slash("ask")
    chosen = await alice.choose(asked.message, "Who reviews?", ["Ann", "Cy"])
    later = await alice.wait_for_message(lambda one: one.content == "reviewers: ann, cy")
    assert later.ephemeral
    assert chosen.message.id == asked.message.id
    with pytest.raises(CannotDo, match="choose 1 to 2"):
        await alice.choose(asked.message, "Who reviews?", [])


async def test_deferring_shows_thinking_first(bot: SampleBot, alice: Person) -> None:
    answer = await alice.slash("slowly", until="ack")
    assert answer.callback == 5
    done = await alice.look_again(answer, until="answer")
    assert done.message.content == "thought about it"
    assert not done.message.thinking
    assert await alice.wait_for_message(lambda one: one.content == "and once more")


async def test_an_ephemeral_answer_is_seen_by_its_reader_only(
    bot: SampleBot, alice: Person, guild: LocalGuild, general: discord.TextChannel
) -> None:
    answer = await alice.slash("slowly", {"hidden": True})
    await alice.wait_for_message(lambda one: one.content == "and once more")
    assert answer.ephemeral
    assert await guild.person("bob").messages() == []
    assert [one async for one in general.history()] == []


async def test_a_thread_on_a_message_and_one_without(
    bot: SampleBot, alice: Person, general: discord.TextChannel
) -> None:
    message = await general.send("story shop-1")
    thread = await message.create_thread(name="shop-1", auto_archive_duration=60)
    await thread.send("design passed")
    assert thread.id == message.id
    assert [one.text for one in await alice.messages("shop-1")][-1] == "design passed"
    other = await general.create_thread(name="loose", type=discord.ChannelType.public_thread)
    assert [one.name for one in await alice.threads("general")] == ["shop-1", "loose"]
    await other.edit(archived=True, locked=True)
    assert (await alice.channel("loose")).archived
    assert [one.id async for one in general.archived_threads()] == [other.id]


async def test_channels_in_a_category(bot: SampleBot, alice: Person) -> None:
    guild = bot.guilds[0]
    category = await guild.create_category("Projects")
    channel = await guild.create_text_channel("Proj Shop", category=category, topic="A shop")
    assert channel.name == "proj-shop"
    assert (await alice.channel("proj-shop")).topic == "A shop"
    await channel.edit(topic="A better shop")
    assert (await alice.wait_for_channel(lambda one: one.topic == "A better shop")).parent_id == str(
        category.id
    )
    await channel.delete()
    with pytest.raises(CannotDo):
        await alice.channel("proj-shop")


async def test_a_message_is_edited_found_again_and_deleted(
    bot: SampleBot, alice: Person, general: discord.TextChannel
) -> None:
    message = await general.send("0 of 3 done")
    await message.edit(content=None, embed=discord.Embed(title="1 of 3 done"))
    assert (await general.fetch_message(message.id)).embeds[0].title == "1 of 3 done"
    assert await alice.wait_for_message(lambda one: "1 of 3 done" in one.text)
    await message.delete()
    with pytest.raises(discord.NotFound) as caught:
        await general.fetch_message(message.id)
    assert caught.value.code == 10008


async def test_attachments_go_both_ways(bot: SampleBot, alice: Person, general: discord.TextChannel) -> None:
    report = discord.File(io.BytesIO(b"\x89PNG picture"), "chart.png", description="a chart")
    embed = discord.Embed(title="Chart").set_image(url="attachment://chart.png")
    sent = await general.send("the report", file=report, embed=embed)
    seen = (await alice.messages())[-1]
    assert await alice.download(seen.attachments[0]) == b"\x89PNG picture"
    assert seen.embeds[0]["image"]["url"] == sent.attachments[0].url
    assert await sent.attachments[0].read() == b"\x89PNG picture"
    await sent.edit(attachments=[])
    assert (await alice.messages())[-1].attachments == []


async def test_the_same_nonce_is_posted_once(
    bot: SampleBot, alice: Person, general: discord.TextChannel
) -> None:
    first = await general.send("merged", nonce="outbox-17")
    second = await general.send("merged", nonce="outbox-17")
    assert first.id == second.id
    assert len(await alice.messages()) == 1


async def test_a_mention_is_a_prefix_without_the_privileged_intent(bot: SampleBot, alice: Person) -> None:
    await alice.send("not for you")
    await alice.say_to_bot("status please")
    reply = await alice.wait_for_message(lambda one: one.content == "you said: status please")
    assert reply.raw["referenced_message"]["author"]["username"] == "alice"
    assert next(one for one in bot.seen if one.author.name == "alice").content == ""


async def test_a_direct_conversation(bot: SampleBot, alice: Person) -> None:
    user = await bot.fetch_user(int(await alice.user_id()))
    await user.send("psst")
    assert [one.content for one in await alice.messages("@bot")] == ["psst"]
    await alice.send("yes?", channel="@bot")
    assert [one.content async for one in user.dm_channel.history()] == ["yes?", "psst"]


async def test_roles_members_reactions_and_pins(
    bot: SampleBot, alice: Person, general: discord.TextChannel
) -> None:
    guild = bot.guilds[0]
    member = await guild.fetch_member(int(await alice.user_id()))
    role = await guild.create_role(name="reviewer", permissions=discord.Permissions(send_messages=True))
    await member.add_roles(role)
    assert [one.name for one in (await guild.fetch_member(member.id)).roles] == ["@everyone", "reviewer"]
    message = await general.send("look")
    await message.add_reaction("👍")
    await alice.react((await alice.messages())[-1], "👍")
    assert (await general.fetch_message(message.id)).reactions[0].count == 2
    await message.pin()
    assert [one.id async for one in general.pins()] == [message.id]


async def test_overwrites_hide_a_channel(bot: SampleBot, alice: Person, guild: LocalGuild) -> None:
    home = bot.guilds[0]
    hidden = {
        home.default_role: discord.PermissionOverwrite(view_channel=False),
        home.me: discord.PermissionOverwrite(view_channel=True),
    }
    channel = await home.create_text_channel("secret", overwrites=hidden)
    await channel.send("only us")
    assert "secret" not in [one.name for one in await alice.channels()]
    member = await home.fetch_member(int(await alice.user_id()))
    await channel.set_permissions(member, view_channel=True, read_message_history=True)
    assert [one.content for one in await alice.messages("secret")] == ["only us"]


# when things go wrong


async def test_buttons_work_after_a_restart_of_the_bot(
    guild: LocalGuild, alice: Person, running_client: RunClient
) -> None:
    async with running_client(SampleBot(guild.guild_id)):
        asked = await alice.slash("ask")
    async with running_client(SampleBot(guild.guild_id)):
        answer = await alice.press(asked.message, "Approve")
    assert answer.message.content == "approved by alice"


async def test_a_dropped_gateway_is_resumed_and_nothing_is_missed(
    bot: SampleBot, alice: Person, guild: LocalGuild
) -> None:
    guild.world.gateway.drop()
    await guild.world.gateway.wait_until(lambda: not guild.world.gateway.live_sessions, timeout=SECONDS)
    await alice.say_to_bot("are you there?")
    assert await alice.wait_for_message(lambda one: one.content == "you said: are you there?")
    assert guild.world.gateway.resumes == 1
    assert guild.world.gateway.identifies == 1


async def test_asked_to_reconnect_the_bot_resumes(bot: SampleBot, alice: Person, guild: LocalGuild) -> None:
    guild.world.gateway.ask_to_reconnect()
    await asyncio.wait_for(bot.resumed.wait(), SECONDS)
    assert (await alice.slash("ping")).text == "pong"


async def test_an_invalid_session_is_identified_anew(
    bot: SampleBot, alice: Person, guild: LocalGuild
) -> None:
    gateway = guild.world.gateway
    gateway.invalidate_sessions(resumable=False)
    await gateway.wait_until(lambda: gateway.identifies == 2 and bool(gateway.live_sessions), timeout=SECONDS)
    assert (await alice.slash("ping")).text == "pong"


async def test_a_rate_limited_request_is_sent_again(
    bot: SampleBot, general: discord.TextChannel, guild: LocalGuild, checker: ExchangeChecker
) -> None:
    guild.world.faults.plan(Fault(kind=FaultKind.RATE_LIMITED, route=MESSAGES, seconds=0.05))
    await general.send("patience")
    assert [one.status for one in checker.requests(*MESSAGES.split(" "))] == [429, 200]


async def test_a_server_error_is_retried(
    bot: SampleBot, general: discord.TextChannel, guild: LocalGuild, checker: ExchangeChecker
) -> None:
    guild.world.faults.plan(Fault(kind=FaultKind.SERVER_ERROR, route=MESSAGES))
    await general.send("again")
    assert [one.status for one in checker.requests(*MESSAGES.split(" "))] == [500, 200]


async def test_a_lost_answer_with_a_nonce_posts_once(
    bot: SampleBot, general: discord.TextChannel, guild: LocalGuild, alice: Person
) -> None:
    guild.world.faults.plan(Fault(kind=FaultKind.ANSWER_LOST, route=MESSAGES))
    await general.send("once", nonce="n-1")
    assert [one.content for one in await alice.messages()] == ["once"]


async def test_a_missing_right_is_forbidden(
    bot: SampleBot, general: discord.TextChannel, guild: LocalGuild
) -> None:
    guild.switches.bot_permissions(permissions=1 << 10)
    with pytest.raises(discord.Forbidden) as caught:
        await general.send("may I?")
    assert caught.value.code == 50013


async def test_the_third_rename_is_held_back(bot: SampleBot, general: discord.TextChannel) -> None:
    await general.edit(topic="one")
    await general.edit(topic="two")
    with pytest.raises(discord.RateLimited) as caught:
        await general.edit(topic="three")
    assert 500 < caught.value.retry_after <= 600


async def test_rate_limit_headers_slow_the_bot_before_a_429(
    guild: LocalGuild, checker: ExchangeChecker, running_client: RunClient
) -> None:
    limited = RatePolicy(
        routes={MESSAGES: Limit(requests=2, seconds=0.2)}, otherwise=Limit(requests=99, seconds=1)
    )
    world = guild.world
    world.rates = RateLimits(limited, world.monotonic, lambda: world.now().timestamp())
    bot = SampleBot(guild.guild_id)
    async with running_client(bot):
        for number in range(5):
            await bot.guilds[0].text_channels[0].send(str(number))
    assert {one.status for one in checker.requests(*MESSAGES.split(" "))} == {200}
