"""From a started agent to a session that takes prompts: initialize, resume or load or fork or new, mode."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from acp import PROTOCOL_VERSION, RequestError
from acp.schema import Implementation
from pydantic import ValidationError

from core.agents import ending, prompts
from core.agents.setup import AgentSetup
from core.agents.transcript import Transcript
from core.agents.turn import Turn, TurnStarted
from core.domain.session import How


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`why`, a sentence, where the old session, or the one to branch off, was not taken."""

    id: str
    how: How
    modes: tuple[str, ...]
    why: str = ""

    @property
    def resumed(self) -> bool:
        """It is the old one."""
        return self.how in (How.RESUMED, How.LOADED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    how: How
    call: Callable[..., Awaitable[Any]]
    session: str


async def initialize(connection: Any, agent: AgentSetup) -> Mapping[str, Any]:
    """The agent's capabilities; raises Ended for another version of the protocol."""
    info = Implementation(name="orchard", version="0.1.0")
    answer = await connection.initialize(protocol_version=PROTOCOL_VERSION, client_info=info)
    if answer.protocol_version != PROTOCOL_VERSION:
        raise ending.other_version(agent, answer.protocol_version, PROTOCOL_VERSION)
    return answer.model_dump(mode="json", by_alias=True).get("agentCapabilities") or {}


async def open_session(
    connection: Any,
    agent: AgentSetup,
    offered: Mapping[str, Any],
    transcript: Transcript,
    *,
    cwd: str,
    old: str | None,
    fork_from: str | None = None,
    patience_seconds: float = 30.0,
) -> Session:
    """The old session where the agent can take it up again, one branched off `fork_from`, else a new one.

    Replayed updates of a loaded session come before its answer, and are passed over. A way that is refused,
    or not answered within `patience_seconds`, costs the old session and not the turn.
    """
    why = ""
    ways = _ways(connection, agent, offered, old, fork_from)
    if not ways and (old or fork_from):
        verb = "take a session up again" if old else "branch a session off"
        why = f"{agent.name} cannot {verb}."
    for way in ways:
        try:
            async with asyncio.timeout(patience_seconds):
                response = await way.call(cwd=cwd, session_id=way.session, mcp_servers=[])
        except (RequestError, ValidationError, TimeoutError) as refused:
            said = str(refused).strip().splitlines()
            reason = (
                "no answer in time" if isinstance(refused, TimeoutError) else (said or ["refused"])[0][:200]
            )
            why = f"Session {way.session} could not be {way.how}: {reason}."
            transcript.add("note", why)
            continue
        identity = response.session_id if way.how is How.FORKED else way.session
        return Session(id=identity, how=way.how, modes=_mode_ids(response), why=why)
    response = await connection.new_session(cwd=cwd, mcp_servers=[])
    return Session(id=response.session_id, how=How.FRESH, modes=_mode_ids(response), why=why)


def _ways(
    connection: Any,
    agent: AgentSetup,
    offered: Mapping[str, Any],
    old: str | None,
    fork_from: str | None,
) -> list[_Way]:
    """The best first. What could not be resumed may still be loaded from what the agent has stored."""
    if "fresh_session" in agent.quirks:
        return []
    sessions = offered.get("sessionCapabilities") or {}
    ways = []
    if old and sessions.get("resume") is not None:
        ways.append(_Way(how=How.RESUMED, call=connection.resume_session, session=old))
    if old and offered.get("loadSession"):
        ways.append(_Way(how=How.LOADED, call=connection.load_session, session=old))
    if not old and fork_from and sessions.get("fork") is not None:
        ways.append(_Way(how=How.FORKED, call=connection.fork_session, session=fork_from))
    return ways


async def first_prompt(turn: Turn, how: How) -> tuple[str, How]:
    """What the agent is sent first: where its session is a new one, with what was before it."""
    past = await turn.seed() if how is How.FRESH and turn.seed is not None else ""
    return (prompts.with_past(turn.prompt, past), How.SEEDED) if past else (turn.prompt, how)


def sha256_of(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def session_note(started: TurnStarted) -> Mapping[str, Any]:
    """For the transcript: also what a turn that is cut off leaves of its session."""
    return {
        "session": started.session_id,
        "how": started.how.value,
        "why": started.why,
        "prompt_sha256": started.prompt_sha256,
    }


async def set_mode(connection: Any, agent: AgentSetup, session: Session) -> None:
    """The row's mode, in which it asks before it acts; raises Ended when the agent has none of that name."""
    if agent.mode is None:
        return
    if session.modes and agent.mode not in session.modes:
        raise ending.no_mode(agent, list(session.modes))
    await connection.set_session_mode(session_id=session.id, mode_id=agent.mode)


def _mode_ids(response: Any) -> tuple[str, ...]:
    modes = getattr(response, "modes", None)
    return tuple(mode.id for mode in modes.available_modes) if modes is not None else ()
