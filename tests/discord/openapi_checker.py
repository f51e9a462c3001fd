"""Checks REST exchanges against Discord's own OpenAPI description and the rules that it leaves out.

Path, query and body of every request and the body of every answer are checked. What the description
gets wrong about normal traffic is relaxed below, as data, each with its reason.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.exceptions import best_match
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bot.localguild.exchange import Exchange
from tests.discord.events import EVENT_SHAPES, NEEDED_KEYS, parts
from tests.discord.rules import Rule, broken_rules

_URI = "urn:discord-openapi"
_ID_OR_NUMBER = {"type": ["string", "integer", "null"], "pattern": "^(0|[1-9][0-9]*)$", "minimum": 0}
_BITS_OR_TEXT = {"type": ["integer", "string", "null"], "pattern": "^[0-9]+$", "minimum": 0}
_SCHEMAS = "components/schemas/"
_OF_THREADS = ("archived", "locked", "invitable", "auto_archive_duration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """Replaces one schema of the description (`at`: a slash-separated path, `~1` for a slash in a key)."""

    at: str
    becomes: Mapping[str, Any]
    why: str


def _amend(why: str, becomes: Mapping[str, Any], *places: str) -> tuple[Amendment, ...]:
    return tuple(Amendment(at=place, becomes=becomes, why=why) for place in places)


RELAXATIONS: tuple[Amendment, ...] = (
    *_amend(
        "discord.py sends these ids as JSON numbers; Discord takes both",
        _ID_OR_NUMBER,
        _SCHEMAS + "ChannelPermissionOverwriteRequest/properties/id",
        _SCHEMAS + "MessageReferenceRequest/properties/guild_id",
        _SCHEMAS + "MessageReferenceRequest/properties/channel_id",
        _SCHEMAS + "MessageReferenceRequest/properties/message_id",
        _SCHEMAS + "MessageAttachmentRequest/properties/id",
        "paths/~1channels~1{channel_id}~1messages~1bulk-delete/post/requestBody/content"
        "/application~1json/schema/properties/messages/items",
        _SCHEMAS + "CreateGuildChannelRequest/properties/parent_id",
        _SCHEMAS + "UpdateGuildChannelRequestPartial/properties/parent_id",
        _SCHEMAS + "CreatePrivateChannelRequest/properties/recipient_id",
        "paths/~1guilds~1{guild_id}~1channels/patch/requestBody/content"
        "/application~1json/schema/items/properties/id",
        "paths/~1guilds~1{guild_id}~1channels/patch/requestBody/content"
        "/application~1json/schema/items/properties/parent_id",
        "paths/~1guilds~1{guild_id}~1members~1{user_id}/patch/requestBody/content"
        "/application~1json/schema/properties/roles/items",
    ),
    *_amend(
        "permission bit sets travel as strings, as the description's own README announces",
        _BITS_OR_TEXT,
        _SCHEMAS + "ChannelPermissionOverwriteRequest/properties/allow",
        _SCHEMAS + "ChannelPermissionOverwriteRequest/properties/deny",
        _SCHEMAS + "CreateRoleRequest/properties/permissions",
        _SCHEMAS + "UpdateRoleRequestPartial/properties/permissions",
        "paths/~1channels~1{channel_id}~1permissions~1{overwrite_id}/put/requestBody/content"
        "/application~1json/schema/properties/allow",
        "paths/~1channels~1{channel_id}~1permissions~1{overwrite_id}/put/requestBody/content"
        "/application~1json/schema/properties/deny",
    ),
    *_amend(
        "a field error's code is a word such as BASE_TYPE_REQUIRED (reference page, error messages)",
        {"type": ["integer", "string"]},
        _SCHEMAS + "Error/properties/code",
    ),
)

NARROWINGS: tuple[Amendment, ...] = (
    *_amend(
        "the union's loosest member (a direct conversation's) would let everything pass",
        {
            "if": {"anyOf": [{"required": [key]} for key in _OF_THREADS]},
            "then": {"$ref": "#/" + _SCHEMAS + "UpdateThreadRequestPartial"},
            "else": {"$ref": "#/" + _SCHEMAS + "UpdateGuildChannelRequestPartial"},
        },
        "paths/~1channels~1{channel_id}/patch/requestBody/content/application~1json/schema",
    ),
    *(
        _amend(
            "an interaction's follow-up is a new message, not a webhook's change",
            {"$ref": "#/" + _SCHEMAS + "IncomingWebhookRequestPartial"},
            f"paths/~1webhooks~1{{webhook_id}}~1{{webhook_token}}/post/requestBody/content/{kind}/schema",
        )[0]
        for kind in ("application~1json", "multipart~1form-data")
    ),
)

EXTRA_QUERY: Mapping[tuple[str, str], Mapping[str, str]] = {
    # discord.py marks posts in forums with it; Discord's documents name it, the description does not
    ("POST", "/channels/{channel_id}/threads"): {"use_nested_fields": "^[01]$"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One thing wrong with one exchange. `where` is "request", "answer", "path", "query" or "rule"."""

    where: str
    route: str
    message: str
    by_bot: bool  # the client's fault; else the server's

    def __str__(self) -> str:
        return f"{self.route}: {self.where}: {self.message}"


class OpenApiChecker:
    """Compiles each route's schemas once, and looks at equal values once: a bot registers the same commands
    again and again. `description` None: only the extra rules are checked.
    """

    def __init__(self, description: Mapping[str, Any] | None) -> None:
        self.description = amended(description) if description is not None else None
        self._validators: dict[str, Draft202012Validator] = {}
        self._quick: dict[str, Any] = {}
        self._verdicts: dict[tuple[str, str], bool] = {}
        self._quick_kind = extend(Draft202012Validator, {"$ref": self._known})
        if self.description is not None:
            resource = Resource(contents=self.description, specification=DRAFT202012)
            self._registry: Registry[Any] = Registry().with_resource(_URI, resource)

    def check(self, exchange: Exchange) -> list[Refusal]:
        """All that is wrong with an exchange; nothing, for a good one."""
        route = f"{exchange.method} {exchange.template or exchange.path}"
        found: list[Refusal] = []

        def refuse(where: str, message: str, *, by_bot: bool) -> None:
            found.append(Refusal(where=where, route=route, message=message, by_bot=by_bot))

        for rule in broken_rules(exchange):
            refuse("rule", str(rule), by_bot=rule.by_bot)
        if self.description is None:
            return found
        operation = self._operation(exchange)
        if operation is None:
            refuse("path", "Discord's API has no such route", by_bot=True)
            return found
        pointer, described = operation
        for where, message in self._check_parameters(exchange, pointer, described):
            refuse(where, message, by_bot=True)
        for message in self._check_request(exchange, pointer, described):
            refuse("request", message, by_bot=True)
        if exchange.fault not in ("banned", "server_error", "answer_lost", "hang_up"):
            for message in self._check_answer(exchange, pointer, described):
                refuse("answer", message, by_bot=False)
        return found

    def check_event(self, event: str, data: Any) -> list[Refusal]:
        """All that is wrong with a gateway event."""
        route = f"gateway event {event}"
        found = [
            Refusal(where="event", route=route, message=f"{key} is missing", by_bot=False)
            for key in NEEDED_KEYS.get(event, ())
            if key not in data
        ]
        if self.description is None:
            return found
        for path, schema in EVENT_SHAPES.get(event, {}).items():
            for part in parts(data, path):
                for message in self._faults(_SCHEMAS + schema, part):
                    found.append(Refusal(where="event", route=route, message=message, by_bot=False))
        return found

    def _operation(self, exchange: Exchange) -> tuple[str, Mapping[str, Any]] | None:
        assert self.description is not None
        path = self.description["paths"].get(exchange.template or "")
        if path is None or exchange.method.lower() not in path:
            return None
        method = exchange.method.lower()
        return f"paths/{_escape(exchange.template or '')}/{method}", path[method]

    # parameters

    def _check_parameters(
        self, exchange: Exchange, pointer: str, described: Mapping[str, Any]
    ) -> Iterator[tuple[str, str]]:
        assert self.description is not None
        path_pointer = pointer.rsplit("/", 1)[0]
        shared = self.description["paths"][exchange.template].get("parameters", [])
        known: dict[tuple[str, str], str] = {}
        for base, parameters in ((path_pointer, shared), (pointer, described.get("parameters", []))):
            for index, one in enumerate(parameters):
                known[one["in"], one["name"]] = f"{base}/parameters/{index}/schema"
                if one.get("required") and one["in"] == "query" and one["name"] not in exchange.query:
                    yield "query", f"{one['name']} is required"
        given = [("path", exchange.path_params), ("query", exchange.query)]
        for place, values in given:
            for name, text in values.items():
                extra = EXTRA_QUERY.get((exchange.method, exchange.template or ""), {}).get(name)
                if extra is not None and re.match(extra, text):
                    continue
                if (place, name) not in known:
                    yield place, f"{name} is not in the description"
                elif not any(self._fits(known[place, name], one) for one in _readings(text)):
                    yield place, f"{name}={text!r} is refused"

    def _fits(self, pointer: str, value: Any) -> bool:
        if pointer not in self._quick:
            self._quick[pointer] = self._made(self._quick_kind, pointer)
        return bool(self._quick[pointer].is_valid(value))

    def _known(self, validator: Any, ref: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        """The keyword $ref where only yes or no is wanted. The description is one document, so a reference
        means the same wherever it stands."""
        key = ref, _alike(json.dumps(instance, sort_keys=True))
        if key not in self._verdicts:
            refer = Draft202012Validator.VALIDATORS["$ref"]
            self._verdicts[key] = next(iter(refer(validator, ref, instance, schema)), None) is None
        if not self._verdicts[key]:
            yield ValidationError("refused")

    # bodies

    def _check_request(self, exchange: Exchange, pointer: str, described: Mapping[str, Any]) -> Iterator[str]:
        body = described.get("requestBody")
        if body is None:
            if exchange.request_body not in (None, {}):
                yield "no body is described here"
            return
        if exchange.request_body is None:
            if body.get("required"):
                yield "a body is required"
            return
        kinds = body["content"]
        kind = exchange.content_type
        if kind not in kinds:
            yield f"content type {kind!r} is not among {sorted(kinds)}"
            return
        yield from self._faults(
            f"{pointer}/requestBody/content/{_escape(kind)}/schema", exchange.request_body
        )

    def _check_answer(self, exchange: Exchange, pointer: str, described: Mapping[str, Any]) -> Iterator[str]:
        status = str(exchange.status)
        described_as = next(
            (one for one in (status, f"{status[0]}XX") if one in described["responses"]), None
        )
        if described_as is None:
            yield f"status {status} is not among {sorted(described['responses'])}"
            return
        answer_pointer = f"{pointer}/responses/{described_as}"
        answer = described["responses"][described_as]
        if "$ref" in answer:
            answer_pointer = answer["$ref"].removeprefix("#/")
            answer = self._at(answer_pointer)
        content = answer.get("content", {})
        if not content:
            if exchange.response_body not in (None, ""):
                yield f"status {status} has no body, but one was sent"
            return
        if exchange.response_headers.get("Content-Type") != "application/json":
            yield "the content type must be exactly application/json"
            return
        yield from self._faults(f"{answer_pointer}/content/application~1json/schema", exchange.response_body)

    def _at(self, pointer: str) -> Mapping[str, Any]:
        node: Any = self.description
        for key in pointer.split("/"):
            node = node[_unescape(key)]
        return node

    def _faults(self, pointer: str, value: Any) -> Iterator[str]:
        if self._fits(pointer, value):
            return
        error = best_match(self._validator(pointer).iter_errors(value))
        assert error is not None
        yield f"{error.json_path}: {error.message[:400]}"

    def _validator(self, pointer: str) -> Draft202012Validator:
        if pointer not in self._validators:
            self._validators[pointer] = self._made(Draft202012Validator, pointer)
        return self._validators[pointer]

    def _made(self, kind: Any, pointer: str) -> Any:
        return kind({"$ref": f"{_URI}#/{_quote(pointer)}"}, registry=self._registry, format_checker=FORMATS)


class ExchangeChecker:
    """Collects refusals of every exchange a server reports; `verify` raises them."""

    def __init__(self, openapi: OpenApiChecker) -> None:
        self._openapi = openapi
        self._expecting = 0
        self.refusals: list[Refusal] = []
        self.expected: list[Refusal] = []
        self.exchanges: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        for refusal in self._openapi.check(exchange):
            wrong_on_purpose = self._expecting and refusal.by_bot
            (self.expected if wrong_on_purpose else self.refusals).append(refusal)

    def see_event(self, event: str, data: Any) -> None:
        self.refusals.extend(self._openapi.check_event(event, data))

    @contextmanager
    def wrong_requests(self) -> Iterator[list[Refusal]]:
        """Requests sent within may be wrong: what they are refused for is given, not raised."""
        self._expecting += 1
        before = len(self.expected)
        caught: list[Refusal] = []
        try:
            yield caught
        finally:
            self._expecting -= 1
            caught.extend(self.expected[before:])

    def requests(self, method: str, template: str) -> list[Exchange]:
        return [one for one in self.exchanges if (one.method, one.template) == (method, template)]

    def verify(self) -> None:
        if self.refusals:
            listed = "\n  ".join(dict.fromkeys(str(one) for one in self.refusals))
            raise AssertionError(f"Discord's API description refuses:\n  {listed}")


def amended(description: Mapping[str, Any]) -> dict[str, Any]:
    """The description with the amendments put in. Raises KeyError when one's place is gone."""
    changed = copy.deepcopy(dict(description))
    for one in (*RELAXATIONS, *NARROWINGS):
        *parents, last = (_unescape(key) for key in one.at.split("/"))
        node: Any = changed
        for key in parents:
            node = node[key]
        if last not in node:
            raise KeyError(one.at)
        node[last] = dict(one.becomes)
    return changed


_IDS_AND_TIMES = re.compile(
    r'"(?:(?P<id>[1-9]\d{16,18})|20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])'
    r'T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}\+00:00)"'
)


def _alike(text: str) -> str:
    """JSON whose ids and times are numbered as they come: no schema tells one of them from another, but each
    message has its own. What is the same twice stays so."""
    seen: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return seen.setdefault(found[0], f"<{'id' if found['id'] else 'time'} {len(seen)}>")

    return _IDS_AND_TIMES.sub(number, text)


def _readings(text: str) -> Iterator[Any]:
    """What a path or query value may mean: text, a number, a boolean (also as 0 or 1)."""
    yield text
    if re.fullmatch(r"-?\d+", text):
        yield int(text)
    if text.lower() in ("0", "1", "true", "false"):  # discord.py writes booleans as 0 and 1
        yield text.lower() in ("1", "true")
    yield [text]


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unescape(key: str) -> str:
    return key.replace("~1", "/").replace("~0", "~")


def _quote(pointer: str) -> str:
    return pointer.replace("{", "%7B").replace("}", "%7D")


FORMATS = FormatChecker(formats=())


def _checks(name: str) -> Callable[[Callable[[Any], bool]], Callable[[Any], bool]]:
    return FORMATS.checks(name, raises=ValueError)


@_checks("date-time")
def _is_time(value: Any) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_checks("uri")
def _is_uri(value: Any) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


@_checks("int32")
def _is_int32(value: Any) -> bool:
    return not isinstance(value, int) or -(1 << 31) <= value < 1 << 32


__all__ = ["EXTRA_QUERY", "NARROWINGS", "RELAXATIONS", "ExchangeChecker", "OpenApiChecker", "Refusal", "Rule"]
