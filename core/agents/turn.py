"""One prompt to an agent: what goes in, what is seen, what comes out. No protocol's names in here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.agents.redaction import Redactor
from core.agents.setup import ModelAccess
from core.agents.templates import PromptTemplate
from core.domain.approval import PermissionAnswer
from core.domain.refused_call import RefusedCall
from core.domain.session import How

Seed = Callable[[], Awaitable[str]]  # "" where there is nothing before this turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """`home` is the agent's private HOME and outlives the turn, since agents keep sessions there.

    Beside `transcript` (JSONL) goes what the agent wrote to stderr, with the suffix `.stderr`.
    """

    prompt: str
    cwd: Path  # the worktree, absolute
    home: Path
    transcript: Path
    session_id: str | None = None  # to be taken up again where the agent can
    timeout_seconds: float = 1800.0  # the whole turn; waiting for people is not counted
    stall_seconds: float = 600.0  # nothing heard, no tool running, nobody asked: people are told
    stall_cancel_seconds: float = 900.0  # for this long: the turn is ended as FAILED
    start_seconds: float = 60.0  # until it has answered `initialize`, and until it has a session
    output_limit_bytes: int = 512 << 20  # everything it may print to stdout in a turn
    model: ModelAccess | None = None  # where its model calls go, to be asked about when it is silent
    fork_from: str | None = (
        None  # another story's session, branched off where the agent can; without session_id
    )
    seed: Seed | None = None  # what a session that is not taken up again is told, after the prompt
    steering: PromptTemplate | None = None  # a project's own form of what people say to a running turn
    how: How = How.FRESH  # for an agent without sessions: whether its prompt tells of what was before
    redactor: Redactor = field(default_factory=Redactor)  # of all that is written down
    heading: Mapping[str, Any] = field(default_factory=dict)  # what the transcript says of the turn first


class TurnKind(StrEnum):
    IDLE = "idle"  # the agent says it is done; the gate judges the files
    BLOCKED = "blocked"  # people must mend something first: a login, a bill
    LIMITED = "limited"  # the agent's provider takes no more work until `limited_until`
    FAILED = "failed"  # no turn worth judging: start, protocol, crash, time-out
    CANCELLED = "cancelled"  # we ended it


class Rung(StrEnum):
    """The stop ladder."""

    CANCEL = "session/cancel"
    EOF = "stdin closed"
    TERM = "SIGTERM"
    KILL = "tree killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """`text` holds the agent's closing words, untrusted; of a steered turn those of each prompt, in order.

    `usage` is the agent's word, never added up: what earlier prompts of a steered turn were answered
    is in its list `earlier`. Texts of people are in `steered` when a prompt carried them and in
    `unheard` when none did; where the kind is not IDLE, both want saying again in the next turn.
    """

    kind: TurnKind
    text: str = ""
    session_id: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""  # one sentence for people, when BLOCKED, LIMITED or FAILED
    hint: str = ""
    limited_until: datetime | None = None  # LIMITED: aware UTC; None: the provider did not say
    steered: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()
    stop_reason: str = ""  # ACP's, when the prompt was answered
    rungs: tuple[Rung, ...] = ()  # of the stop ladder that were needed, in order
    exit_code: int | None = None
    seconds: float = 0.0
    tools: int = 0  # tool calls seen
    malformed: int = 0  # lines that were no message, or too long
    began: bool = True  # False: it could not be started, or was over before it had its task


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    agent: str
    session_id: str
    resumed: bool
    how: How = How.FRESH
    why: str = ""  # the session was not taken up as it was, in a sentence
    prompt_sha256: str = field(default="", compare=False)  # of the prompt as it was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentText:
    text: str
    thought: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted:
    id: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnded:
    id: str
    title: str
    kind: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionAsked:
    """Left to people; `detail` is the whole command or diff."""

    title: str
    detail: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDecided:
    title: str
    allowed: bool
    by: str  # "policy" | "people"
    reason: str
    refused: RefusedCall | None = None  # why it is not allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnIdle:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnBlocked:
    error: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLimited:
    error: str
    hint: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSteered:
    """A person's words went into a prompt of this turn."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed:
    error: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCancelled:
    pass


TurnEvent = (
    TurnStarted | AgentText | ToolStarted | ToolEnded | PermissionAsked | PermissionDecided
    | TurnSteered | TurnIdle | TurnBlocked | TurnLimited | TurnFailed | TurnCancelled
)  # fmt: skip

OnEvent = Callable[[TurnEvent], Awaitable[None]]
AskPeople = Callable[[PermissionAsked], Awaitable[PermissionAnswer]]
OnStalled = Callable[[float, str], Awaitable[None]]  # seconds of silence, what it did last for people
