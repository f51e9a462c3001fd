"""One agent, one row: `config/agents.yaml`, changed and joined by the configuration's `agents:`.

What each key means stands at the top of that file.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from config.document import parse_document
from core.errors import InvalidInput, NotFound


def _inside_home(files: Mapping[str, str]) -> Mapping[str, str]:
    for name in files:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise ValueError(f"{name!r} is not a path inside the agent's home")
    return files


class GatewayRow(BaseModel):
    """How it is pointed at the model gateway; added to the row's own environment, files and argv."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = Field(min_length=1)
    environment: Mapping[str, str] = Field(default_factory=dict)
    home_files: Mapping[str, str] = Field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    _files = field_validator("home_files")(_inside_home)


class PackageRow(BaseModel):
    """What `orchard agents install` fetches: exact versions of packages by name, from one registry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    npm: Mapping[str, str] = Field(default_factory=dict)
    pypi: Mapping[str, str] = Field(default_factory=dict)
    node: str | None = None  # the version that it brings with it; null: the machine's
    python: str = "3.11"  # the oldest that will do
    finish: tuple[str, ...] = ()  # scripts of its packages that node runs once; no other install script runs
    main: str | None = None  # the package whose version is the agent's; null: the first

    @model_validator(mode="after")
    def _from_one_registry(self) -> PackageRow:
        if bool(self.npm) == bool(self.pypi):
            raise ValueError("give packages of npm, or of pypi")
        if self.main is not None and self.main not in self.packages:
            raise ValueError(f"main is {self.main!r}, which is none of its packages")
        return self

    @property
    def packages(self) -> Mapping[str, str]:
        return self.npm or self.pypi

    @property
    def first(self) -> str:
        """The package whose version is the agent's."""
        return self.main or next(iter(self.packages))


class AgentRow(BaseModel):
    """One row; `config/agents.yaml` says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    description: str = ""
    family: str = ""  # the row that it started from; set when rows are read
    kind: Literal["acp", "command"] = "acp"
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
    sessions: Literal["resume", "load", "none"] | None = None
    tried: tuple[str, ...] = ()
    gateway: GatewayRow | None = None
    package: PackageRow | None = None
    install: str = ""

    _files = field_validator("home_files")(_inside_home)

    @field_validator("stop_seconds")
    @classmethod
    def _not_negative(cls, seconds: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(seconds) < 0:
            raise ValueError("seconds must not be negative")
        return seconds

    def has_key(self, environ: Mapping[str, str]) -> bool:
        """Whether an agent of this row has a key of its own, in `environ` or in the row; one that names no
        variable for it needs none."""
        names = self.key_variables
        return not names or any(
            (environ.get(each) or self.environment.get(each, "")).strip() for each in names
        )


Rows = Mapping[str, AgentRow]


def row_named(name: str, rows: Rows) -> AgentRow:
    """Raises NotFound for an unknown agent, naming the choices."""
    if (row := rows.get(name)) is not None:
        return row
    near = get_close_matches(name, rows, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise NotFound(f"There is no agent {name!r}.", hint=f"{hint}Choices: {', '.join(sorted(rows))}.")


def load_rows(custom: Mapping[str, Any] | None = None, *, path: Path | None = None) -> dict[str, AgentRow]:
    """All rows by name: those that come with Orchard, changed and joined by `custom` (`agents:`).

    Raises InvalidInput that lists every bad row.
    """
    plain = dict(_packaged() if path is None else _rows_in(path.read_bytes()))
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
        if like is not None and like != name:
            plain[name]["family"] = plain[like].get("family", like)
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
    """The rows of Orchard itself, read once: it takes 5 ms."""
    return _rows_in((resources.files("config") / "agents.yaml").read_bytes())


def _rows_in(raw: bytes) -> Mapping[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = parse_document(raw, "agents.yaml").data["agents"]
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
