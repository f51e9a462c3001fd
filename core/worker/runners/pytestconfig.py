"""PURE: where pytest's configuration hides, and what of it a file holds.

The first file found wins, so a new hidden one takes over: names that are absent before count as well. Of
files that hold other things too (`pyproject.toml`, `setup.cfg`, `tox.ini`) only pytest's part is compared.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

_WHOLE = frozenset({"pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "conftest.py"})
_HOOKS = frozenset(
    {"sitecustomize.py", "usercustomize.py"}
)  # imported by every Python that has them on its path
_PARTS = frozenset({"pyproject.toml", "tox.ini", "setup.cfg", "setup.py", "entry_points.txt"})
# Modules of the runner: one of the same name in the checkout could come first.
_RUNNERS_OWN = frozenset(
    {
        "pytest", "_pytest", "py", "pluggy", "iniconfig", "unittest", "doctest", "xdist", "execnet",
        "hypothesis", "_hypothesis_pytestplugin", "anyio", "coverage", "orchard_probe", "orchard_facts",
        "orchard_settings", "orchard_start",
    }
)  # fmt: skip


def is_pytest_config(path: str) -> bool:
    """Whether a file of this name can configure pytest. `path` is relative, with "/"."""
    name = PurePosixPath(path).name
    return name in _WHOLE or name in _HOOKS or name in _PARTS or name.endswith(".pth")


def shadowing(path: str, roots: Sequence[str]) -> str | None:
    """The top-level module that `path` belongs to, when it is called like one of the runner's own.

    `roots` are the folders that Python looks into, relative, "" for the repository's top.
    """
    for root in roots:
        prefix = f"{root}/" if root else ""
        if path.startswith(prefix):
            first, _, rest = path[len(prefix) :].partition("/")
            stem = first if rest else first.partition(".")[0]
            is_module = bool(rest) or first.endswith((".py", ".pyc", ".so"))
            if is_module and (stem in _RUNNERS_OWN or stem.startswith("pytest_")):
                return prefix + first
    return None


def config_digest(path: str, content: bytes) -> str | None:
    """A digest of pytest's part of the file, or None when it has none.

    A file that cannot be parsed counts as a whole: pytest would stop at it.
    """
    name = PurePosixPath(path).name
    if name == "pyproject.toml":
        return _toml_part(content)
    if name in ("tox.ini", "setup.cfg"):
        return _ini_part(name, content)
    if name == "setup.py":
        return _digest(content) if b"pytest11" in content else None
    if name == "entry_points.txt":
        return _digest(content) if b"pytest11" in content else None
    return _digest(content)


def config_digests(paths: Iterable[str], files: Mapping[str, bytes], roots: Sequence[str]) -> dict[str, str]:
    """By path, for all of a tree's `paths`; `files` has the content of those that can configure pytest.

    A module that shadows one of the runner's counts by being there: a project that is itself a pytest plugin
    has one, and changes it honestly.
    """
    found = {}
    for path in paths:
        if (module := shadowing(path, roots)) is not None:
            found[module] = "present"
    for path, content in files.items():
        digest = config_digest(path, content)
        if digest is not None:
            found[path] = digest
    return found


def _toml_part(content: bytes) -> str | None:
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return _digest(content)
    tools = _table(document, "tool")
    part = {name: value for name, value in tools.items() if name.startswith("pytest")}
    plugins = _table(document, "project", "entry-points", "pytest11") or _table(
        tools, "poetry", "plugins", "pytest11"
    )
    if plugins:
        part["(plugins)"] = plugins
    return _digest(json.dumps(part, sort_keys=True, default=str).encode()) if part else None


def _ini_part(name: str, content: bytes) -> str | None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=", ":"))
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError):
        return _digest(content)
    part: dict[str, Any] = {
        section: dict(parser.items(section))
        for section in parser.sections()
        if section == "pytest" or section.startswith("tool:pytest")
    }
    for section in parser.sections():
        if section.endswith("entry_points") and parser.has_option(section, "pytest11"):
            part["(plugins)"] = parser.get(section, "pytest11")
    return _digest(json.dumps(part, sort_keys=True).encode()) if part else None


def _table(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Any = document
    for name in names:
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PytestSettings:
    """What of a project's configuration Orchard itself must know."""

    patterns: tuple[str, ...] = ()  # python_files: names of test files
    configured: bool = False  # a configuration file stands in the project's folder


def read_settings(files: Mapping[str, bytes]) -> PytestSettings:
    """From the configuration files of one folder, by name. The first that holds pytest's part wins, as in
    pytest.
    """
    for name in (
        "pytest.toml",
        ".pytest.toml",
        "pytest.ini",
        ".pytest.ini",
        "pyproject.toml",
        "tox.ini",
        "setup.cfg",
    ):
        if name not in files:
            continue
        options = _options(name, files[name])
        if options is not None:
            return PytestSettings(patterns=_patterns(options.get("python_files")), configured=True)
    return PytestSettings()


def _options(name: str, content: bytes) -> Mapping[str, Any] | None:
    try:
        text = content.decode()
        if name.endswith(".toml"):
            document = tomllib.loads(text)
            if name != "pyproject.toml":
                return _table(document, "pytest")
            table = _table(document, "tool", "pytest")
            return (_table(table, "ini_options") or table) if table else None
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.read_string(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, configparser.Error):
        return {}
    section = "tool:pytest" if name == "setup.cfg" else "pytest"
    if parser.has_section(section):
        return dict(parser.items(section))
    return {} if name.endswith("pytest.ini") else None


def _patterns(value: Any) -> tuple[str, ...]:
    words = value if isinstance(value, list) else str(value or "").split()
    # `*.py` says where tests may be, not which files are tests.
    return tuple(str(word) for word in words if str(word) not in ("*.py", "*"))
