"""The `global:` section out of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from config.checks import sections_of, set_later
from config.document import Document
from config.environment import Variables, global_variables
from config.findings import Findings
from config.layers import Layer, merge, section
from config.problems import Mark
from config.settings import GlobalSettings


def read_global(
    findings: Findings, defaults: Document, document: Document, variables: Variables, overrides: Document
) -> tuple[GlobalSettings, Layer, tuple[str, ...]]:
    """The settings, where they come from, and the dotted keys that people set but that are not in force.

    With mistakes, which go into `findings`, the settings are what can be made of the rest.
    """
    sections = sections_of(GlobalSettings)
    known = {
        name: tuple(sections[name].model_fields) if name in sections else ()
        for name in GlobalSettings.model_fields
    }
    by_variable = global_variables(variables, known)
    findings.problems += by_variable.problems
    said = merge(
        _loose(findings, document).cleaned(GlobalSettings),
        section(document, "global").cleaned(GlobalSettings),
        Layer(data=by_variable.data, marks=by_variable.marks),
        _loose(findings, overrides).cleaned(GlobalSettings),
        section(overrides, "global").cleaned(GlobalSettings),
    )
    later = tuple(set_later(GlobalSettings, said.data))
    merged = merge(section(defaults, "global").unmarked(), said)
    try:
        return GlobalSettings.model_validate(merged.data), merged, later
    except ValidationError as error:
        fallback = document.marks.get(("global",)) or Mark(file=document.file)
        findings.complain(error, GlobalSettings, ("global",), merged, fallback)
        return _what_is_left(merged.data, error), merged, later


def _loose(findings: Findings, document: Document) -> Layer:
    """Global keys that stand at the top of the file, without `global:`: taken, and said."""
    inside = section(document, "global").data
    loose = {}
    for key, value in document.data.items():
        if key not in GlobalSettings.model_fields:
            continue
        mark = document.marks[(key,)]
        if key in inside:
            findings.fail(mark, key, "stands under global: too")
        else:
            loose[key] = value
            findings.notes.append(f"{mark}: {key} belongs under global:, and is read as if it stood there.")
    return Layer(
        data=loose, marks={place: mark for place, mark in document.marks.items() if place[0] in loose}
    )


def _what_is_left(data: Mapping[str, Any], error: ValidationError) -> GlobalSettings:
    """So that the load can go on and find the other mistakes too."""
    wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
    try:
        return GlobalSettings.model_validate({key: value for key, value in data.items() if key not in wrong})
    except ValidationError:
        return GlobalSettings()
