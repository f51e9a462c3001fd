"""The rows of `config/agents.yaml` and of the configuration's `agents:`, made into an AgentSetup.

A row says what differs between agents; the driver is the same for all. Quirks that the driver knows:
`fresh_session` (never resume or load), and `usage:<meaning>` (what its token counts mean).
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.errors import InvalidInput, NotFound, OrchardError, Unavailable
from core.isolation.machine import program_folders
from core.isolation.plan import DEFAULT_PATH
from core.worker.contract import AgentSetup

_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?::([^{}]+))?\}")
REPLAY = Path(__file__).parent / "replay"


class AgentRow(BaseModel):
    """One row; `config/agents.yaml` says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    description: str = ""
    kind: Literal["acp"] = "acp"
    argv: tuple[str, ...] = Field(min_length=1)
    variables: Mapping[str, str | None] = Field(default_factory=dict)
    environment: Mapping[str, str] = Field(default_factory=dict)
    pass_environment: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    home_files: Mapping[str, str] = Field(default_factory=dict)
    mode: str | None = None
    usage: Literal["turn", "last_call", "session", "meta", "none"] = "none"
    quirks: tuple[Literal["fresh_session"], ...] = ()
    read_only_paths: tuple[str, ...] = ()
    stop_seconds: tuple[float, float, float] = (2.0, 5.0, 2.0)
    tried: tuple[str, ...] = ()
    install: str = ""

    @field_validator("home_files")
    @classmethod
    def _inside_home(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for name in files:
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts or not pure.parts:
                raise ValueError(f"{name!r} is not a path inside the agent's home")
        return files

    @field_validator("stop_seconds")
    @classmethod
    def _not_negative(cls, seconds: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(seconds) < 0:
            raise ValueError("seconds must not be negative")
        return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetCheck:
    """For `doctor`: whether an agent can be started, and how to mend it when not."""

    name: str
    found: bool
    program: str = ""  # where it is
    problem: str = ""  # one sentence; may also warn when `found`
    hint: str = ""
    tried: tuple[str, ...] = ()


Rows = Mapping[str, AgentRow]
Which = Callable[[str], str | None]


def load_rows(custom: Mapping[str, Any] | None = None, *, path: Path | None = None) -> dict[str, AgentRow]:
    """All rows by name: those that come with Orchard, changed and joined by `custom` (`agents:`).

    Raises InvalidInput that lists every bad row.
    """
    plain = dict(_packaged() if path is None else _rows_in(path.read_text("utf-8")))
    problems: list[str] = []
    for name, row in (custom or {}).items():
        if not isinstance(row, Mapping):
            problems.append(f"agents.{name}: is not a mapping")
            continue
        like = row.get("like", name if name in plain else None)
        if like is not None and like not in plain:
            problems.append(f"agents.{name}.like: there is no agent {like!r} ({', '.join(sorted(plain))})")
            continue
        plain[name] = _merged(plain.get(like, {}) if like is not None else {}, row)
    rows: dict[str, AgentRow] = {}
    for name, row in plain.items():
        try:
            rows[name] = AgentRow.model_validate(row)
        except ValidationError as error:
            for each in error.errors(include_url=False):
                where = ".".join(str(part) for part in ("agents", name, *each["loc"]))
                problems.append(f"{where}: {each['msg']}")
    if problems:
        raise InvalidInput(
            "Rows of agents are wrong: " + "; ".join(problems) + ".", hint="See config/agents.yaml."
        )
    return rows


@functools.lru_cache(maxsize=1)
def _packaged() -> Mapping[str, dict[str, Any]]:
    """The rows of Orchard itself, read once: it takes 15 ms."""
    return _rows_in((resources.files("config") / "agents.yaml").read_text("utf-8"))


def _rows_in(text: str) -> Mapping[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = yaml.safe_load(text)["agents"]
    return rows


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings of a row are joined, everything else is replaced."""
    row = dict(base)
    for key, value in change.items():
        if key == "like":
            continue
        old = row.get(key)
        row[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return row


def resolve(
    name: str, rows: Rows, *, environ: Mapping[str, str] | None = None, which: Which | None = None
) -> AgentSetup:
    """The row `name` with absolute paths and its environment.

    Raises NotFound for an unknown agent, naming the choices; Unavailable for one that is not
    installed, saying how to install it; InvalidInput for a variable that is not set.
    """
    variables = os.environ if environ is None else environ
    row = rows.get(name)
    if row is None:
        near = get_close_matches(name, rows, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise NotFound(f"There is no agent {name!r}.", hint=f"{hint}Choices: {', '.join(sorted(rows))}.")
    search = which or (lambda program: shutil.which(program, path=_search_path(variables)))
    fill = _Filler(name, row, search)
    argv = tuple(fill(word) for word in row.argv)
    program = fill.program(argv[0])
    environment = {key: fill(value) for key, value in row.environment.items()}
    passed = {key: variables[key] for key in row.pass_environment if variables.get(key)}
    seen = [_existing(name, fill(path)) for path in row.read_only_paths]
    folders, path_folders = _needed([Path(program), *fill.programs], search)
    path = os.pathsep.join(dict.fromkeys((*map(str, path_folders), *DEFAULT_PATH.split(os.pathsep))))
    return AgentSetup(
        name=name,
        kind=row.kind,
        argv=(_inside(program), *argv[1:]),
        environment={"PATH": path, **environment, **passed},
        home_files=dict(row.home_files),
        mode=row.mode,
        read_only_paths=tuple(dict.fromkeys((*folders, *seen, *fill.folders))),
        stop_seconds=row.stop_seconds,
        quirks=(*row.quirks, f"usage:{row.usage}"),
    )


def check_preset(
    name: str,
    rows: Rows | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    which: Which | None = None,
) -> PresetCheck:
    """Whether an agent is there and has a key; never raises for a missing one."""
    known = load_rows() if rows is None else rows
    variables = os.environ if environ is None else environ
    try:
        setup = resolve(name, known, environ=variables, which=which)
    except OrchardError as error:
        return PresetCheck(name=name, found=False, problem=error.message, hint=error.hint)
    row = known[name]
    problem = hint = ""
    if row.key_variables and not any(variables.get(key) for key in row.key_variables):
        problem = f"None of {', '.join(row.key_variables)} is set."
        hint = f"Put {row.key_variables[0]} into Orchard's environment or .env."
    return PresetCheck(
        name=name, found=True, program=setup.argv[0], problem=problem, hint=hint, tried=row.tried
    )


def _search_path(environ: Mapping[str, str]) -> str:
    return os.pathsep.join(part for part in (environ.get("PATH", ""), DEFAULT_PATH) if part)


class _Filler:
    """Fills placeholders, and remembers what that made necessary."""

    def __init__(self, name: str, row: AgentRow, which: Which) -> None:
        self._name = name
        self._row = row
        self._which = which
        self.programs: list[Path] = []
        self.folders: list[Path] = []

    def __call__(self, text: str) -> str:
        return _PLACEHOLDER.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        key, argument = found.group(1), found.group(2)
        if key == "python" and argument is None:
            self.programs.append(Path(sys.executable))
            return sys.executable
        if key == "replay" and argument is None:
            self.folders.append(REPLAY)
            return str(REPLAY)
        if key == "program" and argument is not None:
            program = self.program(argument)
            self.programs.append(Path(program))
            return program
        if key not in self._row.variables or argument is not None:
            return found.group(0)  # braces that are not ours, as in JSON
        value = self._row.variables[key]
        if not value:
            raise InvalidInput(
                f"The agent {self._name!r} needs its variable {key!r}.",
                hint=f"Set agents.{self._name}.variables.{key} in orch-config.yaml.",
            )
        return str(Path(value).expanduser()) if value.startswith("~") else value

    def program(self, word: str) -> str:
        """The absolute path of a program named by path or looked up on PATH."""
        wanted = str(Path(word).expanduser()) if word.startswith("~") else word
        if "/" in wanted and not Path(wanted).is_absolute():
            raise InvalidInput(
                f"The agent {self._name!r} names its program by a relative path, {word}.",
                hint="An agent starts in a worktree: give an absolute path, or a name on PATH.",
            )
        found = self._which(wanted)
        if found is None:
            raise Unavailable(
                f"The agent {self._name!r} is not installed: there is no program {word}.",
                hint=f"Install it: {self._row.install}" if self._row.install else "",
            )
        return str(Path(found).absolute())


def _existing(name: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise InvalidInput(
            f"The agent {name!r} names a relative path, {text}.",
            hint="An agent starts in a worktree: give an absolute path.",
        )
    if not path.exists():
        raise Unavailable(f"The agent {name!r} needs {path}, which is not there.", hint="Mend its row.")
    return path


def _inside(program: str) -> str:
    """The path to start: a sandbox has no links that lead to a program, but a Python environment is one."""
    path = Path(program)
    return program if (path.parent.parent / "pyvenv.cfg").exists() else str(path.resolve())


def _needed(programs: list[Path], which: Which) -> tuple[list[Path], list[Path]]:
    """What programs outside the system must see, and the folders of the interpreters that `env` looks up."""
    folders: list[Path] = []
    on_path: list[Path] = []
    for program in programs:
        folders += program_folders(program)
        real = program.resolve()
        modules = [parent for parent in real.parents if parent.name == "node_modules"]
        if modules:
            folders.append(modules[-1])
        interpreter = _interpreter_by_env(real, which)
        if interpreter is not None:
            folders += program_folders(interpreter)
            on_path.append(interpreter.parent)
    visible = [folder for folder in dict.fromkeys(folders) if not folder.is_relative_to("/usr")]
    system = {Path(part) for part in DEFAULT_PATH.split(os.pathsep)}
    return visible, [folder for folder in dict.fromkeys(on_path) if folder not in system]


def _interpreter_by_env(program: Path, which: Which) -> Path | None:
    """From `#!/usr/bin/env node`."""
    try:
        with program.open("rb") as file:
            words = file.readline(256).split()
    except OSError:
        return None
    if len(words) < 2 or words[0] not in (b"#!/usr/bin/env", b"#!/bin/env"):
        return None
    names = [os.fsdecode(word) for word in words[1:] if not word.startswith(b"-")]
    found = which(names[0]) if names else None
    return Path(found).absolute() if found else None
