"""Layers of settings, merged key by key: the later one wins, and each key keeps the place it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from config.checks import without_empty_sections
from config.document import Document, KeyPath
from config.problems import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A mapping and the marks of its keys, both relative to the same section."""

    data: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[KeyPath, Mark] = field(default_factory=dict)

    def unmarked(self) -> Layer:
        """The data alone: nobody is sent to a file of Orchard's own to mend a mistake."""
        return Layer(data=self.data)

    def but(self, data: Mapping[str, Any]) -> Layer:
        """Other data with the same marks."""
        return Layer(data=data, marks=self.marks)

    def cleaned(self, model: type[BaseModel]) -> Layer:
        return self.but(without_empty_sections(model, self.data))


def section(document: Document, *path: str) -> Layer:
    """The part of a document below `path`; an empty layer where it has none or something of another shape."""
    data: Any = document.data
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping):
        return Layer()
    depth = len(path)
    marks = {place[depth:]: mark for place, mark in document.marks.items() if place[:depth] == path}
    return Layer(data=data, marks=marks)


def spoken(data: Mapping[str, Any], origin: str) -> Document:
    """Settings that stand in no file, as a document whose every key is marked with `origin`."""
    return Document(file=origin, data=data, marks=dict(_marked(data, (), Mark(file=origin))))


def _marked(data: Mapping[str, Any], path: KeyPath, mark: Mark) -> Iterator[tuple[KeyPath, Mark]]:
    for key, value in data.items():
        yield (*path, key), mark
        if isinstance(value, Mapping):
            yield from _marked(value, (*path, key), mark)


def merge(*layers: Layer) -> Layer:
    """Mappings are merged, anything else (lists too) is replaced. Marks of what was replaced may stay."""
    data: dict[str, Any] = {}
    marks: dict[KeyPath, Mark] = {}
    for layer in layers:
        data = _over(data, layer.data)
        marks.update(layer.marks)
    return Layer(data=data, marks=marks)


def _over(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            result[key] = _over(below, value)
        else:
            result[key] = value
    return result
