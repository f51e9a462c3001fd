"""Registrations made at run time, `projects.d/<name>.yaml`: the only settings that Orchard writes."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from config.document import read_document
from config.findings import Findings
from config.layers import section, spoken
from config.loader import REGISTRATIONS
from config.names import name_problem, suggest_name
from config.problems import ConfigError, Mark
from config.settings import ProjectSettings
from core.errors import InvalidInput, Unavailable

_OPENING = (
    "# Written by Orchard when the project was registered; orch-config.yaml is the place for your own keys.\n"
)


def registration_path(state_path: Path, name: str) -> Path:
    return state_path / REGISTRATIONS / f"{name}.yaml"


def write_registration(state_path: Path, name: str, path: Path, **keys: Any) -> Path:
    """Writes or updates a project's registration, and returns its file.

    `keys` are further keys of the project (`main_branch="main"`); keys that stand in the file already and are
    not given stay. The new file replaces the old one in one step, on the disk before this returns. Raises
    InvalidInput for a name that cannot be, ConfigError when a value is wrong or the existing file does not
    parse (it is left as it is), Unavailable when the disk refuses.
    """
    if problem := name_problem(name):
        hint = f"'{suggest_name(name)}' would do."
        raise InvalidInput(f"{name!r} cannot be a project's name.", why=f"It {problem}.", hint=hint)
    target = registration_path(state_path, name)
    data = {**_existing(target), "name": name, "path": str(path.absolute()), **keys}
    _check(data, target)
    text = _OPENING + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text.encode())
    except OSError as error:
        raise Unavailable(
            f"The registration of {name} could not be written.",
            why=f"{target}: {error.strerror or error}.",
            hint="Check the folder's rights and the free space on its disk, then register again.",
        ) from error
    return target


def _existing(target: Path) -> Mapping[str, Any]:
    document = read_document(target)
    if document is None:
        return {}
    if document.problems:
        raise ConfigError(document.problems)
    return document.data


def _check(data: Mapping[str, Any], target: Path) -> None:
    findings = Findings()
    layer = section(spoken(data, str(target))).cleaned(ProjectSettings)
    try:
        ProjectSettings.model_validate(layer.data)
    except ValidationError as error:
        findings.complain(error, ProjectSettings, (), layer, Mark(file=str(target)))
        raise ConfigError(findings.ordered(())) from error


def _replace(target: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, also after a power cut."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
