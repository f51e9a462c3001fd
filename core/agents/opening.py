"""From a started agent to a session that takes prompts: initialize, resume or load or new, mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acp import PROTOCOL_VERSION, RequestError
from acp.schema import Implementation
from pydantic import ValidationError

from core.agents import ending
from core.agents.transcript import Transcript
from core.worker.contract import AgentSetup


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id: str
    resumed: bool  # it is the old one
    modes: tuple[str, ...]


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
) -> Session:
    """The old session where the agent can take it up again, else a new one.

    Replayed updates of a loaded session come before its answer, and are passed over.
    """
    sessions = offered.get("sessionCapabilities") or {}
    take_up = None
    if old and "fresh_session" not in agent.quirks:
        if sessions.get("resume") is not None:
            take_up = connection.resume_session
        elif offered.get("loadSession"):
            take_up = connection.load_session
    if take_up is not None and old:
        try:
            response = await take_up(cwd=cwd, session_id=old, mcp_servers=[])
            return Session(id=old, resumed=True, modes=_mode_ids(response))
        except (RequestError, ValidationError) as refused:
            transcript.add("note", f"session {old} could not be taken up again: {refused}")
    response = await connection.new_session(cwd=cwd, mcp_servers=[])
    return Session(id=response.session_id, resumed=False, modes=_mode_ids(response))


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
