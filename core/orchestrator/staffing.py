"""Who works on a story next: the choice by the settings, held against what happened to the story so far."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.agents.roles import ROLE_OF, Role
from core.agents.setup import AgentSetup
from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.orchestrator.agent_choice import STARTS, Choice, Kept
from core.orchestrator.setups import Setups
from core.store import events

_LOOKED_AT = 50
_KINDS = (
    EventKind.PHASE_STARTED,
    EventKind.AGENT_FAILED,
    EventKind.GATE_PASSED,
    EventKind.GATE_REFUSED,
    EventKind.STORY_UNBLOCKED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """`last`: whose turn was the last, and in which role. `failed_starts`: in a row, by agent."""

    last: Kept | None = None
    failed_starts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staffed:
    """`goes_on`: the story's conversation is this agent's."""

    agent: AgentSetup
    choice: Choice
    goes_on: bool


def past_of(conn: sqlite3.Connection, story_id: str) -> Past:
    """By the story's events: what an agent did that had its task ends a row of failed starts."""
    last: Kept | None = None
    failed: Counter[str] = Counter()
    in_a_row = True
    for event in reversed(events.latest(conn, story_id=story_id, kinds=_KINDS, limit=_LOOKED_AT)):
        if event.kind is EventKind.PHASE_STARTED:
            role = ROLE_OF.get(Phase(event.data["phase"]))
            if last is None and role is not None and event.data.get("agent"):
                last = Kept(name=event.data["agent"], role=role)
        elif event.kind is EventKind.AGENT_FAILED and event.data.get("began") is False:
            if in_a_row and (name := event.data.get("agent")):
                failed[name] += 1
        else:
            in_a_row = False
    return Past(last=last, failed_starts=failed)


class Staffing:
    """`held`: why an agent cannot reach its model now, in a sentence; empty when it can."""

    def __init__(self, setups: Setups, held: Callable[[str], str]) -> None:
        self._setups = setups
        self._held = held

    def choose(self, project: str, role: Role, past: Past, *, session_id: str | None) -> Staffed:
        """Raises Unavailable when no agent is chosen or none can be started here."""
        choice = self._setups.choice(
            project,
            role,
            held=self._held,
            failed_starts=lambda name: past.failed_starts.get(name, 0),
            kept=past.last if session_id else None,
        )
        agent = self._setups.agent_named(choice.name)
        goes_on = past.last is None or past.last.name == agent.name
        return Staffed(agent=agent, choice=choice, goes_on=goes_on)

    def has_other(self, project: str, role: Role, agent: str, past: Past) -> bool:
        """Whether another agent may still take what this one, once more, could not start with."""
        failed = Counter(past.failed_starts)
        failed[agent] += 1
        able = self._setups.able_agents(project, role)
        return any(failed[name] < STARTS and not self._held(name) for name in able)
