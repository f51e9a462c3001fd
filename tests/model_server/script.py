"""PURE. What the scripted model shall say, step by step, and how it shall misbehave.

A script is a list of steps. A step that answers (`text`, `write`, `read`, `run`, `tool`) is one turn of the
model; a list of such steps is one turn with parallel calls. A step that only misbehaves belongs to the
answering step after it, so that the number of the turn can be told from the conversation alone:

    [{"http": 429, "retry_after": 1, "times": 2}, {"write": ["a.txt", "hi"]}, {"run": "ls"}, {"text": "done"}]
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MARKER = "MODEL-SCRIPT:"
# At the start of a line only: a side call that quotes the prompt inside a transcript must not run it again.
_MARKED = re.compile(rf"^[ \t]*{re.escape(MARKER)}[ \t]*", re.MULTILINE)
ALWAYS = -1


class ScriptError(ValueError):
    """The script cannot be understood; the text says where and what is allowed."""


class WrongUsage(StrEnum):
    """How the usage that is told differs from what was used."""

    MISSING = "missing"  # no usage field at all
    ZERO = "zero"  # every count 0
    NEGATIVE = "negative"  # every count below 0
    TEXT = "text"  # strings instead of numbers
    HUGE = "huge"  # every count 10**15 more
    DOUBLED = "doubled"  # twice what was used


class Malformed(StrEnum):
    """How a streamed answer is not what a client can read."""

    JSON = "json"  # one event's data is cut in the middle of its JSON
    NOT_SSE = "not_sse"  # an HTML page with status 200
    UTF8 = "utf8"  # a byte that is no UTF-8 inside one event
    HUGE_LINE = "huge_line"  # a comment line of 2 MB before the events
    UNFINISHED = "unfinished"  # the last event lacks its blank line


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One way to misbehave, for `times` calls (ALWAYS: for ever). Seconds are wall time."""

    status: int | None = None  # an HTTP error instead of an answer
    retry_after: float | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # of the HTTP error
    drop: bool = False  # the connection closes before any byte
    cut_after: int | None = None  # events sent before the connection breaks off
    error_after: int | None = None  # events sent before an error event ends the stream
    hang_after: int | None = None  # events sent before nothing more comes; 0: not even headers
    first_byte_seconds: float = 0.0
    event_seconds: float = 0.0  # between two events
    usage: WrongUsage | None = None
    malformed: Malformed | None = None
    times: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One thing to do with a tool; `kind` is write, read, run or tool."""

    kind: str
    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One turn of the model. `tokens` overrides what would be counted, by the names of Usage."""

    text: str = ""
    actions: tuple[Action, ...] = ()
    faults: tuple[Fault, ...] = ()
    tokens: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """A named list of steps; `when` is searched in what the user said."""

    name: str
    steps: tuple[Step, ...]
    when: re.Pattern[str] | None = None

    @property
    def uses_tools(self) -> bool:
        """Whether any of its steps calls a tool."""
        return any(step.actions for step in self.steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Book:
    """All the server was told: scripts by rule, the one for everything else, the keys it takes."""

    scripts: tuple[Script, ...] = ()
    default: Script | None = None
    keys: frozenset[str] = frozenset()  # empty: any key, and none
    models: tuple[str, ...] = ("scripted-1",)

    def named(self, name: str) -> Script:
        """The script of that name; ScriptError when there is none."""
        for script in self.scripts:
            if script.name == name:
                return script
        known = ", ".join(script.name for script in self.scripts) or "none"
        raise ScriptError(f"no script is named {name!r}; known: {known}")


_ACTIONS = {"write": 2, "read": 1, "run": 1, "tool": 2}
_COUNTS = frozenset({"fresh", "cache_read", "cache_write", "output", "reasoning"})
_FAULT_KEYS = {
    "http": "status",
    "retry_after": "retry_after",
    "message": "message",
    "headers": "headers",
    "drop": "drop",
    "cut_after": "cut_after",
    "error_after": "error_after",
    "hang_after": "hang_after",
    "first_byte_seconds": "first_byte_seconds",
    "event_seconds": "event_seconds",
    "usage": "usage",
    "malformed": "malformed",
    "times": "times",
}
_NUMBERS = ("retry_after", "first_byte_seconds", "event_seconds")
_WHOLE = ("http", "cut_after", "error_after", "hang_after")


def parse_fault(raw: Mapping[str, Any], where: str = "fault") -> Fault:
    """A fault from its mapping; ScriptError names the field that is wrong."""
    if unknown := sorted(set(raw) - set(_FAULT_KEYS)):
        raise ScriptError(f"{where}: unknown {', '.join(unknown)}; allowed: {', '.join(_FAULT_KEYS)}")
    values = {_FAULT_KEYS[key]: value for key, value in raw.items()}
    for name in _WHOLE:
        if name in raw and (type(raw[name]) is not int or raw[name] < 0):
            raise ScriptError(f"{where}: {name} must be a whole number from 0, not {raw[name]!r}")
    for name in _NUMBERS:
        if name in raw and (isinstance(raw[name], bool) or not isinstance(raw[name], int | float)):
            raise ScriptError(f"{where}: {name} must be a number of seconds, not {raw[name]!r}")
    if "headers" in raw:
        if not isinstance(raw["headers"], Mapping):
            raise ScriptError(f"{where}: headers must be a mapping of names to values")
        values["headers"] = {str(name): str(value) for name, value in raw["headers"].items()}
    times = values.get("times", 1)
    values["times"] = ALWAYS if times == "always" else times
    if type(values["times"]) is not int or (values["times"] < 1 and values["times"] != ALWAYS):
        raise ScriptError(f"{where}: times must be a whole number from 1, or 'always', not {times!r}")
    try:
        if "usage" in values:
            values["usage"] = WrongUsage(values["usage"])
        if "malformed" in values:
            values["malformed"] = Malformed(values["malformed"])
    except ValueError as error:
        raise ScriptError(f"{where}: {error}") from None
    return Fault(**values)


def parse_steps(raw: object, where: str = "steps") -> tuple[Step, ...]:
    """The steps of a script; ScriptError names the step that is wrong (numbers count from 1)."""
    if not isinstance(raw, list):
        raise ScriptError(f"{where}: a list of steps is needed, not {type(raw).__name__}")
    steps: list[Step] = []
    waiting: list[Fault] = []
    for number, item in enumerate(raw, start=1):
        place = f"{where}, step {number}"
        parts = item if isinstance(item, list) else [item]
        if not parts or not all(isinstance(part, Mapping) for part in parts):
            raise ScriptError(f"{place}: a mapping, or a list of mappings for parallel calls, is needed")
        if len(parts) == 1 and set(parts[0]) <= set(_FAULT_KEYS):
            waiting.append(parse_fault(parts[0], place))
            continue
        steps.append(_answering(parts, tuple(waiting), place))
        waiting.clear()
    if waiting:  # nothing follows them: they belong to an empty last word
        steps.append(Step(text="done", faults=tuple(waiting)))
    return tuple(steps)


def _answering(parts: Sequence[Mapping[str, Any]], faults: tuple[Fault, ...], place: str) -> Step:
    text: list[str] = []
    actions: list[Action] = []
    tokens: dict[str, int] = {}
    for part in parts:
        for key, value in part.items():
            if key == "text":
                text.append(str(value))
            elif key in _ACTIONS:
                actions.append(_action(key, value, place))
            elif key == "tokens":
                tokens.update(_tokens(value, place))
            else:
                allowed = ", ".join(("text", *_ACTIONS, "tokens"))
                raise ScriptError(f"{place}: unknown {key!r} beside an answer; allowed: {allowed}")
    return Step(text="".join(text), actions=tuple(actions), faults=faults, tokens=tokens)


def _action(kind: str, value: Any, place: str) -> Action:
    values = tuple(value) if isinstance(value, list) else (value,)
    if len(values) != _ACTIONS[kind] or not isinstance(values[0], str):
        raise ScriptError(f"{place}: {kind} needs {_ACTIONS[kind]} value(s), the first a text, not {value!r}")
    if kind == "tool" and not isinstance(values[1], Mapping):
        raise ScriptError(f"{place}: tool needs [name, arguments as a mapping]")
    return Action(kind=kind, values=values)


def _tokens(value: object, place: str) -> dict[str, int]:
    if not isinstance(value, Mapping) or not set(value) <= _COUNTS:
        raise ScriptError(f"{place}: tokens takes a mapping of {', '.join(sorted(_COUNTS))}")
    if any(type(count) is not int or count < 0 for count in value.values()):
        raise ScriptError(f"{place}: tokens must be whole numbers from 0")
    return dict(value)


def parse_book(raw: object) -> Book:
    """The content of a script file: `steps`, `scripts` [{name, when, steps}], `keys`, `models`."""
    if isinstance(raw, list):
        raw = {"steps": raw}
    if not isinstance(raw, Mapping):
        raise ScriptError("a mapping with steps, scripts, keys or models is needed, or a list of steps")
    if unknown := sorted(set(raw) - {"steps", "scripts", "keys", "models"}):
        raise ScriptError(f"unknown {', '.join(unknown)}; allowed: keys, models, scripts, steps")
    scripts = []
    for number, item in enumerate(raw.get("scripts") or [], start=1):
        if not isinstance(item, Mapping) or not set(item) <= {"name", "when", "steps"}:
            raise ScriptError(f"script {number}: a mapping of name, when and steps is needed")
        name = str(item.get("name", f"script {number}"))
        try:
            when = re.compile(str(item["when"])) if "when" in item else None
        except re.error as error:
            raise ScriptError(f"{name}: `when` is no regular expression: {error}") from None
        scripts.append(Script(name=name, when=when, steps=parse_steps(item.get("steps"), name)))
    default = Script(name="default", steps=parse_steps(raw["steps"])) if "steps" in raw else None
    return Book(
        scripts=tuple(scripts),
        default=default,
        keys=frozenset(map(str, raw.get("keys") or ())),
        models=tuple(map(str, raw.get("models") or ("scripted-1",))),
    )


def find_script(text: str, book: Book) -> Script | None:
    """The script that rides in a text (`MODEL-SCRIPT:[...]`, `MODEL-SCRIPT:@name`) or whose rule fits it."""
    found = list(_MARKED.finditer(text))
    if found:
        rest = text[found[-1].end() :]
        if rest.startswith("@"):
            return book.named(rest[1:].split()[0] if rest[1:].split() else "")
        try:
            raw, _ = json.JSONDecoder().raw_decode(rest)
        except ValueError as error:
            raise ScriptError(f"what follows {MARKER} is no JSON: {error}") from None
        return Script(name="prompt", steps=parse_steps(raw, "the prompt's script"))
    return next((script for script in book.scripts if script.when and script.when.search(text)), None)
