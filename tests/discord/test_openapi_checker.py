"""The checker can fail: wrong requests and wrong answers are refused, right ones are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.localguild.exchange import Exchange
from tests.discord.openapi_checker import NARROWINGS, RELAXATIONS, ExchangeChecker, OpenApiChecker

SNOWFLAKE = "1573665410845376512"
USER = {
    "id": SNOWFLAKE,
    "username": "orchard",
    "avatar": None,
    "discriminator": "0000",
    "public_flags": 0,
    "flags": 0,
    "global_name": None,
    "primary_guild": None,
}
MESSAGE = {
    "type": 0,
    "content": "hello",
    "mentions": [],
    "mention_roles": [],
    "attachments": [],
    "embeds": [],
    "timestamp": "2026-11-21T10:00:00.000000+00:00",
    "edited_timestamp": None,
    "flags": 0,
    "components": [],
    "id": SNOWFLAKE,
    "channel_id": SNOWFLAKE,
    "author": USER,
    "pinned": False,
    "mention_everyone": False,
    "tts": False,
}
CHANNEL = {"id": SNOWFLAKE, "type": 0, "flags": 0, "guild_id": SNOWFLAKE, "name": "c", "position": 0}
HEADERS = {
    "Content-Type": "application/json",
    "X-RateLimit-Limit": "5",
    "X-RateLimit-Remaining": "4",
    "X-RateLimit-Reset": "1770000000.000",
    "X-RateLimit-Reset-After": "5.000",
    "X-RateLimit-Bucket": "abc",
}
BUTTON = {"type": 2, "style": 1, "label": "Approve", "custom_id": "yes"}
GOOD = Exchange(
    method="POST",
    template="/channels/{channel_id}/messages",
    path=f"/channels/{SNOWFLAKE}/messages",
    path_params={"channel_id": SNOWFLAKE},
    query={},
    content_type="application/json",
    request_body={
        "content": "hello",
        "embeds": [{"title": "t"}],
        "components": [{"type": 1, "components": [BUTTON]}],
    },
    files=(),
    status=200,
    response_headers=HEADERS,
    response_body=MESSAGE,
)
CALLBACK = replace(
    GOOD,
    template="/interactions/{interaction_id}/{interaction_token}/callback",
    path_params={"interaction_id": SNOWFLAKE, "interaction_token": "abc"},
    query={"with_response": "1"},
    request_body={"type": 4, "data": {"content": "hello"}},
    response_body={"interaction": {"id": SNOWFLAKE, "type": 2}},
)
COMMANDS = replace(
    GOOD,
    method="PUT",
    template="/applications/{application_id}/guilds/{guild_id}/commands",
    path_params={"application_id": SNOWFLAKE, "guild_id": SNOWFLAKE},
    request_body=[{"name": "ping", "description": "Answers", "type": 1}],
    response_body=[],
)


def _command(**fields: Any) -> dict[str, Any]:
    return {"name": "ping", "description": "Answers", "type": 1, **fields}


def _option(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": 3, "name": name, "description": "d", **fields}


def _body(**fields: Any) -> Exchange:
    return replace(GOOD, request_body={**GOOD.request_body, **fields})


def _buttons(*ids: str, rows: int = 1) -> list[dict[str, Any]]:
    row = {"type": 1, "components": [{**BUTTON, "custom_id": one} for one in ids]}
    return [row] * rows


@pytest.mark.parametrize("exchange", [GOOD, CALLBACK, COMMANDS], ids=["message", "callback", "commands"])
def test_a_right_exchange_passes(described_openapi: OpenApiChecker, exchange: Exchange) -> None:
    assert described_openapi.check(exchange) == []


WRONG_FOR_DESCRIPTION = {
    "unknown route": replace(GOOD, template="/channels/{channel_id}/whispers"),
    "no route of ours": replace(GOOD, template=None),
    "wrong method": replace(GOOD, method="PUT"),
    "path id": replace(GOOD, path_params={"channel_id": "general"}),
    "unknown query": replace(GOOD, query={"silent": "1"}),
    "query type": replace(CALLBACK, query={"with_response": "maybe"}),
    "content type": replace(GOOD, content_type="text/plain"),
    "no body": replace(GOOD, request_body=None),
    "body type": replace(GOOD, request_body=["hello"]),
    "content type of a field": _body(content=17),
    "embed title": _body(embeds=[{"title": "x" * 257}]),
    "26 fields": _body(embeds=[{"fields": [{"name": "n", "value": "v"}] * 26}]),
    "11 embeds": _body(embeds=[{"title": "t"}] * 11),
    "embed url": _body(embeds=[{"title": "t", "url": "not a url"}]),
    "embed time": _body(embeds=[{"title": "t", "timestamp": "yesterday"}]),
    "label": _body(components=[{"type": 1, "components": [{**BUTTON, "label": "x" * 81}]}]),
    "custom id": _body(components=[{"type": 1, "components": [{**BUTTON, "custom_id": "x" * 101}]}]),
    "button style": _body(components=[{"type": 1, "components": [{**BUTTON, "style": 9}]}]),
    "empty row": _body(components=[{"type": 1, "components": []}]),
    "nonce": _body(nonce="x" * 26),
    "callback type": replace(CALLBACK, request_body={"type": 99}),
    "modal title": replace(
        CALLBACK, request_body={"type": 9, "data": {"custom_id": "m", "title": "x" * 46, "components": []}}
    ),
    "26 choices": replace(
        CALLBACK,
        request_body={"type": 8, "data": {"choices": [{"name": str(n), "value": str(n)} for n in range(26)]}},
    ),
    "topic": replace(
        GOOD,
        method="PATCH",
        template="/channels/{channel_id}",
        request_body={"topic": "x" * 4097},
        response_body={"message": "m", "code": 50035},
        status=400,
    ),
    "archive duration": replace(
        GOOD,
        method="POST",
        template="/channels/{channel_id}/threads",
        request_body={"name": "t", "auto_archive_duration": 61},
        response_body={"message": "m", "code": 50035},
        status=400,
    ),
    "description": replace(COMMANDS, request_body=[_command(description="x" * 101)]),
    "option type": replace(COMMANDS, request_body=[_command(options=[_option("a", type=12)])]),
    "answer without a key": replace(GOOD, response_body={k: v for k, v in MESSAGE.items() if k != "id"}),
    "answer's id is a number": replace(GOOD, response_body={**MESSAGE, "id": int(SNOWFLAKE)}),
    "answer's time": replace(GOOD, response_body={**MESSAGE, "timestamp": "now"}),
    "answer's status": replace(GOOD, status=418 + 100),
    "answer's content type": replace(
        GOOD, response_headers={**HEADERS, "Content-Type": "application/json; charset=utf-8"}
    ),
    "error without a code": replace(GOOD, status=404, response_body={"message": "Unknown Channel"}),
    "callback answered 204 with a body": replace(CALLBACK, status=204),
}
WRONG_FOR_RULES = {
    "2001 characters": _body(content="x" * 2001),
    "2001 characters in a callback": replace(
        CALLBACK, request_body={"type": 4, "data": {"content": "x" * 2001}}
    ),
    "6001 embed characters": _body(embeds=[{"description": "x" * 3001}] * 2),
    "6 rows": _body(
        components=[
            *_buttons("a"),
            *_buttons("b"),
            *_buttons("c"),
            *_buttons("d"),
            *_buttons("e"),
            *_buttons("f"),
        ]
    ),
    "a custom id twice": _body(components=_buttons("same", "same")),
    "v2 with content": _body(flags=1 << 15, components=[{"type": 10, "content": "t"}]),
    "v2 without the flag": _body(components=[{"type": 10, "content": "t"}]),
    "41 components": replace(
        GOOD, request_body={"flags": 1 << 15, "components": [{"type": 10, "content": "t"}] * 41}
    ),
    "4001 displayed characters": replace(
        GOOD, request_body={"flags": 1 << 15, "components": [{"type": 10, "content": "t" * 2001}] * 2}
    ),
    "nothing to say": replace(GOOD, request_body={"content": ""}),
    "capital letters in a name": replace(COMMANDS, request_body=[_command(name="Ping")]),
    "blank in an option's name": replace(COMMANDS, request_body=[_command(options=[_option("a b")])]),
    "101 commands": replace(COMMANDS, request_body=[_command(name=f"c{n}") for n in range(101)]),
    "a command twice": replace(COMMANDS, request_body=[_command(), _command()]),
    "8000 characters": replace(
        COMMANDS,
        request_body=[
            _command(
                options=[
                    _option(f"o{n}", choices=[{"name": "x" * 90, "value": "y" * 90} for _ in range(25)])
                    for n in range(2)
                ]
            )
        ],
    ),
    "required after optional": replace(
        COMMANDS, request_body=[_command(options=[_option("a"), _option("b", required=True)])]
    ),
    "no rate-limit headers": replace(GOOD, response_headers={"Content-Type": "application/json"}),
    "429 without Via": replace(
        GOOD, status=429, response_body={"message": "m", "code": 0, "retry_after": 1.0, "global": False}
    ),
}


@pytest.mark.parametrize("exchange", WRONG_FOR_DESCRIPTION.values(), ids=WRONG_FOR_DESCRIPTION.keys())
def test_the_description_refuses(described_openapi: OpenApiChecker, exchange: Exchange) -> None:
    refusals = described_openapi.check(exchange)
    assert refusals
    assert {one.where for one in refusals} != {"rule"}


@pytest.mark.parametrize("exchange", WRONG_FOR_RULES.values(), ids=WRONG_FOR_RULES.keys())
def test_the_extra_rules_refuse(exchange: Exchange) -> None:
    assert [one.where for one in OpenApiChecker(None).check(exchange)] == ["rule"]


RELAXED = {
    "overwrite": replace(
        GOOD,
        template="/guilds/{guild_id}/channels",
        path_params={"guild_id": SNOWFLAKE},
        request_body={
            "name": "c",
            "parent_id": int(SNOWFLAKE),
            "permission_overwrites": [{"id": int(SNOWFLAKE), "type": 0, "allow": "1024", "deny": "0"}],
        },
    ),
    "reference": _body(message_reference={"message_id": int(SNOWFLAKE), "channel_id": int(SNOWFLAKE)}),
    "attachment": _body(attachments=[{"id": 0, "filename": "a.txt"}]),
    "query of 0 or 1": replace(CALLBACK, query={"with_response": "0"}),
    "forum posts": replace(
        GOOD,
        template="/channels/{channel_id}/threads",
        query={"use_nested_fields": "1"},
        request_body={"name": "t", "message": {"content": "c"}},
    ),
}


@pytest.mark.parametrize("exchange", RELAXED.values(), ids=RELAXED.keys())
def test_what_discord_py_normally_sends_passes(described_openapi: OpenApiChecker, exchange: Exchange) -> None:
    assert [one for one in described_openapi.check(exchange) if one.by_bot] == []


def test_every_amendment_says_why() -> None:
    assert all(one.why and one.becomes for one in (*RELAXATIONS, *NARROWINGS))


def test_refusals_are_raised_at_the_end(openapi: OpenApiChecker) -> None:
    checker = ExchangeChecker(openapi)
    checker(WRONG_FOR_RULES["2001 characters"])
    with pytest.raises(AssertionError, match="2000 characters of content: 2001"):
        checker.verify()


def test_requests_wrong_on_purpose_are_not_raised_but_wrong_answers_are(openapi: OpenApiChecker) -> None:
    checker = ExchangeChecker(openapi)
    with checker.wrong_requests() as caught:
        checker(WRONG_FOR_RULES["2001 characters"])
    checker.verify()
    assert [one.by_bot for one in caught] == [True]
    with checker.wrong_requests():
        checker(WRONG_FOR_RULES["no rate-limit headers"])
    with pytest.raises(AssertionError, match="rate-limit headers"):
        checker.verify()


@pytest.mark.parametrize(
    ("event", "data", "why"),
    [
        ("MESSAGE_CREATE", {**MESSAGE, "id": None}, "id"),
        ("CHANNEL_UPDATE", {**CHANNEL, "position": None}, "position"),
        ("INTERACTION_CREATE", {"id": SNOWFLAKE, "message": {**MESSAGE, "author": None}}, "author"),
    ],
)
def test_a_malformed_event_is_refused(
    described_openapi: OpenApiChecker, event: str, data: dict[str, Any], why: str
) -> None:
    refusals = described_openapi.check_event(event, data)
    assert any(why in str(one) for one in refusals)


def test_a_right_event_passes(described_openapi: OpenApiChecker) -> None:
    assert described_openapi.check_event("MESSAGE_CREATE", {**MESSAGE, "guild_id": SNOWFLAKE}) == []
