"""The life of an interaction: one acknowledgement, in time; a token for a while; forms and follow-ups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from bot.localguild import CannotDo, DidNotRespond, GuildSettings, LocalGuild, Person
from bot.localguild.interactions import InteractionBook
from tests.discord.conftest import Api
from tests.discord.openapi_checker import ExchangeChecker
from tests.discord.patience import patient_guild
from tests.waiting import SECONDS

COMMAND = {"name": "ping", "description": "Answers", "type": 1}
BUTTON = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}
FORM = {
    "custom_id": "form",
    "title": "Why?",
    "components": [
        {
            "type": 18,
            "label": "Reason",
            "component": {"type": 4, "custom_id": "reason", "style": 1, "required": True},
        }
    ],
}


class HandBot:
    """A bot that answers by hand: a bare gateway connection and REST."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, api: Api, application_id: int) -> None:
        self._socket = socket
        self.api = api
        self._application_id = application_id

    async def interaction(self) -> dict[str, Any]:
        while True:
            frame = await self._socket.receive_json(timeout=SECONDS)
            if frame["t"] == "INTERACTION_CREATE":
                return frame["d"]

    async def answer(self, interaction: dict[str, Any], kind: int, data: Any = None) -> tuple[int, Any]:
        body = {"type": kind} if data is None else {"type": kind, "data": data}
        path = f"/interactions/{interaction['id']}/{interaction['token']}/callback"
        return await self.api("POST", path + "?with_response=1", body)

    def webhook(self, interaction: dict[str, Any]) -> str:
        return f"/webhooks/{self._application_id}/{interaction['token']}"


@pytest.fixture
def guild_settings() -> GuildSettings:
    return patient_guild(token_seconds=900.0)


@pytest.fixture
def impatient(guild: LocalGuild) -> None:
    """People give up after a moment."""
    world = guild.world
    world.settings = replace(world.settings, response_seconds=0.2)
    world.interactions = InteractionBook(world.settings, world.monotonic)


@pytest.fixture
async def bot(guild: LocalGuild, api: Api) -> AsyncIterator[HandBot]:
    application_id = guild.world.guild.application_id
    await api("PUT", f"/applications/{application_id}/guilds/{guild.guild_id}/commands", [COMMAND])
    async with aiohttp.ClientSession() as session, session.ws_connect(guild.gateway_url) as socket:
        await socket.receive_json(timeout=SECONDS)
        await socket.send_json({"op": 2, "d": {"token": guild.token, "intents": 1, "properties": {}}})
        assert (await socket.receive_json(timeout=SECONDS))["t"] == "READY"  # else interactions pass it by
        yield HandBot(socket, api, application_id)


async def test_an_answer_in_time_is_seen(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    interaction = await bot.interaction()
    status, body = await bot.answer(interaction, 4, {"content": "pong"})
    assert status == 200
    assert body["resource"]["message"]["id"] == body["interaction"]["response_message_id"]
    answer = await typed
    assert answer.text == "pong"
    assert answer.acknowledged_after_seconds > 0


async def test_without_with_response_there_is_no_body(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    interaction = await bot.interaction()
    path = f"/interactions/{interaction['id']}/{interaction['token']}/callback"
    assert await bot.api("POST", path, {"type": 4, "data": {"content": "pong"}}) == (204, "")
    await typed


@pytest.mark.usefixtures("impatient")
async def test_too_late_is_an_unknown_interaction(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    interaction = await bot.interaction()
    with pytest.raises(DidNotRespond):
        await typed
    status, body = await bot.answer(interaction, 4, {"content": "sorry"})
    assert (status, body["code"]) == (404, 10062)
    assert await alice.messages() == []


async def test_a_second_acknowledgement_is_refused(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping", until="ack"))
    interaction = await bot.interaction()
    await bot.answer(interaction, 5)
    await typed
    status, body = await bot.answer(interaction, 4, {"content": "again"})
    assert (status, body["code"]) == (400, 40060)


async def test_a_refused_answer_may_be_given_again(
    bot: HandBot, alice: Person, checker: ExchangeChecker
) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    interaction = await bot.interaction()
    with checker.wrong_requests():
        assert (await bot.answer(interaction, 4, {"content": "x" * 2001}))[1]["code"] == 50035
        assert (await bot.answer(interaction, 7, {"content": "nothing to update"}))[1]["code"] == 50035
        assert (await bot.answer(interaction, 8, {"choices": []}))[1]["code"] == 50035
    await bot.answer(interaction, 4, {"content": "short"})
    assert (await typed).text == "short"


async def test_the_token_works_as_a_webhook_and_expires(
    bot: HandBot, alice: Person, guild: LocalGuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = asyncio.create_task(alice.slash("ping", until="ack"))
    interaction = await bot.interaction()
    webhook = bot.webhook(interaction)
    assert (await bot.api("PATCH", webhook + "/messages/@original", {"content": "x"}))[1]["code"] == 10015
    await bot.answer(interaction, 5, {"flags": 64})
    answer = await typed
    assert answer.message.thinking
    _, first = await bot.api("POST", webhook, {"content": "first"})
    assert first["id"] == answer.message.id  # the thinking message, still ephemeral
    assert first["flags"] == 64
    _, second = await bot.api("POST", webhook, {"content": "second"})
    assert second["id"] != first["id"]
    assert [one.text for one in await alice.messages()] == ["first", "second"]
    assert (await bot.api("GET", f"{webhook}/messages/{second['id']}"))[0] == 200
    assert (await bot.api("DELETE", f"{webhook}/messages/@original"))[0] == 204
    assert (await bot.api("GET", f"{webhook}/messages/@original"))[1]["code"] == 10008
    monkeypatch.setattr(guild.world.interactions, "_monotonic", lambda: time.monotonic() + 901)
    status, body = await bot.api("POST", webhook, {"content": "third"})
    assert (status, body["code"]) == (401, 50027)


async def test_a_form_with_labels(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    await bot.answer(await bot.interaction(), 9, FORM)
    shown = await typed
    sent = asyncio.create_task(alice.submit(shown, {"Reason": "because"}))
    submitted = await bot.interaction()
    assert submitted["data"]["custom_id"] == "form"
    assert submitted["data"]["components"][0]["component"]["value"] == "because"
    await bot.answer(submitted, 4, {"content": "noted"})
    assert (await sent).text == "noted"
    with pytest.raises(CannotDo, match="showed no form"):
        await alice.submit(shown, {"Reason": "twice"})


async def test_a_form_is_no_answer_to_a_form(bot: HandBot, alice: Person, checker: ExchangeChecker) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    await bot.answer(await bot.interaction(), 9, FORM)
    sent = asyncio.create_task(alice.submit(await typed, {"Reason": "because"}))
    submitted = await bot.interaction()
    with checker.wrong_requests():
        assert (await bot.answer(submitted, 9, FORM))[1]["code"] == 50035
    await bot.answer(submitted, 4, {"content": "noted"})
    await sent


async def test_a_button_of_an_ephemeral_message_updates_it(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    data = {"content": "only you", "flags": 64, "components": [BUTTON]}
    await bot.answer(await bot.interaction(), 4, data)
    shown = await typed
    pressed = asyncio.create_task(alice.press(shown.message, "Go"))
    interaction = await bot.interaction()
    assert interaction["message"]["id"] == shown.message.id
    await bot.answer(interaction, 7, {"content": "gone", "components": []})
    assert (await pressed).message.content == "gone"
    assert (await alice.messages())[-1].ephemeral


async def test_a_disabled_button_cannot_be_pressed(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping"))
    off = {"type": 1, "components": [{**BUTTON["components"][0], "disabled": True}]}
    await bot.answer(await bot.interaction(), 4, {"content": "c", "components": [off]})
    shown = await typed
    assert shown.message.labels == []
    with pytest.raises(CannotDo, match="disabled"):
        await alice.press(shown.message, "Go")


async def test_what_thinks_too_long_times_out(bot: HandBot, alice: Person) -> None:
    typed = asyncio.create_task(alice.slash("ping", timeout=0.2))
    await bot.answer(await bot.interaction(), 5)
    with pytest.raises(TimeoutError):
        await typed


async def test_a_command_for_administrators_is_not_offered_to_others(
    bot: HandBot, alice: Person, guild: LocalGuild
) -> None:
    path = f"/applications/{guild.world.guild.application_id}/guilds/{guild.guild_id}/commands"
    await bot.api("PUT", path, [{**COMMAND, "default_member_permissions": 0}])
    assert await alice.commands() == []
    assert [one["name"] for one in await guild.person("owner").commands()] == ["ping"]


@pytest.mark.usefixtures("impatient")
async def test_no_bot_at_all_does_not_respond(guild: LocalGuild, api: Api, alice: Person) -> None:
    path = f"/applications/{guild.world.guild.application_id}/guilds/{guild.guild_id}/commands"
    await api("PUT", path, [COMMAND])
    with pytest.raises(DidNotRespond):
        await alice.slash("ping")
