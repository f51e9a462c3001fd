"""PURE. What a request asks and what is answered, the same for all four wire formats."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.model_server.script import Book, Script, Step, WrongUsage, find_script

_DIRECTORY = re.compile(
    r"<cwd>([^<]+)</cwd>|working (?:in the )?directory(?: is)?:\s*`?(/[^\s`]+)", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A tool that the request offers; `schema` is the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    freeform: bool = False  # takes a text instead of JSON


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One part of the conversation; `by_model` tells the turns apart, `turn` merges parts of one turn.

    `result` is what tools gave back: it counts as input, but a file that quotes a script starts none.
    """

    by_model: bool
    text: str = ""
    result: str = ""
    turn: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request in neutral words."""

    model: str
    stream: bool
    said: tuple[Said, ...] = ()
    system: str = ""
    tools: tuple[Tool, ...] = ()
    schema: Mapping[str, Any] | None = None  # the answer has to be JSON of this shape
    include_usage: bool = True  # OpenAI chat streams tell usage only when asked to

    @property
    def everything(self) -> str:
        """All text of the request, in order."""
        return "\n".join((self.system, *(said.text + said.result for said in self.said)))

    @property
    def directory(self) -> str | None:
        """The agent's working directory, where its prompt says one."""
        found = _DIRECTORY.search(self.everything)
        return next(filter(None, found.groups())).strip() if found else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Tokens of one call. The three kinds of input do not overlap; `output` includes `reasoning`."""

    fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def input(self) -> int:
        """All tokens of the prompt."""
        return self.fresh + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """Prompt and answer."""
        return self.input + self.output

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in COUNTS})


COUNTS = ("fresh", "cache_read", "cache_write", "output", "reasoning")


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A tool call of an answer; `arguments` is a text for a freeform tool."""

    id: str
    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the model says in one turn."""

    id: str
    model: str
    text: str
    calls: tuple[Call, ...]
    usage: Usage
    created: int  # Unix seconds
    tell_usage: bool = True
    wrong: WrongUsage | None = None

    def text_pieces(self) -> list[str]:
        """The text as a stream brings it: in pieces of a few words."""
        return re.findall(r"(?:\S+\s*|\s+){1,4}", self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where in which script a request is; `identity` is the same for a retry of the same request."""

    script: Script
    index: int
    identity: str

    @property
    def step(self) -> Step:
        """The step to answer with; after the last one there is only a closing word."""
        return self.script.steps[self.index] if self.index < len(self.script.steps) else Step(text="done")


def find_place(asked: Asked, book: Book) -> Place | None:
    """The step that is due: turns of the model since the last message that carries or chooses a script."""
    for position in range(len(asked.said) - 1, -1, -1):
        said = asked.said[position]
        if not said.by_model and (script := find_script(said.text, book)):
            return _place(asked, script, position)
    return _place(asked, book.default, 0) if book.default else None


def _place(asked: Asked, script: Script, position: int) -> Place:
    index = count_turns(asked.said[position:])
    anchor = asked.said[position].text if asked.said else ""
    words = f"{script.name}\0{position}\0{anchor}\0{index}\0{bool(asked.tools)}"
    return Place(script=script, index=index, identity=hashlib.sha256(words.encode()).hexdigest()[:16])


def count_turns(said: tuple[Said, ...]) -> int:
    """Turns of the model: runs of its parts; parts that name the same turn count once even when apart."""
    turns, open_turn, known = 0, False, set[str]()
    for part in said:
        if not part.by_model:
            open_turn = False
            continue
        fresh = part.turn is None or part.turn not in known
        if not open_turn and fresh:
            turns += 1
        if part.turn:
            known.add(part.turn)
        open_turn = True
    return turns


def count_tokens(text: str) -> int:
    """Four characters a token, rounded up: a rule that a test can repeat exactly."""
    return -(-len(text) // 4)


def measure(asked: Asked, text: str, calls: tuple[Call, ...], step: Step, *, writes_cache: bool) -> Usage:
    """The usage of a call: what stood before the model's last turn was cached, the rest is new.

    Args:
        writes_cache: the format tells tokens written to the cache apart from fresh ones (Anthropic).
    """
    last = max((n for n, said in enumerate(asked.said) if said.by_model), default=-1)
    before = asked.system + "".join(said.text + said.result for said in asked.said[: max(last, 0)])
    read = count_tokens(before) if last >= 0 else 0
    fresh = max(count_tokens(asked.everything) - read, 1)
    written = fresh // 2 if writes_cache else 0
    spoken = text + "".join(call.name + repr(call.arguments) for call in calls)
    counts = {
        "fresh": fresh - written,
        "cache_read": read,
        "cache_write": written,
        "output": max(count_tokens(spoken), 1),
        "reasoning": 0,
    } | dict(step.tokens)
    if not writes_cache:  # such a format has no word for it: those tokens are simply input
        counts["fresh"] += counts.pop("cache_write")
    counts["output"] = max(counts["output"], counts["reasoning"])
    return Usage(**counts)


def fill(schema: Mapping[str, Any]) -> Any:
    """A value that fits a JSON schema; `allow` is preferred where a choice has it."""
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return next((word for word in ("allow", "low", "LOW", "approved") if word in choices), choices[0])
    for several in ("anyOf", "oneOf", "allOf"):
        if options := schema.get(several):
            return fill(options[0])
    kind = schema.get("type", "object")
    kind = (kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: fill(properties.get(name, {})) for name in schema.get("required", properties)}
    if kind == "array":
        return [fill(schema.get("items", {}))] * int(schema.get("minItems", 0))
    return {"string": "scripted", "integer": 1, "number": 1.0, "boolean": False, "null": None}.get(kind)
