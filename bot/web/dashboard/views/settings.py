"""A project's settings as they are in force, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from config.document import KeyPath
from config.problems import Mark

DEFAULT = "default"
_NAMES = {"ai_settings": "AI settings", "github": "GitHub"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`key`: dotted; `value`: in words; `origin`: file and line, or DEFAULT; `later`: not in force yet."""

    key: str
    value: str
    origin: str
    about: str
    later: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    title: str
    settings: tuple[Setting, ...]


def settings_of(
    model: BaseModel, origins: Mapping[KeyPath, Mark], later: tuple[str, ...] = ()
) -> tuple[Group, ...]:
    """By section, in the model's order; single keys first. Secret values are pydantic's stars."""
    single: list[Setting] = []
    groups: list[Group] = []
    for name, value, about in _fields(model):
        if isinstance(value, BaseModel):
            found = tuple(_within(value, (name,), origins, later))
            groups.append(Group(title=_NAMES.get(name, name.replace("_", " ")), settings=found))
        else:
            single.append(_setting((name,), value, about, origins, later))
    return (Group(title="project", settings=tuple(single)), *groups)


def _within(
    model: BaseModel, path: tuple[str, ...], origins: Mapping[KeyPath, Mark], later: tuple[str, ...]
) -> Iterator[Setting]:
    for name, value, about in _fields(model):
        if isinstance(value, BaseModel):
            yield from _within(value, (*path, name), origins, later)
        else:
            yield _setting((*path, name), value, about, origins, later)


def _fields(model: BaseModel) -> Iterator[tuple[str, Any, str]]:
    for name, field in type(model).model_fields.items():
        yield field.alias or name, getattr(model, name), field.description or ""


def _setting(
    path: tuple[str, ...], value: Any, about: str, origins: Mapping[KeyPath, Mark], later: tuple[str, ...]
) -> Setting:
    mark = origins.get(path) or next((m for place, m in origins.items() if place[: len(path)] == path), None)
    key = ".".join(path)
    return Setting(
        key=key,
        value=said(value),
        origin=str(mark) if mark is not None else DEFAULT,
        about=about,
        later=key in later,
    )


def said(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {said(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(said(one) for one in value) or "none"
    if isinstance(value, BaseModel):
        return ", ".join(f"{name}: {said(one)}" for name, one, _ in _fields(value)) or "none"
    return str(value)
