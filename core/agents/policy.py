"""What to answer when an agent asks for permission. Pure.

A request is an interface for people, not a security boundary: the sandbox is. So the policy refuses
what the role may never do, lets through what the sandbox confines, and leaves the rest to people.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.agents.roles import Rights
from core.isolation.plan import Level

_LOOKING = frozenset({"read", "search", "think"})
_CHANGING = frozenset({"edit", "delete", "move"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """One thing that an agent wants to do. All of it is the agent's own word."""

    kind: str  # ACP's tool kinds; "" when the agent never said
    title: str
    paths: tuple[str, ...] = ()  # relative to the worktree; absolute when outside
    command: str = ""  # kind "execute": the whole command
    detail: str = ""  # the whole command, diff or input, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    reasons: tuple[str, ...]


Decision = Allow | Deny | Ask


def decide(request: ToolRequest, rights: Rights, level: Level) -> Decision:
    """Allow, deny or leave to people what `request` asks for, by kind, role and sandbox level."""
    if request.kind in _LOOKING:
        return Allow(reason=f"{request.kind} changes nothing")
    if request.kind in _CHANGING:
        return _decide_change(request, rights)
    if request.kind == "execute":
        if level is Level.PROCESS:
            return Ask(
                reasons=("runs a command, and the sandbox does not confine its files (level process)",)
            )
        return Allow(reason=f"runs inside the {level.value} sandbox")
    if request.kind == "fetch":
        return Ask(reasons=("fetches from the network",))
    return Ask(reasons=(f"an action of kind {request.kind or 'unknown'!r} that no rule covers",))


def _decide_change(request: ToolRequest, rights: Rights) -> Decision:
    if not request.paths:
        return Ask(reasons=("changes files without saying which",))
    outside = [path for path in request.paths if not rights.may_write(path)]
    if outside:
        return Deny(reason=f"{rights.describe()}; not {', '.join(outside[:5])}")
    return Allow(reason=f"{rights.describe()}; within it")
