"""The last layer: environment variables, and `.env` for what the environment does not say.

`ORCHARD_<KEY>` sets a key of `global:` (`ORCHARD_MAX_TOTAL_AGENTS=4`); two underscores step into a section
(`ORCHARD_DISCORD__CATEGORY=Bots`). Values are read as YAML.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from config.document import LARGEST_BYTES, KeyPath, parse_document
from config.fields import near
from config.problems import Mark, Problem, unreadable

PREFIX = "ORCHARD_"
CONFIG_FILE = "ORCHARD_CONFIG"
_OTHERS = (CONFIG_FILE, "ORCHARD_ROOT", "ORCHARD_KEY")  # the command line's, and the store's key
DISCORD = ("DISCORD_TOKEN", "DISCORD_API_URL", "DISCORD_GATEWAY_URL")
GITHUB = ("GITHUB_TOKEN", "GITHUB_WEBHOOK_SECRET")
ALERTS = ("MONITORING_WEBHOOK_SECRET", "SLACK_WEBHOOK_URL", "EXTERNAL_METRICS_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """`values`: name to text, of `.env` and the process (which wins). Empty ones are left out."""

    values: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    read_file: bool = False


def read_variables(env_file: Path, environ: Mapping[str, str]) -> Variables:
    """Discord's, GitHub's, the alerts' and Orchard's variables. A line of `.env` that cannot be read is a
    problem."""
    values: dict[str, str] = {}
    marks: dict[str, Mark] = {}
    problems: list[Problem] = []
    text = _text_of(env_file, problems)
    for binding in parse_stream(io.StringIO(text or "")):
        # A binding's text starts with the blank lines and comments before it.
        skipped = binding.original.string[
            : len(binding.original.string) - len(binding.original.string.lstrip())
        ]
        mark = Mark(file=str(env_file), line=binding.original.line + skipped.count("\n"), column=1)
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(Problem(mark=mark, key="", sentence="should read NAME=value"))
        elif binding.key is not None and binding.key in marks:
            first = marks[binding.key].line
            problems.append(
                Problem(mark=mark, key=binding.key, sentence=f"stands a second time; first in line {first}")
            )
        elif binding.key is not None:
            values[binding.key] = (binding.value or "").strip()
            marks[binding.key] = mark
            hint = near(binding.key, DISCORD, prefix="DISCORD_") if binding.key.startswith("DISCORD_") else ""
            if hint and binding.key not in DISCORD:
                problems.append(Problem(mark=mark, key=binding.key, sentence=f"no such variable{hint}"))
    for name, value in environ.items():
        if name in (*DISCORD, *GITHUB, *ALERTS) or name.startswith(PREFIX):
            values[name] = value.strip()
            marks[name] = Mark(file=f"environment variable {name}")
    values = {name: value for name, value in values.items() if value}
    return Variables(values=values, marks=marks, problems=tuple(problems), read_file=text is not None)


def _text_of(path: Path, problems: list[Problem]) -> str | None:
    try:
        if not path.is_file():
            if path.exists():
                problems.append(Problem(mark=Mark(file=str(path)), key="", sentence="is not a regular file"))
            return None
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
        if len(raw) > LARGEST_BYTES:
            sentence = f"is larger than {LARGEST_BYTES // 1024} KiB"
            problems.append(Problem(mark=Mark(file=str(path)), key="", sentence=sentence))
            return None
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - (raw[: error.start].rfind(b"\n") + 1) + 1
        mark = Mark(file=str(path), line=line, column=column)
        problems.append(Problem(mark=mark, key="", sentence="is not UTF-8: save the file as UTF-8"))
    except OSError as error:
        problems.append(unreadable(path, error))
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalVariables:
    """What `ORCHARD_...` says: a mapping as under `global:`, with a mark for each key."""

    data: Mapping[str, Any]
    marks: Mapping[KeyPath, Mark]
    problems: tuple[Problem, ...]


def global_variables(variables: Variables, known: Mapping[str, tuple[str, ...]]) -> GlobalVariables:
    """`known`: each global key to the keys of its section (none for a plain value)."""
    data: dict[str, Any] = {}
    marks: dict[KeyPath, Mark] = {}
    problems: list[Problem] = []
    names = {
        f"{PREFIX}{key.upper()}{'__' + inner.upper() if inner else ''}": (key, inner) if inner else (key,)
        for key, section in known.items()
        for inner in (section or ("",))
    }
    for name, text in variables.values.items():
        if not name.startswith(PREFIX) or name in _OTHERS:
            continue
        mark = variables.marks[name]
        if name not in names:
            # The process's environment is shared: there only what looks like a slip is one.
            hint = near(name, names, prefix=PREFIX)
            if mark.line or hint:
                problems.append(Problem(mark=mark, key=name, sentence=f"no such variable{hint}"))
            continue
        document = parse_document(f"value: {text}".encode(), str(mark))
        if document.problems:
            problems.append(Problem(mark=mark, key=name, sentence=f"cannot be read: {text[:60]!r}"))
            continue
        path = names[name]
        inside = data.setdefault(path[0], {}) if len(path) > 1 else data
        inside[path[-1]] = document.data["value"]
        marks[path] = mark
    return GlobalVariables(data=data, marks=marks, problems=tuple(problems))
