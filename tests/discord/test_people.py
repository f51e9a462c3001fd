"""People over HTTP, from another process; the stand-alone server; the faults' switches."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from bot.localguild import CannotDo, DidNotRespond, GuildSettings, LocalGuild, OverHttp, Person, RatePolicy
from bot.localguild.ratelimits import Limit, RateLimits
from tests.discord.conftest import Api, RunClient
from tests.discord.openapi_checker import ExchangeChecker
from tests.discord.ports import kept_port
from tests.discord.sample_bot import SampleBot
from tests.waiting import SECONDS


@pytest.fixture
async def link(guild: LocalGuild) -> AsyncIterator[OverHttp]:
    async with OverHttp(guild.url) as link:
        yield link


@pytest.fixture
def remote(link: OverHttp) -> Person:
    return Person(link, "remote")


async def test_a_whole_story_over_http(guild: LocalGuild, remote: Person, running_client: RunClient) -> None:
    async with running_client(SampleBot(guild.guild_id)):
        asked = await remote.slash("ask")
        form = await remote.press(asked.message, "Reject")
        await remote.submit(form, {"reason": "the sum is wrong"})
        rejected = await remote.wait_for_message(lambda one: one.content.startswith("rejected"))
        assert rejected.content == "rejected: the sum is wrong"
        offered = await remote.autocomplete("sprint plan", "story", "shop-11")
        assert [one.name for one in offered] == ["shop-11"]
        guild.world.settings = replace(guild.world.settings, response_seconds=0.2)
        with pytest.raises(DidNotRespond):
            await remote.slash("silent")
        with pytest.raises(CannotDo, match="required option"):
            await remote.slash("measure")


async def test_waiting_ends_with_the_message(guild: LocalGuild, remote: Person) -> None:
    waiting = asyncio.create_task(remote.wait_for_message(lambda one: one.content == "now"))
    await guild.person("bob").send("not yet")
    await guild.person("bob").send("now")
    assert (await waiting).author == "bob"


async def test_waiting_after_a_mark_ignores_what_was_there(guild: LocalGuild, alice: Person) -> None:
    await alice.send("go")
    mark = await alice.mark()
    with pytest.raises(TimeoutError, match="no such message"):
        await alice.wait_for_message(lambda one: one.content == "go", after=mark, timeout=0.1)
    await alice.send("go")
    assert await alice.wait_for_message(lambda one: one.content == "go", after=mark)


async def test_an_edit_counts_as_a_message(guild: LocalGuild, api: Api, alice: Person) -> None:
    channel = f"/channels/{guild.world.guild.guild_channels[0].id}"
    _, posted = await api("POST", channel + "/messages", {"content": "0 of 2"})
    waiting = asyncio.create_task(alice.wait_for_message(lambda one: one.content == "2 of 2"))
    await api("PATCH", f"{channel}/messages/{posted['id']}", {"content": "2 of 2"})
    assert (await waiting).id == posted["id"]


async def test_files_travel_both_ways(remote: Person, guild: LocalGuild) -> None:
    sent = await remote.send("see", files={"a.bin": bytes(range(256))})
    assert await remote.download(sent.attachments[0]) == bytes(range(256))
    async with aiohttp.ClientSession() as session, session.get(sent.attachments[0]["url"]) as response:
        assert await response.read() == bytes(range(256))


async def test_a_message_that_discord_would_refuse(remote: Person) -> None:
    with pytest.raises(CannotDo, match="Invalid Form Body"):
        await remote.send("x" * 2001)
    with pytest.raises(CannotDo, match="0 channels"):
        await remote.send("hello", channel="nowhere")


async def test_faults_are_switched_over_http(
    guild: LocalGuild, link: OverHttp, api: Api, checker: ExchangeChecker
) -> None:
    await link.switch("plan", kind="refused", code=50013, route="GET /users/@me", times=2)
    assert [(await api("GET", "/users/@me"))[0] for _ in range(3)] == [403, 403, 200]
    await link.switch("plan", kind="banned", route="GET /users/@me")
    assert (await api("GET", "/users/@me"))[0] == 429
    await link.switch("plan", kind="hang_up", route="POST *")
    with pytest.raises(aiohttp.ClientError):  # (a GET would be sent again by the client itself)
        await api("POST", f"/channels/{guild.world.guild.guild_channels[0].id}/typing")
    await link.switch("plan", kind="slow", seconds=30, times=None)
    await link.switch("clear")
    assert (await api("GET", "/users/@me"))[0] == 200
    with pytest.raises(CannotDo):
        await link.switch("plan", kind="earthquake")
    with pytest.raises(CannotDo):
        await link.switch("explode")


async def test_the_door_is_closed_to_web_pages(guild: LocalGuild) -> None:
    url = guild.url + "/local/people/about"
    async with aiohttp.ClientSession() as session:
        async with session.post(url, data="{}", headers={"Content-Type": "text/plain"}) as response:
            assert response.status == 403
        async with session.post(url, json={}, headers={"Host": "evil.example"}) as response:
            assert response.status == 403


async def test_a_global_rate_limit_is_announced(api: Api, guild: LocalGuild) -> None:
    world = guild.world
    policy = RatePolicy(everything=Limit(requests=1, seconds=30))
    world.rates = RateLimits(policy, world.monotonic, lambda: world.now().timestamp())
    await api("GET", "/users/@me")
    status, body = await api("GET", "/users/@me")
    assert (status, body["global"]) == (429, True)
    assert 0 < body["retry_after"] <= 30


async def test_the_server_runs_by_itself() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot.localguild", "--json", "--token", "a.b.c"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        facts = json.loads(await asyncio.wait_for(process.stdout.readline(), SECONDS))
        assert facts["DISCORD_TOKEN"] == "a.b.c"
        async with OverHttp(facts["LOCALGUILD_URL"]) as link:
            await Person(link, "visitor").send("anyone here?")
        headers = {"Authorization": "Bot a.b.c"}
        url = facts["DISCORD_API_URL"] + "/users/@me"
        async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
            assert response.status == 200
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0


async def test_a_server_that_was_down_is_back_with_everything(
    guild_settings: GuildSettings, checker: ExchangeChecker
) -> None:
    with kept_port() as port:
        made = LocalGuild(guild_settings, on_exchange=checker, on_event=checker.see_event, port=port)
        async with made as guild, OverHttp(guild.url) as link:
            remote = Person(link, "remote")
            said = await remote.send("still here?")
            address = guild.url
            await guild.stop()
            with pytest.raises(aiohttp.ClientError):
                await remote.messages()
            await guild.start()
            assert guild.url == address
            assert [one.id for one in await remote.messages()] == [said.id]


async def test_names_and_a_file_are_given_to_whoever_sees_them(
    guild: LocalGuild, alice: Person, remote: Person, link: OverHttp
) -> None:
    sent = await alice.send("see", files={"a.txt": b"words"})
    known = await link.call("members", {"person": "alice"})
    assert known["users"][await alice.user_id()] == "alice"
    assert "everyone" in known["roles"].values()
    asked = {"person": "alice", "channel": sent.channel_id, "message": sent.id}
    file = await link.call("attachment", {**asked, "attachment": sent.attachments[0]["id"]})
    assert (file["filename"], file["content"]) == ("a.txt", "d29yZHM=")
    with pytest.raises(CannotDo, match="no longer available"):
        await link.call("attachment", {**asked, "attachment": "1"})
    with pytest.raises(CannotDo, match="0 channels"):
        await link.call("attachment", {**asked, "channel": "1", "attachment": sent.attachments[0]["id"]})
