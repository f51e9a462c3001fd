"""Application commands: what may be registered, and the book of what is. Pure.

https://docs.discord.com/developers/interactions/application-commands
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any

from bot.localguild.errors import ApiError, refusal
from bot.localguild.forms import Problems, Reader
from bot.localguild.model import Json


class CommandType(IntEnum):
    CHAT_INPUT = 1
    USER = 2
    MESSAGE = 3


class OptionType(IntEnum):
    SUB_COMMAND = 1
    SUB_COMMAND_GROUP = 2
    STRING = 3
    INTEGER = 4
    BOOLEAN = 5
    USER = 6
    CHANNEL = 7
    ROLE = 8
    MENTIONABLE = 9
    NUMBER = 10
    ATTACHMENT = 11


MAX_COMMANDS = {CommandType.CHAT_INPUT: 100, CommandType.USER: 15, CommandType.MESSAGE: 15}
MAX_CHARACTERS = 8000  # names, descriptions and values of one command
MAX_CREATES_A_DAY = 200
_NESTED = (OptionType.SUB_COMMAND, OptionType.SUB_COMMAND_GROUP)
_WITH_CHOICES = (OptionType.STRING, OptionType.INTEGER, OptionType.NUMBER)
_NAME = re.compile(r"[-_'\w]{1,32}")  # with `_is_name`: Discord's ^[-_'\p{L}\p{N}\p{Deva}\p{Thai}]{1,32}$
_MAX_DEPTH = 2


def _is_name(name: str) -> bool:
    letters = all(unicodedata.category(one)[0] in "LNM" or one in "-_'" for one in name)
    return bool(_NAME.fullmatch(name)) and letters and name == name.lower()


def read_command(form: Reader) -> Json:
    """A command body as the registry answers it (without ids); faults go to the form's problems."""
    kind = CommandType(form.choice("type", (1, 2, 3)))
    name = form.text("name", minimum=1, maximum=32, required=True)
    shown: Json = {"type": int(kind), "name": name, "description": ""}
    if kind is CommandType.CHAT_INPUT:
        if name and not _is_name(name):
            form.fail(("name",), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
        shown["description"] = form.text("description", minimum=1, maximum=100, required=True)
        options = [_read_option(one, 0) for one in form.objects("options", maximum=25)]
        _check_options(form, options)
        if options:
            shown["options"] = options
    else:
        for key in ("description", "options"):
            if form.body.get(key):
                message = "Context menu commands cannot have description or options"
                form.fail((key,), "APPLICATION_COMMAND_CONTEXT_MENU_FIELD", message)
    permissions = form.body.get("default_member_permissions")
    shown |= {
        "default_member_permissions": None if permissions is None else str(permissions),
        "dm_permission": form.boolean("dm_permission", default=True),
        "contexts": form.body.get("contexts"),
        "integration_types": form.body.get("integration_types") or [0],
        "nsfw": form.boolean("nsfw"),
    }
    for key in ("name_localizations", "description_localizations"):
        shown[key] = form.body.get(key)
    if sum(_characters(shown)) > MAX_CHARACTERS:
        message = f"Command exceeds maximum size ({MAX_CHARACTERS})"
        form.fail((), "APPLICATION_COMMAND_TOO_LARGE", message)
    return shown


def _characters(shown: Json) -> Iterator[int]:
    yield len(shown["name"]) + len(shown.get("description", ""))
    for choice in shown.get("choices", ()):
        yield len(choice["name"]) + len(str(choice["value"]))
    for option in shown.get("options", ()):
        yield from _characters(option)


def _read_option(one: Reader, depth: int) -> Json:
    allowed = [int(kind) for kind in OptionType]
    kind = OptionType(one.choice("type", allowed, required=True, default=3))
    name = one.text("name", minimum=1, maximum=32, required=True)
    if name and not _is_name(name):
        one.fail(("name",), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    shown: Json = {
        "type": int(kind),
        "name": name,
        "description": one.text("description", minimum=1, maximum=100, required=True),
    }
    if kind in _NESTED:
        if depth >= _MAX_DEPTH or (kind is OptionType.SUB_COMMAND_GROUP and depth > 0):
            message = "Sub-commands cannot be nested any deeper"
            one.fail(("type",), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)
            return shown
        options = [_read_option(each, depth + 1) for each in one.objects("options", maximum=25)]
        _check_options(one, options)
        return shown | {"options": options}
    if one.boolean("required"):
        shown["required"] = True
    return shown | _read_bounds(one, kind)


def _read_bounds(one: Reader, kind: OptionType) -> Json:
    shown: Json = {}
    choices = [_read_choice(each, kind) for each in one.objects("choices", maximum=25)]
    if choices and kind not in _WITH_CHOICES:
        message = "Choices are not allowed for this option type"
        one.fail(("choices",), "APPLICATION_COMMAND_OPTIONS_CHOICES_INVALID", message)
    if one.boolean("autocomplete"):
        shown["autocomplete"] = True
        if choices or kind not in _WITH_CHOICES:
            message = "Autocomplete and choices are mutually exclusive"
            one.fail(("autocomplete",), "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", message)
    if choices:
        shown["choices"] = choices
    if kind is OptionType.STRING:
        for key, minimum in (("min_length", 0), ("max_length", 1)):
            if one.given(key):
                shown[key] = one.integer(key, minimum=minimum, maximum=6000)
    if kind in (OptionType.INTEGER, OptionType.NUMBER):
        shown |= {key: one.body[key] for key in ("min_value", "max_value") if one.given(key)}
    if kind is OptionType.CHANNEL and one.given("channel_types"):
        shown["channel_types"] = one.items("channel_types")
    return shown


def _read_choice(each: Reader, kind: OptionType) -> Json:
    value = each.body.get("value")
    fits = {
        OptionType.STRING: isinstance(value, str) and 1 <= len(value) <= 100,
        OptionType.INTEGER: isinstance(value, int) and not isinstance(value, bool),
        OptionType.NUMBER: isinstance(value, int | float) and not isinstance(value, bool),
    }
    if not fits.get(kind, True):
        each.fail(("value",), "APPLICATION_COMMAND_OPTIONS_CHOICE_VALUE_INVALID", "Choice value is invalid")
    return {"name": each.text("name", minimum=1, maximum=100, required=True), "value": value}


def _check_options(form: Reader, options: Sequence[Json]) -> None:
    seen: set[str] = set()
    optional_came = False
    for index, option in enumerate(options):
        path = ("options", index)
        if option["name"] in seen:
            code = "APPLICATION_COMMAND_OPTIONS_NAME_INVALID"
            form.fail((*path, "name"), code, "Option name must be unique")
        seen.add(option["name"])
        if option.get("required") and optional_came:
            message = "Required options must be placed before non-required options"
            form.fail(path, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional_came |= not option.get("required")
    nested = [option["type"] in _NESTED for option in options]
    if any(nested) and not all(nested):
        message = "Sub-command and sub-command group option types are mutually exclusive to all other types"
        form.fail(("options",), "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)


Scope = int | None  # a guild's id, or None for global commands


class CommandBook:
    """The registered commands, by scope. Ids survive an overwrite that keeps the name."""

    def __init__(self, new_id: Callable[[], int], application_id: int) -> None:
        self._new_id = new_id
        self._application_id = application_id
        self._commands: dict[Scope, dict[tuple[int, str], Json]] = {}
        self._creates: dict[Scope, int] = {}

    def listing(self, scope: Scope) -> list[Json]:
        return list(self._commands.get(scope, {}).values())

    def get(self, scope: Scope, command_id: int) -> Json:
        for command in self.listing(scope):
            if command["id"] == str(command_id):
                return command
        raise refusal(10063)

    def overwrite(self, scope: Scope, bodies: Any) -> list[Json]:
        """Replace all commands of a scope, or none: raises ApiError with every fault."""
        if not isinstance(bodies, list):
            raise _not_a_list()
        problems = Problems()
        wanted: dict[tuple[int, str], Json] = {}
        for index, body in enumerate(bodies):
            command = read_command(Reader(body, problems, (index,)))
            key = (command["type"], command["name"])
            if key in wanted:
                message = "Application command names must be unique"
                problems.add((index,), "APPLICATION_COMMANDS_DUPLICATE_NAME", message)
            wanted[key] = command
        problems.raise_if_any()
        self._check_counts(wanted.values())
        old = self._commands.get(scope, {})
        fresh = [key for key in wanted if key not in old]
        self._count_creates(scope, len(fresh))
        self._commands[scope] = {
            key: self._registered(scope, command, old.get(key)) for key, command in wanted.items()
        }
        return self.listing(scope)

    def upsert(self, scope: Scope, body: Any) -> tuple[Json, bool]:
        """Add one command; one of the same name is replaced. True: it is new."""
        form = Reader(body)
        command = read_command(form)
        form.problems.raise_if_any()
        held = self._commands.setdefault(scope, {})
        key = (command["type"], command["name"])
        old = held.get(key)
        if old is None:
            self._check_counts([*held.values(), command])
            self._count_creates(scope, 1)
        held[key] = self._registered(scope, command, old)
        return held[key], old is None

    def edit(self, scope: Scope, command_id: int, body: Any) -> Json:
        old = self.get(scope, command_id)
        form = Reader({**old, **(body if isinstance(body, dict) else {})})
        command = read_command(form)
        form.problems.raise_if_any()
        held = self._commands[scope]
        del held[old["type"], old["name"]]
        held[command["type"], command["name"]] = renewed = self._registered(scope, command, old)
        return renewed

    def delete(self, scope: Scope, command_id: int) -> None:
        old = self.get(scope, command_id)
        del self._commands[scope][old["type"], old["name"]]

    def _registered(self, scope: Scope, command: Json, old: Json | None) -> Json:
        ids: Json = {
            "id": old["id"] if old else str(self._new_id()),
            "application_id": str(self._application_id),
            "version": str(self._new_id()),
        }
        if scope is not None:
            ids["guild_id"] = str(scope)
            command = {key: value for key, value in command.items() if key != "dm_permission"}
        return ids | command

    def _check_counts(self, commands: Any) -> None:
        kinds = [command["type"] for command in commands]
        for kind, maximum in MAX_COMMANDS.items():
            if kinds.count(kind) > maximum:
                error = refusal(30032)
                error.message = f"Maximum number of application commands reached ({maximum})."
                raise error

    def _count_creates(self, scope: Scope, count: int) -> None:
        if self._creates.get(scope, 0) + count > MAX_CREATES_A_DAY:
            raise refusal(30034)
        self._creates[scope] = self._creates.get(scope, 0) + count


def _not_a_list() -> ApiError:
    error = refusal(50035)
    message = "Only iterables may be used in a ListType"
    error.errors = {"_errors": [{"code": "LIST_TYPE_CONVERT", "message": message}]}
    return error
