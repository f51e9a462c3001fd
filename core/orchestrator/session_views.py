"""What people see of agents' sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from core.store.agent_sessions import AgentSession, SessionFork, SessionLink, SessionTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """`id` is what `show` takes: that of the session's last turn. Tokens by the ledger, else 0."""

    id: str
    session: AgentSession
    title: str  # of the story, or of the epic
    tokens: int = 0
    microdollars: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnView:
    """`prompt` as it was sent, but for what was redacted; "" where the transcript is gone."""

    turn: SessionTurn
    tokens: int = 0
    microdollars: int = 0
    prompt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDetail:
    """One session: its turns, the last one's prompt and words, and what it is tied to."""

    view: SessionView
    turns: tuple[TurnView, ...]  # oldest first; only the last has its prompt
    transcript: str = ""  # the last turn's, as people read it; "" where it is gone
    gone: str = ""  # why there is none, in a sentence
    fork: SessionFork | None = None  # what the story's first turn went, or will go, on from
    links: tuple[SessionLink, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """`snippet` marks what was found with `[` and `]`."""

    turn: SessionTurn
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    query: str
    hits: tuple[SearchHit, ...] = field(default=())  # the best first
    indexed: int = 0  # turns that can be found
    waiting: int = 0  # turns that are not indexed yet
    newest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkView:
    fork: SessionFork
    source: SessionTurn
    sentence: str  # what will happen


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    story_id: str
    links: tuple[SessionLink, ...]
    sentence: str  # what will happen
