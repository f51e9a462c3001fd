"""What the server refuses, in Discord's words. The requests are wrong on purpose; the answers are checked."""

from __future__ import annotations

from typing import Any

import pytest

from bot.localguild import GuildSettings, LocalGuild, RatePolicy
from tests.discord.conftest import Api
from tests.discord.openapi_checker import ExchangeChecker

UNKNOWN = 999999999999999999
BUTTON = {"type": 2, "style": 1, "label": "x", "custom_id": "same"}
SMALL_TEXT = {"type": 10, "content": "t"}


@pytest.fixture
def guild_settings() -> GuildSettings:
    return GuildSettings(
        rates=RatePolicy.generous(), max_guild_channels=6, max_category_channels=2, max_active_threads=2
    )


@pytest.fixture
def channel(guild: LocalGuild) -> str:
    return f"/channels/{guild.world.guild.guild_channels[0].id}"


@pytest.fixture
def home(guild: LocalGuild) -> str:
    return f"/guilds/{guild.guild_id}"


def _rows(count: int) -> list[dict[str, Any]]:
    return [{"type": 1, "components": [{**BUTTON, "custom_id": str(n)}]} for n in range(count)]


def _options(*names: str) -> list[dict[str, Any]]:
    return [{"label": name, "value": name} for name in names]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "x" * 2001}, "content"),
        ({"content": {"a": 1}}, "content"),
        ({"embeds": [{"title": "x" * 257}]}, "embeds.0.title"),
        ({"embeds": [{"description": "x" * 4097}]}, "embeds.0.description"),
        ({"embeds": [{"fields": [{"name": "n", "value": "v"}] * 26}]}, "embeds.0.fields"),
        ({"embeds": [{"fields": [{"name": "n", "value": "x" * 1025}]}]}, "embeds.0.fields.0.value"),
        ({"embeds": [{"fields": [{"name": "n"}]}]}, "embeds.0.fields.0.value"),
        ({"embeds": [{"title": "t", "footer": {"text": "x" * 2049}}]}, "embeds.0.footer.text"),
        ({"embeds": [{"title": "t", "url": "nowhere"}]}, "embeds.0.url"),
        ({"embeds": [{"title": "t", "timestamp": "soon"}]}, "embeds.0.timestamp"),
        ({"embeds": [{"title": "t", "color": 1 << 24}]}, "embeds.0.color"),
        ({"embeds": [{}]}, "embeds.0.description"),
        ({"embeds": [{"title": "t"}] * 11}, "embeds"),
        ({"embeds": [{"description": "x" * 3001}] * 2}, "embeds"),
        ({"components": _rows(6)}, "components"),
        (
            {"components": [{"type": 1, "components": [BUTTON, BUTTON]}]},
            "components.0.components.1.custom_id",
        ),
        (
            {"components": [{"type": 1, "components": [{**BUTTON, "label": "x" * 81}]}]},
            "components.0.components.0.label",
        ),
        (
            {"components": [{"type": 1, "components": [{**BUTTON, "style": 5}]}]},
            "components.0.components.0.url",
        ),
        (
            {"components": [{"type": 1, "components": [{"type": 2, "style": 1, "custom_id": "a"}]}]},
            "components.0.components.0.label",
        ),
        ({"components": [BUTTON]}, "components.0.type"),
        (
            {
                "components": [
                    {"type": 1, "components": [{"type": 3, "custom_id": "s", "options": _options("a", "a")}]}
                ]
            },
            "components.0.components.0.options.1.value",
        ),
        (
            {
                "components": [
                    {
                        "type": 1,
                        "components": [BUTTON, {"type": 3, "custom_id": "s", "options": _options("a")}],
                    }
                ]
            },
            "components.0.components",
        ),
        ({"flags": 1 << 15, "content": "c", "components": [SMALL_TEXT]}, "content"),
        ({"flags": 1 << 15, "components": [SMALL_TEXT] * 41}, "components"),
        ({"content": "c", "nonce": "x" * 26}, "nonce"),
        ({"content": "c", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}, "allowed_mentions"),
        ({"content": "c", "message_reference": {"message_id": str(UNKNOWN)}}, "message_reference"),
    ],
)
async def test_an_invalid_message_names_its_field(
    api: Api, checker: ExchangeChecker, channel: str, body: dict[str, Any], field: str
) -> None:
    with checker.wrong_requests():
        status, answer = await api("POST", channel + "/messages", body)
    assert (status, answer["code"]) == (400, 50035)
    node = answer["errors"]
    for key in field.split("."):
        node = node[key]
    assert node["_errors"][0]["message"]


async def test_all_faults_are_named_at_once(api: Api, checker: ExchangeChecker, channel: str) -> None:
    with checker.wrong_requests():
        _, answer = await api(
            "POST", channel + "/messages", {"content": "x" * 2001, "embeds": [{"title": "x" * 257}]}
        )
    assert set(answer["errors"]) == {"content", "embeds"}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", f"/channels/{UNKNOWN}", None, (404, 10003)),
        ("GET", f"/guilds/{UNKNOWN}", None, (404, 10004)),
        ("GET", f"/users/{UNKNOWN}", None, (404, 10013)),
        ("GET", "{home}/members/" + str(UNKNOWN), None, (404, 10007)),
        ("GET", "{channel}/messages/" + str(UNKNOWN), None, (404, 10008)),
        ("GET", "{home}/members?limit=10", None, (403, 50001)),
        ("POST", "{channel}/messages", {"content": "  "}, (400, 50006)),
        ("POST", "{channel}/messages", {}, (400, 50006)),
        ("POST", "{home}/channels", {"name": ""}, (400, 50035)),
        ("POST", "{home}/channels", {"name": "x" * 101}, (400, 50035)),
        ("POST", "{home}/channels", {"name": "a", "parent_id": str(UNKNOWN)}, (400, 50035)),
        ("PATCH", "{channel}", {"topic": "x" * 1025}, (400, 50035)),
        ("POST", "{channel}/threads", {"name": "t", "type": 11, "auto_archive_duration": 61}, (400, 50035)),
        ("POST", "{channel}/messages/bulk-delete", {"messages": ["1"]}, (400, 50016)),
        ("PUT", "{channel}/messages/" + str(UNKNOWN) + "/reactions/%F0%9F%91%8D/@me", None, (404, 10008)),
        ("POST", f"/interactions/{UNKNOWN}/token/callback", {"type": 5}, (404, 10062)),
        ("DELETE", "{home}/roles/" + str(UNKNOWN), None, (404, 10011)),
        ("GET", "/channels/general", None, (400, 50035)),
        ("GET", "/nowhere", None, (404, 0)),
        ("DELETE", "/users/@me", None, (405, 0)),
    ],
)
async def test_a_refusal_has_discords_code(
    api: Api,
    checker: ExchangeChecker,
    channel: str,
    home: str,
    method: str,
    path: str,
    body: Any,
    expected: tuple[int, int],
) -> None:
    with checker.wrong_requests():
        status, answer = await api(method, path.format(channel=channel, home=home), body)
    assert (status, answer["code"]) == expected


async def test_a_body_that_is_no_json(api: Api, checker: ExchangeChecker, channel: str) -> None:
    with checker.wrong_requests():
        headers = {"Content-Type": "application/json"}
        status, answer = await api("POST", channel + "/messages", data=b"{nonsense", headers=headers)
    assert (status, answer["code"]) == (400, 50109)


@pytest.mark.parametrize("token", ["", "Bot wrong", "Bearer wrong"])
async def test_a_wrong_token_is_unauthorized(api: Api, token: str) -> None:
    status, answer = await api("GET", "/users/@me", headers={"Authorization": token})
    assert (status, answer) == (401, {"message": "401: Unauthorized", "code": 0})


async def test_the_bot_cannot_edit_a_persons_message(api: Api, guild: LocalGuild, channel: str) -> None:
    said = await guild.person("alice").send("mine")
    status, answer = await api("PATCH", f"{channel}/messages/{said.id}", {"content": "ours"})
    assert (status, answer["code"]) == (403, 50005)


async def test_a_hidden_channel_is_missing_access(api: Api, guild: LocalGuild, channel: str) -> None:
    guild.switches.bot_permissions(permissions=0)
    status, answer = await api("GET", channel)
    assert (status, answer["code"]) == (403, 50001)


async def test_a_guild_holds_so_many_channels(api: Api, home: str) -> None:
    for number in range(5):
        assert (await api("POST", home + "/channels", {"name": f"c{number}"}))[0] == 201
    status, answer = await api("POST", home + "/channels", {"name": "one-more"})
    assert (status, answer["code"]) == (400, 30013)


async def test_a_category_holds_so_many_channels(api: Api, home: str) -> None:
    _, category = await api("POST", home + "/channels", {"name": "Projects", "type": 4})
    body = {"name": "c", "parent_id": category["id"]}
    for _ in range(2):
        await api("POST", home + "/channels", body)
    status, answer = await api("POST", home + "/channels", body)
    assert status == 400
    assert answer["errors"]["parent_id"]["_errors"][0]["code"] == "CHANNEL_PARENT_MAX_CHANNELS"


async def test_a_message_has_one_thread_and_a_guild_so_many(api: Api, channel: str) -> None:
    ids = [(await api("POST", channel + "/messages", {"content": str(n)}))[1]["id"] for n in range(3)]
    start = f"{channel}/messages/{{}}/threads"
    assert (await api("POST", start.format(ids[0]), {"name": "a"}))[0] == 201
    assert (await api("POST", start.format(ids[0]), {"name": "a"}))[1]["code"] == 160004
    assert (await api("POST", start.format(ids[1]), {"name": "b"}))[0] == 201
    assert (await api("POST", start.format(ids[2]), {"name": "c"}))[1]["code"] == 160006


async def test_an_archived_thread_must_be_reopened_to_be_changed(api: Api, channel: str) -> None:
    _, thread = await api("POST", channel + "/threads", {"name": "t", "type": 11})
    path = f"/channels/{thread['id']}"
    _, message = await api("POST", path + "/messages", {"content": "in it"})
    await api("PATCH", path, {"archived": True})
    assert (await api("PATCH", path, {"name": "other"}))[1]["code"] == 50083
    assert (await api("PATCH", f"{path}/messages/{message['id']}", {"content": "x"}))[1]["code"] == 50083
    await api("POST", path + "/messages", {"content": "back"})
    assert (await api("GET", path))[1]["thread_metadata"]["archived"] is False


# commands


@pytest.fixture
def commands(guild: LocalGuild) -> str:
    return f"/applications/{guild.world.guild.application_id}/guilds/{guild.guild_id}/commands"


def _command(**fields: Any) -> dict[str, Any]:
    return {"name": "ping", "description": "Answers", "type": 1, **fields}


def _option(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": 3, "name": name, "description": "d", **fields}


@pytest.mark.parametrize(
    "body",
    [
        [_command(name="Ping")],
        [_command(name="two words")],
        [_command(name="x" * 33)],
        [_command(description="")],
        [_command(description="x" * 101)],
        [_command(), _command()],
        [_command(options=[_option("a"), _option("a")])],
        [_command(options=[_option("a"), _option("b", required=True)])],
        [_command(options=[_option(f"o{n}") for n in range(26)])],
        [_command(options=[_option("a", choices=[{"name": "n", "value": "v"}] * 26)])],
        [_command(options=[_option("a", autocomplete=True, choices=[{"name": "n", "value": "v"}])])],
        [_command(options=[_option("a", type=4, choices=[{"name": "n", "value": "v"}])])],
        [_command(options=[_option("a"), _option("b", type=1)])],
        [_command(options=[_option("a", type=1, options=[_option("b", type=2)])])],
        [{"name": "Look", "type": 2, "description": "no descriptions here"}],
        {"name": "ping"},
    ],
)
async def test_wrong_commands_are_refused_whole(
    api: Api, checker: ExchangeChecker, commands: str, body: Any
) -> None:
    assert (await api("PUT", commands, [_command(name="kept")]))[0] == 200
    with checker.wrong_requests():
        status, answer = await api("PUT", commands, body)
    assert (status, answer["code"]) == (400, 50035)
    assert [one["name"] for one in (await api("GET", commands))[1]] == ["kept"]


async def test_the_hundred_and_first_command_is_refused(
    api: Api, checker: ExchangeChecker, commands: str
) -> None:
    assert (await api("PUT", commands, [_command(name=f"c{n}") for n in range(100)]))[0] == 200
    status, answer = await api("POST", commands, _command(name="more"))
    assert (status, answer["code"]) == (400, 30032)


async def test_a_command_keeps_its_id_when_overwritten(api: Api, commands: str) -> None:
    _, [first] = await api("PUT", commands, [_command()])
    _, [second] = await api("PUT", commands, [_command(description="Answers better")])
    assert first["id"] == second["id"]
    assert first["version"] != second["version"]
    status, again = await api("POST", commands, _command())
    assert (status, again["id"]) == (200, first["id"])
    assert (await api("PATCH", f"{commands}/{first['id']}", {"name": "pong"}))[1]["name"] == "pong"
    assert (await api("DELETE", f"{commands}/{first['id']}"))[0] == 204
    assert (await api("GET", f"{commands}/{first['id']}"))[1]["code"] == 10063


async def test_global_commands_are_a_scope_of_their_own(api: Api, guild: LocalGuild, commands: str) -> None:
    everywhere = f"/applications/{guild.world.guild.application_id}/commands"
    await api("PUT", commands, [_command()])
    await api("PUT", everywhere, [_command()])
    assert len(await guild.person("alice").commands()) == 2
