"""Filling a command's options as the Discord client does: refused before anything is sent. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.localguild.commands import OptionType
from bot.localguild.model import Json

_NESTED = (OptionType.SUB_COMMAND, OptionType.SUB_COMMAND_GROUP)
_MAX_STRING = 6000
_BIGGEST = 2**53


class CannotDo(Exception):
    """A person tried what the Discord client would not let them do."""


Resolve = Callable[[OptionType, Any], tuple[str, Json]]
"""Find what a value names, for an option type of users, channels, roles, mentionables or attachments:
its id and the `resolved` entry, as {"users": {id: {...}}}. Raises CannotDo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledCommand:
    options: list[Json]
    resolved: Json
    focused_type: int | None = None


def find_leaf(command: Json, path: Sequence[str]) -> tuple[Json, list[Json]]:
    """The sub-command that a typed path names, with the options on the way. Raises CannotDo."""
    node, way = command, []
    for word in path:
        children = {one["name"]: one for one in node.get("options", ()) if one["type"] in _NESTED}
        if word not in children:
            raise CannotDo(f"/{command['name']} has no sub-command {word!r}; it has {sorted(children)}")
        node = children[word]
        way.append(node)
    nested = [one["name"] for one in node.get("options", ()) if one["type"] in _NESTED]
    if nested:
        raise CannotDo(f"/{' '.join([command['name'], *path])} needs one of the sub-commands {nested}")
    return node, way


def fill(
    command: Json,
    path: Sequence[str],
    values: Mapping[str, Any],
    resolve: Resolve,
    *,
    focused: str | None = None,
) -> FilledCommand:
    """The options as an interaction carries them. With `focused` (autocomplete) required ones may lack."""
    leaf, way = find_leaf(command, path)
    known = {one["name"]: one for one in leaf.get("options", ())}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise CannotDo(f"no option {unknown}; there are {sorted(known)}")
    missing = [name for name, one in known.items() if one.get("required") and name not in values]
    if missing and focused is None:
        raise CannotDo(f"required option {missing} is missing")
    filled: list[Json] = []
    resolved: Json = {}
    for name, option in known.items():
        if name not in values:
            continue
        one, about = _fill_option(option, values[name], resolve, loose=focused is not None)
        for kind, entries in about.items():
            resolved.setdefault(kind, {}).update(entries)
        if name == focused:
            one["focused"] = True
        filled.append(one)
    if focused is not None and not known.get(focused, {}).get("autocomplete"):
        raise CannotDo(f"option {focused!r} does not autocomplete")
    for step in reversed(way):
        filled = [{"name": step["name"], "type": step["type"], "options": filled}]
    focused_type = known[focused]["type"] if focused is not None else None
    return FilledCommand(options=filled, resolved=resolved, focused_type=focused_type)


def _fill_option(option: Json, value: Any, resolve: Resolve, *, loose: bool) -> tuple[Json, Json]:
    kind, name = OptionType(option["type"]), option["name"]
    resolved: Json = {}
    if not (loose and option.get("autocomplete")):
        value = _convert(kind, name, value)
        _check_bounds(option, kind, value)
    if kind in (
        OptionType.USER,
        OptionType.CHANNEL,
        OptionType.ROLE,
        OptionType.MENTIONABLE,
        OptionType.ATTACHMENT,
    ):
        value, resolved = resolve(kind, value)
        _check_channel_type(option, value, resolved)
    return {"name": name, "type": int(kind), "value": value}, resolved


def _convert(kind: OptionType, name: str, value: Any) -> Any:
    """The value as the option's type, from what a person types (text) or a script passes."""
    try:
        match kind:
            case OptionType.STRING:
                if not isinstance(value, str):
                    raise ValueError
                return value.strip()
            case OptionType.INTEGER:
                number = int(value)
                if isinstance(value, bool) or abs(number) > _BIGGEST or number != float(value):
                    raise ValueError
                return number
            case OptionType.NUMBER:
                if isinstance(value, bool):
                    raise ValueError
                return float(value)
            case OptionType.BOOLEAN:
                return value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise CannotDo(f"option {name!r} wants {kind.name.lower()}, not {value!r}") from None
    return value


def _check_bounds(option: Json, kind: OptionType, value: Any) -> None:
    name = option["name"]
    choices = option.get("choices")
    if choices:
        allowed = [one["value"] for one in choices]
        if value not in allowed:
            raise CannotDo(f"option {name!r} is one of {allowed}, not {value!r}")
    if kind is OptionType.STRING:
        if not option.get("min_length", 1) <= len(value) <= option.get("max_length", _MAX_STRING):
            raise CannotDo(f"option {name!r} has the wrong length ({len(value)} characters)")
    elif kind in (OptionType.INTEGER, OptionType.NUMBER):
        lowest, highest = option.get("min_value", -_BIGGEST), option.get("max_value", _BIGGEST)
        if not lowest <= value <= highest:
            raise CannotDo(f"option {name!r} must be between {lowest} and {highest}, not {value}")


def _check_channel_type(option: Json, value: str, resolved: Json) -> None:
    allowed = option.get("channel_types")
    channel = resolved.get("channels", {}).get(value)
    if allowed and channel and channel["type"] not in allowed:
        raise CannotDo(f"option {option['name']!r} does not take a channel of type {channel['type']}")
