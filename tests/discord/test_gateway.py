"""The gateway by hand: what it says, what it refuses, and how sessions are resumed."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.localguild import GuildSettings, LocalGuild, Person, RatePolicy
from bot.localguild.intents import Intent
from tests.waiting import SECONDS

GUILDS_AND_MESSAGES = int(Intent.GUILDS | Intent.GUILD_MESSAGES)
Socket = aiohttp.ClientWebSocketResponse


@pytest.fixture
def guild_settings() -> GuildSettings:
    return GuildSettings(rates=RatePolicy.generous(), identifies_per_day=3)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def socket(session: aiohttp.ClientSession, guild: LocalGuild) -> AsyncIterator[Socket]:
    async with session.ws_connect(guild.gateway_url + "?v=10&encoding=json") as socket:
        hello = await socket.receive_json(timeout=SECONDS)
        assert hello["op"] == 10
        assert hello["d"]["heartbeat_interval"] == 41250
        yield socket


async def _identify(socket: Socket, token: str, intents: int = GUILDS_AND_MESSAGES) -> dict[str, Any]:
    await socket.send_json({"op": 2, "d": {"token": token, "intents": intents, "properties": {}}})
    ready = await socket.receive_json(timeout=SECONDS)
    assert ready["t"] == "READY"
    return ready["d"]


async def _event(socket: Socket, name: str) -> dict[str, Any]:
    while True:
        frame = await socket.receive_json(timeout=SECONDS)
        if frame["t"] == name:
            return frame


async def test_ready_then_the_guild(socket: Socket, guild: LocalGuild) -> None:
    ready = await _identify(socket, guild.token)
    assert ready["guilds"] == [{"id": str(guild.guild_id), "unavailable": True}]
    created = await _event(socket, "GUILD_CREATE")
    assert created["s"] == 2
    assert [one["name"] for one in created["d"]["channels"]] == ["general"]
    assert [one["user"]["id"] for one in created["d"]["members"]] == [ready["user"]["id"]]


async def test_heartbeats_are_acknowledged_unless_muted(socket: Socket, guild: LocalGuild) -> None:
    await socket.send_json({"op": 1, "d": None})
    assert (await socket.receive_json(timeout=SECONDS))["op"] == 11
    await _identify(socket, guild.token)
    await _event(socket, "GUILD_CREATE")
    guild.world.gateway.faults.mute_heartbeats = True
    await socket.send_json({"op": 1, "d": None})
    everyone = {"guild_id": str(guild.guild_id), "user_ids": [], "limit": 0}
    await socket.send_json({"op": 8, "d": everyone})  # whose answer would come after the heartbeat's
    assert (await socket.receive_json(timeout=SECONDS))["t"] == "GUILD_MEMBERS_CHUNK"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"op": 2, "d": {"token": "wrong", "intents": 1}}', 4004),
        ("not json", 4002),
        ("[]", 4002),
        (json.dumps({"op": 3, "d": "x" * 4096}), 4002),
        ('{"op": 77, "d": null}', 4001),
        ('{"op": 3, "d": {}}', 4003),
        ('{"op": 2, "d": {"token": "$TOKEN", "intents": "all"}}', 4013),
        ('{"op": 2, "d": {"token": "$TOKEN", "intents": 32768}}', 4014),
        ('{"op": 2, "d": {"token": "$TOKEN", "intents": 2}}', 4014),
    ],
)
async def test_a_wrong_frame_ends_the_connection(
    socket: Socket, guild: LocalGuild, frame: str, code: int
) -> None:
    await socket.send_str(frame.replace("$TOKEN", guild.token))
    received = await socket.receive(timeout=SECONDS)
    assert received.type is aiohttp.WSMsgType.CLOSE
    assert socket.close_code == code


async def test_identifying_twice_ends_the_connection(socket: Socket, guild: LocalGuild) -> None:
    await _identify(socket, guild.token)
    await socket.send_json({"op": 2, "d": {"token": guild.token, "intents": 1}})
    while (await socket.receive(timeout=SECONDS)).type is not aiohttp.WSMsgType.CLOSE:
        pass
    assert socket.close_code == 4005


async def test_too_many_frames_end_the_connection(socket: Socket) -> None:
    for _ in range(121):
        await socket.send_json({"op": 1, "d": None})
    while (await socket.receive(timeout=SECONDS)).type is not aiohttp.WSMsgType.CLOSE:
        pass
    assert socket.close_code == 4008


async def test_what_was_missed_is_sent_on_resume(
    session: aiohttp.ClientSession, guild: LocalGuild, alice: Person
) -> None:
    async with session.ws_connect(guild.gateway_url) as socket:
        await socket.receive_json(timeout=SECONDS)
        ready = await _identify(socket, guild.token)
        seen = (await _event(socket, "GUILD_CREATE"))["s"]
        guild.world.gateway.drop()
        await guild.world.gateway.wait_until(lambda: not guild.world.gateway.live_sessions, timeout=SECONDS)
    await alice.send("one")
    await alice.send("two")
    async with session.ws_connect(ready["resume_gateway_url"]) as socket:
        await socket.receive_json(timeout=SECONDS)
        resume = {"token": guild.token, "session_id": ready["session_id"], "seq": seen}
        await socket.send_json({"op": 6, "d": resume})
        frames = [await socket.receive_json(timeout=SECONDS) for _ in range(3)]
    assert [one["t"] for one in frames] == ["MESSAGE_CREATE", "MESSAGE_CREATE", "RESUMED"]
    assert [one["s"] for one in frames] == [seen + 1, seen + 2, seen + 3]


async def test_an_unknown_session_is_invalid(socket: Socket, guild: LocalGuild) -> None:
    await socket.send_json({"op": 6, "d": {"token": guild.token, "session_id": "nope", "seq": 1}})
    assert await socket.receive_json(timeout=SECONDS) == {"op": 9, "d": False, "s": None, "t": None}


async def test_a_client_that_says_goodbye_cannot_resume(
    session: aiohttp.ClientSession, guild: LocalGuild
) -> None:
    async with session.ws_connect(guild.gateway_url) as socket:
        await socket.receive_json(timeout=SECONDS)
        ready = await _identify(socket, guild.token)
        await socket.close(code=1000)
    async with session.ws_connect(guild.gateway_url) as socket:
        await socket.receive_json(timeout=SECONDS)
        resume = {"token": guild.token, "session_id": ready["session_id"], "seq": 1}
        await socket.send_json({"op": 6, "d": resume})
        assert (await socket.receive_json(timeout=SECONDS))["op"] == 9


async def test_frames_are_compressed_on_request(session: aiohttp.ClientSession, guild: LocalGuild) -> None:
    inflate = zlib.decompressobj()
    async with session.ws_connect(guild.gateway_url + "?v=10&compress=zlib-stream") as socket:
        received = await socket.receive(timeout=SECONDS)
        assert received.data.endswith(b"\x00\x00\xff\xff")
        assert json.loads(inflate.decompress(received.data))["op"] == 10


async def test_refused_connections_are_http_errors(session: aiohttp.ClientSession, guild: LocalGuild) -> None:
    guild.world.gateway.faults.refuse_connections = 1
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await session.ws_connect(guild.gateway_url)
    assert caught.value.status == 503
    async with session.ws_connect(guild.gateway_url) as socket:
        assert (await socket.receive_json(timeout=SECONDS))["op"] == 10


async def test_identifies_run_out(session: aiohttp.ClientSession, guild: LocalGuild) -> None:
    for _ in range(3):
        async with session.ws_connect(guild.gateway_url) as socket:
            await socket.receive_json(timeout=SECONDS)
            await _identify(socket, guild.token)
    async with session.ws_connect(guild.gateway_url) as socket:
        await socket.receive_json(timeout=SECONDS)
        await socket.send_json({"op": 2, "d": {"token": guild.token, "intents": 1}})
        await socket.receive(timeout=SECONDS)
        assert socket.close_code == 4004


async def test_content_is_withheld_without_the_intent(
    socket: Socket, guild: LocalGuild, alice: Person
) -> None:
    await _identify(socket, guild.token)
    await alice.send("secret")
    assert (await _event(socket, "MESSAGE_CREATE"))["d"]["content"] == ""
    await alice.say_to_bot("status")
    assert (await _event(socket, "MESSAGE_CREATE"))["d"]["content"].endswith("status")


async def test_members_by_id_without_the_privileged_intent(
    socket: Socket, guild: LocalGuild, alice: Person
) -> None:
    await _identify(socket, guild.token)
    wanted = {"guild_id": str(guild.guild_id), "user_ids": [await alice.user_id()], "limit": 0, "nonce": "n"}
    await socket.send_json({"op": 8, "d": wanted})
    chunk = (await _event(socket, "GUILD_MEMBERS_CHUNK"))["d"]
    assert [one["user"]["username"] for one in chunk["members"]] == ["alice"]
    assert chunk["nonce"] == "n"
