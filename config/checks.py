"""Turns merged layers into models, and pydantic's complaints into sentences with a place."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from config.document import KeyPath, dotted
from config.fields import near
from config.problems import Mark, Problem
from config.section import LATER
from config.settings import GlobalSettings, ProjectSettings

Marks = Mapping[KeyPath, Mark]


@cache
def sections_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The fields of a model that are models themselves."""
    found = {}
    for name, info in model.model_fields.items():
        kinds = get_args(info.annotation) if _is_union(info.annotation) else (info.annotation,)
        for kind in kinds:
            if _is_section(kind):
                found[name] = kind
    return found


def _section_below(model: type[BaseModel], part: str) -> type[BaseModel]:
    """What stands below a key: a section, or named ones of a kind; the model itself for anything else."""
    if part in (sections := sections_of(model)):
        return sections[part]
    values = get_args(model.model_fields[part].annotation) if part in model.model_fields else ()
    return next((kind for kind in values if _is_section(kind)), model)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def without_empty_sections(model: type[BaseModel], data: Mapping[str, Any]) -> dict[str, Any]:
    """`resource_limits:` with nothing below it is null in YAML and means the defaults."""
    fields = model.model_fields
    return {
        key: value
        for key, value in data.items()
        if value is not None or key not in fields or not _is_section(fields[key].annotation)
    }


def set_later(model: type[BaseModel], data: Mapping[str, Any]) -> Iterator[str]:
    """Dotted keys in `data` whose feature is not there yet."""
    sections = sections_of(model)
    for key, value in data.items():
        info = model.model_fields.get(key)
        if info is None or value is None:
            continue
        if _is_later(info):
            inner = value if key in sections and isinstance(value, Mapping) else None
            yield from (f"{key}.{name}" for name in inner) if inner else (key,)
        elif key in sections and isinstance(value, Mapping):
            yield from (f"{key}.{name}" for name in set_later(sections[key], value))


def _is_later(info: FieldInfo) -> bool:
    return info.json_schema_extra == LATER


def problems_of(
    error: ValidationError, model: type[BaseModel], prefix: KeyPath, marks: Marks, fallback: Mark
) -> Iterator[Problem]:
    """One Problem for each complaint, at its key or the nearest thing around it that has a place."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]:
            continue  # its items are wrong, and each says so itself
        path: KeyPath = (*prefix, *detail["loc"])
        sentence = _sentence(dict(detail), model, detail["loc"])
        yield Problem(mark=nearest_mark(path, marks, fallback), key=dotted(path), sentence=sentence)


def nearest_mark(path: KeyPath, marks: Marks, fallback: Mark) -> Mark:
    for length in range(len(path), 0, -1):
        if found := marks.get(path[:length]):
            return found
    return fallback


def _sentence(detail: dict[str, Any], model: type[BaseModel], place: KeyPath) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(model, place)
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is missing"
    expected = _EXPECTED.get(kind)
    if expected is None:
        expected = str(detail["msg"]).removeprefix("Input ").removeprefix("Value ")
    bounds = {key: f"{value:g}" if isinstance(value, float) else value for key, value in context.items()}
    wanted = expected.format(**bounds)
    hint = ""
    if kind in ("literal_error", "enum") and isinstance(detail["input"], str):
        hint = near(detail["input"], [word.strip("' ") for word in wanted.replace(" or ", ", ").split(",")])
    return f"{wanted}, not {_shown(detail['input'])}{hint}"


_EXPECTED = {
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "string_type": "should be text (in quotes, if it looks like something else)",
    "model_type": "should hold keys and values",
    "model_attributes_type": "should hold keys and values",
    "dict_type": "should hold keys and values",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
    "greater_than": "should be more than {gt}",
    "less_than": "should be less than {lt}",
    "literal_error": "should be {expected}",
    "enum": "should be {expected}",
    "string_too_long": "should have at most {max_length} characters",
    "too_short": "should name at least {min_length}",
    "too_long": "should name at most {max_length}",
}


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unknown_key(model: type[BaseModel], place: KeyPath) -> str:
    """Names the section that does know the key, else the nearest key of its own section."""
    for part in place[:-1]:
        model = _section_below(model, str(part))
    key = str(place[-1])
    for home, where in ((ProjectSettings, "projects.<name>"), (GlobalSettings, "global")):
        if home is not model and key in home.model_fields:
            return f"no such key here (it belongs under {where})"
        for name, section in sections_of(home).items():
            if section is not model and key in section.model_fields:
                return f"no such key here (it belongs under {where}.{name})"
    if hint := near(key, model.model_fields):
        return f"no such key{hint}"
    return f"no such key; known are {', '.join(model.model_fields)}"
