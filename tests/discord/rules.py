"""What Discord enforces and its OpenAPI description does not say, as data: a rule a line, with its source."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.localguild.exchange import Exchange

_VERSION_2 = 1 << 15
_ACTION_ROW, _TEXT_DISPLAY = 1, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`breaks` gives what is wrong with a body, or None. `source` says where Discord states it."""

    name: str
    source: str
    breaks: Callable[[Any], str | None]
    by_bot: bool = True

    def __str__(self) -> str:
        return f"{self.name} ({self.source})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRule:
    name: str
    source: str
    detail: str
    by_bot: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.detail} ({self.source})"


def _content(message: Mapping[str, Any]) -> str | None:
    length = len(message.get("content") or "")
    return f"{length} characters" if length > 2000 else None


def _embed_characters(message: Mapping[str, Any]) -> str | None:
    total = sum(_length_of_embed(one) for one in message.get("embeds") or ())
    return f"{total} characters" if total > 6000 else None


def _length_of_embed(embed: Mapping[str, Any]) -> int:
    texts = [embed.get("title"), embed.get("description")]
    texts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    for one in embed.get("fields") or ():
        texts += [one.get("name"), one.get("value")]
    return sum(len(one or "") for one in texts)


def _components(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    def walk(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for one in components:
            yield one
            yield from walk(one.get("components") or ())
            yield from walk(
                [one[key] for key in ("accessory", "component") if isinstance(one.get(key), dict)]
            )

    return list(walk(message.get("components") or ()))


def _is_version_2(message: Mapping[str, Any]) -> bool:
    return bool((message.get("flags") or 0) & _VERSION_2)


def _action_rows(message: Mapping[str, Any]) -> str | None:
    rows = message.get("components") or ()
    return f"{len(rows)} rows" if not _is_version_2(message) and len(rows) > 5 else None


def _custom_ids(message: Mapping[str, Any]) -> str | None:
    ids = [one["custom_id"] for one in _components(message) if one.get("custom_id")]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    return f"{twice}" if twice else None


def _version_2_alone(message: Mapping[str, Any]) -> str | None:
    if not _is_version_2(message):
        newer = [one["type"] for one in _components(message) if one["type"] >= 9 and one["type"] != 18]
        return f"components {newer} without the flag" if newer and "title" not in message else None
    mixed = [key for key in ("content", "embeds", "poll", "sticker_ids") if message.get(key)]
    return f"with {mixed}" if mixed else None


def _forty_components(message: Mapping[str, Any]) -> str | None:
    count = len(_components(message))
    return f"{count} components" if _is_version_2(message) and count > 40 else None


def _displayable_text(message: Mapping[str, Any]) -> str | None:
    total = sum(len(one.get("content") or "") for one in _components(message) if one["type"] == _TEXT_DISPLAY)
    return f"{total} characters" if total > 4000 else None


def _something_to_say(message: Mapping[str, Any]) -> str | None:
    parts = ("content", "embeds", "components", "attachments", "sticker_ids", "poll")
    return "nothing" if not any(message.get(one) for one in parts) else None


MESSAGE_RULES: tuple[Rule, ...] = (
    Rule(name="2000 characters of content", source="resources/message", breaks=_content),
    Rule(name="6000 characters over all embeds", source="resources/message", breaks=_embed_characters),
    Rule(name="5 action rows", source="components/reference", breaks=_action_rows),
    Rule(name="custom ids are unique in a message", source="components/reference", breaks=_custom_ids),
    Rule(name="components v2 stand alone", source="components/reference", breaks=_version_2_alone),
    Rule(name="40 components in all", source="components/reference", breaks=_forty_components),
    Rule(name="4000 characters of displayed text", source="components/reference", breaks=_displayable_text),
)
NEW_MESSAGE_RULES: tuple[Rule, ...] = (
    *MESSAGE_RULES,
    Rule(name="a message says something", source="resources/message", breaks=_something_to_say),
)


def _is_name(name: str) -> bool:
    allowed = all(unicodedata.category(one)[0] in "LNM" or one in "-_'" for one in name)
    return 1 <= len(name) <= 32 and allowed and name == name.lower()


def _names(command: Mapping[str, Any]) -> Iterator[str]:
    yield str(command.get("name"))
    for option in command.get("options") or ():
        yield from _names(option)


def _command_names(commands: Sequence[Mapping[str, Any]]) -> str | None:
    bad = [
        name
        for command in commands
        if command.get("type", 1) in (1, None)
        for name in _names(command)
        if not _is_name(name)
    ]
    return f"{bad}" if bad else None


def _command_count(commands: Sequence[Mapping[str, Any]]) -> str | None:
    for kind, most in ((1, 100), (2, 15), (3, 15)):
        count = sum((one.get("type") or 1) == kind for one in commands)
        if count > most:
            return f"{count} of type {kind}"
    return None


def _command_size(commands: Sequence[Mapping[str, Any]]) -> str | None:
    big = [one["name"] for one in commands if _size(one) > 8000]
    return f"{big}" if big else None


def _size(command: Mapping[str, Any]) -> int:
    own = len(command.get("name") or "") + len(command.get("description") or "")
    own += sum(len(one["name"]) + len(str(one["value"])) for one in command.get("choices") or ())
    return own + sum(_size(one) for one in command.get("options") or ())


def _required_first(commands: Sequence[Mapping[str, Any]]) -> str | None:
    for command in commands:
        flags = [bool(one.get("required")) for one in command.get("options") or ()]
        if flags != sorted(flags, reverse=True):
            return f"{command['name']}"
        deeper = _required_first([one for one in command.get("options") or () if one.get("options")])
        if deeper:
            return deeper
    return None


def _same_names(commands: Sequence[Mapping[str, Any]]) -> str | None:
    keys = [(one.get("type") or 1, one.get("name")) for one in commands]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    return f"{twice}" if twice else None


COMMAND_RULES: tuple[Rule, ...] = (
    Rule(name="command names", source="interactions/application-commands", breaks=_command_names),
    Rule(name="100, 15 and 15 commands", source="interactions/application-commands", breaks=_command_count),
    Rule(name="8000 characters a command", source="interactions/application-commands", breaks=_command_size),
    Rule(name="required options first", source="interactions/application-commands", breaks=_required_first),
    Rule(name="each name once", source="interactions/application-commands", breaks=_same_names),
)


def _rate_headers(headers: Mapping[str, str]) -> str | None:
    needed = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset-After", "X-RateLimit-Bucket")
    missing = [one for one in needed if one not in headers]
    return f"without {missing}" if missing and "X-RateLimit-Global" not in headers else None


def _waiting_headers(headers: Mapping[str, str]) -> str | None:
    missing = [one for one in ("Via", "Retry-After") if one not in headers]
    return f"without {missing}" if missing else None


HEADER_RULE = Rule(
    name="rate-limit headers on each answer", source="topics/rate-limits", breaks=_rate_headers, by_bot=False
)
WAIT_RULE = Rule(
    name="a 429 says how long to wait", source="topics/rate-limits", breaks=_waiting_headers, by_bot=False
)

_CHANNEL = "/channels/{channel_id}"
_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
_NEW_MESSAGE = (("POST", _CHANNEL + "/messages"), ("POST", _WEBHOOK))
_EDITED_MESSAGE = (
    ("PATCH", _CHANNEL + "/messages/{message_id}"),
    ("PATCH", _WEBHOOK + "/messages/@original"),
    ("PATCH", _WEBHOOK + "/messages/{message_id}"),
)
_CALLBACK = ("POST", "/interactions/{interaction_id}/{interaction_token}/callback")
_MESSAGE_CALLBACK, _UPDATE_CALLBACK, _MODAL_CALLBACK = 4, 7, 9


def broken_rules(exchange: Exchange) -> Iterator[BrokenRule]:
    """The rules that an exchange breaks."""
    for rules, body in _applicable(exchange):
        for rule in rules:
            detail = _detail(rule, body)
            if detail is not None:
                yield BrokenRule(name=rule.name, source=rule.source, detail=detail, by_bot=rule.by_bot)


def _detail(rule: Rule, body: Any) -> str | None:
    try:
        return rule.breaks(body)
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        return f"cannot be judged, the body is malformed: {error!r}"


def _applicable(exchange: Exchange) -> Iterator[tuple[Sequence[Rule], Any]]:
    if exchange.fault != "banned" and exchange.template is not None:
        yield (HEADER_RULE,), exchange.response_headers
        if exchange.status == 429:
            yield (WAIT_RULE,), exchange.response_headers
    body = exchange.request_body
    route = (exchange.method, exchange.template or "")
    if isinstance(body, dict):
        yield from _message_rules(route, {**body, "attachments": body.get("attachments") or exchange.files})
    if (exchange.template or "").endswith("/commands") and exchange.method in ("PUT", "POST"):
        commands = body if isinstance(body, list) else [body]
        if all(isinstance(one, dict) for one in commands):
            yield COMMAND_RULES, commands


def _message_rules(route: tuple[str, str], body: Mapping[str, Any]) -> Iterator[tuple[Sequence[Rule], Any]]:
    if route in _NEW_MESSAGE:
        yield NEW_MESSAGE_RULES, body
    elif route in _EDITED_MESSAGE:
        yield MESSAGE_RULES, body
    elif route == _CALLBACK and isinstance(body.get("data"), dict):
        data = {**body["data"], "attachments": body["data"].get("attachments") or body["attachments"]}
        match body.get("type"):
            case 4:
                yield NEW_MESSAGE_RULES, data
            case 7:
                yield MESSAGE_RULES, data
            case 9:
                yield [one for one in MESSAGE_RULES if one.breaks is _custom_ids], data
