"""`config/defaults.yaml`, made from the models: `python -m config.reference > config/defaults.yaml`.

The file is the lowest layer and what people read to see every key; a test keeps it current.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from datetime import time
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.checks import sections_of
from config.section import LATER
from config.settings import GlobalSettings, ProjectSettings

_OPENING = """\
# Every setting with its default. Made by `python -m config.reference`; do not edit.
# Yours go into orch-config.yaml: `global:` as below, and `projects:` with a project's name above such keys as
# stand under project_defaults here. "Not in force yet": read and checked, its feature comes later.
"""


def render_defaults() -> str:
    lines = [_OPENING, "global:", *_section(GlobalSettings, 2)]
    lines += ["", "project_defaults:", *_section(ProjectSettings, 2)]
    return "\n".join(lines) + "\n"


def _section(model: type[BaseModel], indent: int) -> Iterator[str]:
    sections = sections_of(model)
    for name, info in model.model_fields.items():
        if info.is_required():
            continue
        margin = " " * indent
        note = f"{info.description}{' Not in force yet.' if info.json_schema_extra == LATER else ''}"
        yield from (f"{margin}# {line}" for line in textwrap.wrap(note, 100 - indent))
        if name in sections and isinstance(info.default, BaseModel):
            yield f"{margin}{name}:"
            yield from _section(sections[name], indent + 2)
        else:
            yield f"{margin}{name}: {_value(info)}"


def _value(info: FieldInfo) -> str:
    value: Any = info.default
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, time):
        value = f"{value:%H:%M}"
    elif isinstance(value, Path):
        value = str(value)
    elif isinstance(value, tuple):
        value = list(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


if __name__ == "__main__":
    sys.stdout.write(render_defaults())
