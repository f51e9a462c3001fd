"""PURE: what is asked of an agent when it is checked, and how its answers are told. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

GREETING_FILE = "greeting.txt"
GREETING = "Hello from Orchard"
MEMORY_FILE = "remembered.txt"
WAITING_COMMAND = "tail -f README.md"  # some agents shortcut a `sleep`

_PREAMBLE = (
    "Orchard, which started you, checks how well it can work with you. This is a small git repository that "
    "was made for it and is thrown away afterwards. Use your tools; nobody will answer questions. "
)


def editing_prompt() -> str:
    return (
        f"{_PREAMBLE}Do these two things, one after the other. First: create the file {GREETING_FILE} in "
        f"the current folder, with this one line in it: {GREETING}. Second: run the command "
        "`git status --short`. "
        "Change nothing else. Then end your turn with one short sentence."
    )


def remembering_prompt() -> str:
    return (
        "Another part of the same check. Earlier in this session you created a file. Create the file "
        f"{MEMORY_FILE} in the current folder, with that file's name as its one line; if you do not know its "
        "name, write the word unknown instead, without looking for it. Then end your turn with one short "
        "sentence."
    )


def waiting_prompt() -> str:
    return (
        f"{_PREAMBLE}It will be checked that you can be stopped while a command runs. Run exactly this "
        f"command in your shell tool, in the foreground, and wait for it: `{WAITING_COMMAND}`. It does not "
        "end by itself, which is intended: you will be stopped. Do nothing else before or after it."
    )


class Step(StrEnum):
    STARTS = "starts"
    SESSION = "session"
    EDITS = "edits"
    ASKS = "asks"
    USAGE = "reports usage"
    RESUMES = "resumes"
    CANCELS = "cancels"
    LEAVES = "leaves nothing behind"


class Mark(StrEnum):
    OK = "ok"
    NOTE = "note"  # works, in a way that people should know of
    FAILED = "failed"
    SKIPPED = "skipped"  # it could not be tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    step: Step
    mark: Mark
    found: str
    mend: str = ""


OnOutcome = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """A check's rows in the order of Step. `by`: how the agent reached its model, for people."""

    agent: str
    versions: Mapping[str, str]
    by: str
    isolation: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return all(outcome.mark not in (Mark.FAILED, Mark.SKIPPED) for outcome in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metered:
    """What the gateway counted in a turn. `input_tokens` are all of the prompts, cached ones too."""

    calls: int
    input_tokens: int
    output_tokens: int


def usage_outcome(metered: Metered | None, said: Mapping[str, object], meaning: str) -> Outcome:
    """By whose word the tokens of a turn are known: the gateway's, else the agent's."""
    word = _agents_word(said)
    if metered is not None and metered.calls and metered.input_tokens:
        found = (
            f"{metered.input_tokens} in, {metered.output_tokens} out in {metered.calls} calls, by the gateway"
        )
        return Outcome(step=Step.USAGE, mark=Mark.OK, found=f"{found}; the agent's word: {word or 'none'}")
    if metered is not None:
        return Outcome(
            step=Step.USAGE,
            mark=Mark.FAILED,
            found=f"the gateway saw {metered.calls} calls and no tokens; the agent's word: {word or 'none'}",
            mend="It does not ask its models through the gateway: mend its row's gateway.",
        )
    if word:
        found = f"the agent's word: {word} (meaning: {meaning})"
        return Outcome(step=Step.USAGE, mark=Mark.OK if meaning != "none" else Mark.NOTE, found=found)
    mark = Mark.NOTE if meaning == "none" else Mark.FAILED
    return Outcome(
        step=Step.USAGE,
        mark=mark,
        found="nothing was said of tokens",
        mend="Only the gateway can count what it uses: check it there.",
    )


def _agents_word(said: Mapping[str, object]) -> str:
    """The figures of whatever the agent told, wherever in it they stand."""
    found = dict(_figures(said))
    return ", ".join(f"{key} {value:g}" for key, value in list(found.items())[:4])


def _figures(value: object, key: str = "") -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [each for name, part in value.items() for each in _figures(part, str(name))]
    if isinstance(value, list):
        return [each for part in value for each in _figures(part, key)]
    if isinstance(value, int | float) and not isinstance(value, bool) and "oken" in key and value:
        return [(key, value)]
    return []
