"""The supervisor: down at start, dropped, refused, and who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bot.localguild import GuildSettings, LocalGuild, Person
from core.domain.event import EventKind
from tests.discord.patience import patient_guild
from tests.discord.ports import kept_port
from tests.waiting import until


@pytest.fixture
def port() -> Iterator[int]:
    with kept_port() as kept:
        yield kept


async def test_everything_down_at_start_then_up(
    orchard: Any, run_bot: Any, guild_settings: GuildSettings, checker: Any, port: int
) -> None:
    guild = LocalGuild(guild_settings, on_exchange=checker, port=port)
    await guild.start()
    await guild.stop()
    urls = {"api_url": guild.api_url, "gateway_url": guild.gateway_url, "token": guild.token}
    async with run_bot(wait=False, guild_id=None, **urls) as service:
        await until(lambda: "next try" in service.status, "a first failure")
        assert f"nothing answers at 127.0.0.1:{port}" in service.status
        story = await orchard.running_story()
        later = LocalGuild(patient_guild(token=guild.token), port=port)
        async with later:
            await until(lambda: service.connected, "a connection")
            await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
            await orchard.posted()
            alice = later.person("alice")
            await until(alice.commands, "registered commands")
            assert "shop: SPRINT_ACTIVE" in (await alice.slash("state", channel="proj-shop")).text


async def test_only_the_gateway_down_at_start_then_up(
    orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person, port: int
) -> None:
    async with run_bot(wait=False, gateway_url=f"ws://127.0.0.1:{port}/") as service:
        await until(lambda: "next try" in service.status, "a first failure")
        server = await asyncio.start_server(_pipe_to(guild.port), "127.0.0.1", port)
        async with server:
            await until(lambda: service.connected, "a connection")
            await orchard.running_story()
            await orchard.posted()


def _pipe_to(port: int) -> Any:
    """A gateway that comes up late: passes connections on to the guild's own port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data.replace(b"GET /?", b"GET /gateway/?"))
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    return serve


@pytest.mark.parametrize("fault", ["drop", "reconnect", "invalid, resumable", "invalid", "refused for good"])
async def test_a_lost_gateway_is_found_again(
    orchard: Any,
    run_bot: Any,
    guild: LocalGuild,
    alice: Person,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with run_bot() as service:
        gateway = guild.world.gateway
        [before] = [session.id for session in gateway.live_sessions]
        match fault:
            case "drop":
                gateway.drop()
            case "reconnect":
                gateway.ask_to_reconnect()
            case "invalid, resumable":
                gateway.invalidate_sessions(resumable=True)
            case "invalid":
                monkeypatch.setattr("bot.discord.client.random.uniform", lambda *_: 0.01)
                gateway.invalidate_sessions(resumable=False)
            case _:
                gateway.drop(4003)
        story = await orchard.running_story()
        await orchard.emit(EventKind.PHASE_STARTED, story, phase="design")
        await orchard.posted()

        def again() -> bool:
            """By the session that it had, or by another: what is said to one that is given up is lost."""
            return any(gateway.resumes or one.id != before for one in gateway.live_sessions)

        await until(lambda: service.connected and again(), "a session")
        assert "shop: SPRINT_ACTIVE" in (await alice.slash("state", channel="proj-shop")).text


async def test_a_connection_that_keeps_dropping_is_given_a_rest(
    run_bot: Any, guild: LocalGuild, alice: Person
) -> None:
    gateway = guild.world.gateway

    async def drop_until_rest() -> bool:
        await until(lambda: gateway.live_sessions or "dropped" in service.status, "a session")
        gateway.drop()
        await asyncio.sleep(0.02)
        return "dropped" in service.status

    async with run_bot() as service:
        await until(drop_until_rest, "a rest")
        await until(lambda: service.connected, "a connection")
        assert not (await alice.slash("project_list")).ephemeral


async def test_a_wrong_token_ends_discord_and_nothing_else(
    orchard: Any, run_bot: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_bot(wait=False, token="wrong") as service:
        await until(lambda: "refuses the token" in service.status, "a refusal")
        assert not service.connected
        assert (await orchard.commands.system()).discord == service.status
        await orchard.running_story()  # the rest goes on
    assert caplog.text.count("refuses the token") == 1


async def test_a_server_that_the_bot_is_not_in_is_named(run_bot: Any) -> None:
    async with run_bot(wait=False, guild_id=12345678901234567) as service:
        await until(lambda: "not in the Discord server 12345678901234567" in service.status, "a sentence")


async def test_without_a_configured_server_the_only_one_is_served(run_bot: Any, alice: Person) -> None:
    async with run_bot(guild_id=None):
        assert not (await alice.slash("project_list")).ephemeral


async def test_with_roles_only_some_may_steer(
    orchard: Any, run_bot: Any, guild: LocalGuild, alice: Person
) -> None:
    owner = guild.person("owner")
    async with run_bot(roles=frozenset({"dev"})):
        assert not (await alice.slash("state", {"project": "shop"})).ephemeral
        refused = await alice.slash("backlog add_story", {"project": "shop", "title": "x"})
        assert refused.ephemeral
        assert "dev" in refused.text
        assert not (await owner.slash("backlog add_story", {"project": "shop", "title": "x"})).ephemeral
        approval = await orchard.ask((await orchard.commands.backlog("shop"))[0].story)
        message = await alice.wait_for_message(lambda m: m.labels == ["Approve", "Reject"])
        pressed = await alice.press(message, "Approve")
        assert pressed.ephemeral
        assert "These roles may steer Orchard: dev" in pressed.text
        assert (await orchard.commands.approval(approval.id)).answered_at is None
