"""PURE: a modal's fields as a form shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.localguild.components import Kind
from bot.web.dashboard.chat.markup import Names, to_html
from bot.web.dashboard.chat.posts import Choice, component_of

Json = Mapping[str, Any]
_LONG = 2  # a text input's style: a paragraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """`id`: the custom id. `text`: HTML of a field that only tells something."""

    id: str = ""
    label: str = ""
    description: str = ""
    value: str = ""
    placeholder: str = ""
    required: bool = False
    long: bool = False
    most: int = 4000
    choices: tuple[Choice, ...] = ()
    text: str = ""


def fields_of(modal: Json, names: Names) -> tuple[Field, ...]:
    fields = []
    for part in modal["components"]:
        if part["type"] == Kind.LABEL:
            fields.append(_field(part["component"], part["label"], part.get("description", "")))
        elif part["type"] == Kind.ACTION_ROW:
            fields += [_field(one, one.get("label", ""), "") for one in part["components"]]
        elif part["type"] == Kind.TEXT_DISPLAY:
            fields.append(Field(text=to_html(part["content"], names)))
    return tuple(fields)


def _field(one: Json, label: str, description: str) -> Field:
    if one["type"] == Kind.TEXT_INPUT:
        return Field(
            id=one["custom_id"],
            label=label,
            description=description,
            value=one.get("value", ""),
            placeholder=one.get("placeholder", ""),
            required=bool(one.get("required", True)),
            long=one.get("style") == _LONG,
            most=int(one.get("max_length") or 4000),
        )
    select = component_of(one)
    return Field(
        id=one["custom_id"],
        label=label,
        description=description,
        placeholder="" if select is None else select.label,
        required=bool(one.get("required", True)),
        choices=() if select is None else select.choices,
    )
