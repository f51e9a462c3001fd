"""Buttons, selects and modals: what is allowed, and how Discord hands them back. Pure.

Limits: https://docs.discord.com/developers/components/reference
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from bot.localguild.forms import Reader
from bot.localguild.model import Json


class Kind(IntEnum):
    ACTION_ROW = 1
    BUTTON = 2
    STRING_SELECT = 3
    TEXT_INPUT = 4
    USER_SELECT = 5
    ROLE_SELECT = 6
    MENTIONABLE_SELECT = 7
    CHANNEL_SELECT = 8
    SECTION = 9
    TEXT_DISPLAY = 10
    THUMBNAIL = 11
    MEDIA_GALLERY = 12
    FILE = 13
    SEPARATOR = 14
    CONTAINER = 17
    LABEL = 18


SELECTS = (
    Kind.STRING_SELECT,
    Kind.USER_SELECT,
    Kind.ROLE_SELECT,
    Kind.MENTIONABLE_SELECT,
    Kind.CHANNEL_SELECT,
)
_LAYOUT_V2 = (
    Kind.ACTION_ROW,
    Kind.SECTION,
    Kind.TEXT_DISPLAY,
    Kind.MEDIA_GALLERY,
    Kind.FILE,
    Kind.SEPARATOR,
    Kind.CONTAINER,
)
_IN_CONTAINER = tuple(kind for kind in _LAYOUT_V2 if kind is not Kind.CONTAINER)
_LINK_BUTTON, _PREMIUM_BUTTON = 5, 6
MAX_ROWS = 5
MAX_COMPONENTS_V2 = 40
MAX_TEXT_V2 = 4000  # characters over all text displays of a message


def walk(components: Iterable[Json]) -> Iterator[Json]:
    """Every component of a tree, parents first."""
    for one in components:
        yield one
        yield from walk(one.get("components") or ())
        for key in ("component", "accessory"):
            if isinstance(one.get(key), dict):
                yield from walk((one[key],))


def read_message_components(form: Reader, *, version_2: bool) -> list[Json]:
    """A message's components with ids given; faults go to the form's problems."""
    if version_2:
        top = form.objects("components", maximum=MAX_COMPONENTS_V2)
        tree = [_read(one, _LAYOUT_V2) for one in top]
        _check_version_2(form, tree)
    else:
        tree = [_read(one, (Kind.ACTION_ROW,)) for one in form.objects("components", maximum=MAX_ROWS)]
    _check_unique_custom_ids(form, tree)
    _number(tree)
    return tree


def _check_version_2(form: Reader, tree: list[Json]) -> None:
    everything = list(walk(tree))
    if len(everything) > MAX_COMPONENTS_V2:
        message = f"Must be {MAX_COMPONENTS_V2} or fewer in length."
        form.fail(("components",), "BASE_TYPE_MAX_LENGTH", message)
    characters = sum(len(one["content"]) for one in everything if one["type"] == Kind.TEXT_DISPLAY)
    if characters > MAX_TEXT_V2:
        message = "The total size of displayable text in components exceeds the maximum size of 4000"
        form.fail(("components",), "COMPONENT_MAX_DISPLAYABLE_TEXT_SIZE_EXCEEDED", message)


def _check_unique_custom_ids(form: Reader, tree: list[Json]) -> None:
    seen: set[str] = set()
    for row, top in enumerate(tree):
        for place, one in enumerate(walk((top,))):
            custom_id = one.get("custom_id")
            if custom_id is None:
                continue
            if custom_id in seen:
                path = ("components", row, "components", max(place - 1, 0), "custom_id")
                message = "Component custom id cannot be duplicated"
                form.fail(path, "COMPONENT_CUSTOM_ID_DUPLICATED", message)
            seen.add(custom_id)


def _number(tree: list[Json]) -> None:
    """Give an id to each component that has none: sequential within the message, as documented."""
    taken = {one["id"] for one in walk(tree) if one.get("id")}
    following = 1
    for one in walk(tree):
        if not one.get("id"):
            while following in taken:
                following += 1
            one["id"] = following
            taken.add(following)


def _read(one: Reader, allowed: tuple[Kind, ...]) -> Json:
    kind = Kind(one.choice("type", [int(each) for each in allowed], required=True))
    shown: Json = {"type": int(kind), "id": one.integer("id", minimum=0)}
    if kind in SELECTS:
        return shown | _read_select(one, kind)
    match kind:
        case Kind.ACTION_ROW:
            shown["components"] = _read_row(one)
        case Kind.BUTTON:
            shown |= _read_button(one)
        case Kind.SECTION:
            parts = one.objects("components", minimum=1, maximum=3)
            shown["components"] = [_read(each, (Kind.TEXT_DISPLAY,)) for each in parts]
            accessory = one.object("accessory", required=True)
            shown["accessory"] = _read(accessory, (Kind.BUTTON, Kind.THUMBNAIL)) if accessory else {"type": 2}
        case Kind.TEXT_DISPLAY:
            shown["content"] = one.text("content", minimum=1, maximum=MAX_TEXT_V2, required=True)
        case Kind.CONTAINER:
            color = one.integer("accent_color", minimum=0, maximum=0xFFFFFF)
            shown["accent_color"] = color if one.given("accent_color") else None
            shown["spoiler"] = one.boolean("spoiler")
            inner = one.objects("components", minimum=1, maximum=MAX_COMPONENTS_V2)
            shown["components"] = [_read(each, _IN_CONTAINER) for each in inner]
        case Kind.SEPARATOR:
            shown["divider"] = one.boolean("divider", default=True)
            shown["spacing"] = one.choice("spacing", (1, 2))
        case _:  # thumbnails, galleries, files: kept as given, they carry media and no behaviour
            shown |= {key: value for key, value in one.body.items() if key not in shown and value is not None}
    return shown


def _read_row(row: Reader) -> list[Json]:
    parts = row.objects("components", minimum=1, maximum=5)
    found = [_read(each, (Kind.BUTTON, *SELECTS)) for each in parts]
    if any(one["type"] in SELECTS for one in found) and len(found) > 1:
        message = "The specified component exceeds the maximum width"
        row.fail(("components",), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", message)
    return found


def _read_button(one: Reader) -> Json:
    shown: Json = {"style": one.choice("style", (1, 2, 3, 4, 5, 6), required=True)}
    if one.given("label"):
        shown["label"] = one.text("label", maximum=80)
    if one.given("emoji"):
        shown["emoji"] = one.body["emoji"]
    if one.boolean("disabled"):
        shown["disabled"] = True
    if shown["style"] == _LINK_BUTTON:
        shown["url"] = one.text("url", minimum=1, maximum=512, required=True)
        if one.given("custom_id"):
            message = "A custom id and url cannot both be specified"
            one.fail(("custom_id",), "BUTTON_COMPONENT_CUSTOM_ID_AND_URL", message)
    elif shown["style"] != _PREMIUM_BUTTON:
        shown["custom_id"] = one.text("custom_id", minimum=1, maximum=100, required=True)
        if one.given("url"):
            one.fail(("url",), "BUTTON_COMPONENT_INVALID_URL", "A url cannot be set on this button")
    if shown["style"] != _PREMIUM_BUTTON and not shown.get("label") and not shown.get("emoji"):
        one.fail(("label",), "BUTTON_COMPONENT_INVALID_LABEL", "A label or emoji is required")
    return shown


def _read_select(one: Reader, kind: Kind) -> Json:
    shown: Json = {
        "custom_id": one.text("custom_id", minimum=1, maximum=100, required=True),
        "min_values": one.integer("min_values", minimum=0, maximum=25, default=1),
        "max_values": one.integer("max_values", minimum=1, maximum=25, default=1),
    }
    if one.given("placeholder"):
        shown["placeholder"] = one.text("placeholder", maximum=150)
    if one.boolean("disabled"):
        shown["disabled"] = True
    if kind is Kind.STRING_SELECT:
        shown["options"] = _read_choices(one, shown)
    for key in ("default_values", "channel_types"):
        if one.given(key):
            shown[key] = one.body[key]
    if shown["min_values"] > shown["max_values"]:
        message = f"int value should be less than or equal to {shown['max_values']}."
        one.fail(("min_values",), "NUMBER_TYPE_MAX", message)
    return shown


def _read_choices(one: Reader, select: Json) -> list[Json]:
    shown: list[Json] = []
    for each in one.objects("options", minimum=1, maximum=25):
        option: Json = {
            "label": each.text("label", minimum=1, maximum=100, required=True),
            "value": each.text("value", minimum=1, maximum=100, required=True),
        }
        if each.given("description"):
            option["description"] = each.text("description", maximum=100)
        if each.given("emoji"):
            option["emoji"] = each.body["emoji"]
        if each.boolean("default"):
            option["default"] = True
        if any(other["value"] == option["value"] for other in shown):
            message = "The specified option value is already used"
            each.fail(("value",), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", message)
        shown.append(option)
    if shown and select["max_values"] > len(shown):
        message = f"int value should be less than or equal to {len(shown)}."
        one.fail(("max_values",), "NUMBER_TYPE_MAX", message)
    return shown


def read_modal(data: Reader) -> Json:
    """A modal's title and inputs (rows or labels), ids given; faults go to the problems."""
    modal: Json = {
        "custom_id": data.text("custom_id", minimum=1, maximum=100, required=True),
        "title": data.text("title", minimum=1, maximum=45, required=True),
    }
    tree = [_read_modal_part(each) for each in data.objects("components", minimum=1, maximum=5)]
    _check_unique_custom_ids(data, tree)
    _number(tree)
    return modal | {"components": tree}


def _read_modal_part(one: Reader) -> Json:
    kind = one.choice("type", (Kind.ACTION_ROW, Kind.LABEL, Kind.TEXT_DISPLAY), required=True)
    shown: Json = {"type": kind, "id": one.integer("id", minimum=0)}
    if kind == Kind.TEXT_DISPLAY:
        return shown | {"content": one.text("content", minimum=1, maximum=MAX_TEXT_V2, required=True)}
    if kind == Kind.ACTION_ROW:
        inputs = one.objects("components", minimum=1, maximum=1)
        return shown | {"components": [_read_input(each, label_required=True) for each in inputs]}
    shown["label"] = one.text("label", minimum=1, maximum=45, required=True)
    if one.given("description"):
        shown["description"] = one.text("description", minimum=1, maximum=100)
    inner = one.object("component", required=True)
    if inner is not None:
        is_select = inner.body.get("type") in SELECTS
        shown["component"] = _read_modal_select(inner) if is_select else _read_input(inner)
    return shown


def _read_modal_select(one: Reader) -> Json:
    shown = _read(one, SELECTS)
    return shown | {"required": one.boolean("required", default=True)}


def _read_input(one: Reader, *, label_required: bool = False) -> Json:
    shown: Json = {
        "type": one.choice("type", (Kind.TEXT_INPUT,), required=True),
        "id": one.integer("id", minimum=0),
        "custom_id": one.text("custom_id", minimum=1, maximum=100, required=True),
        "style": one.choice("style", (1, 2), required=True),
        "required": one.boolean("required", default=True),
        "min_length": one.integer("min_length", minimum=0, maximum=4000),
        "max_length": one.integer("max_length", minimum=1, maximum=4000, default=4000),
    }
    if label_required or one.given("label"):
        shown["label"] = one.text("label", minimum=1, maximum=45, required=label_required)
    for key, maximum in (("value", 4000), ("placeholder", 100)):
        if one.given(key):
            shown[key] = one.text(key, maximum=maximum)
    return shown
