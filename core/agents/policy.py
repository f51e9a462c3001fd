"""What to answer when an agent asks for permission. PURE.

A request is an interface for people, not a security boundary: the sandbox is. So the policy refuses
what the role may never do, lets through what the sandbox confines, and leaves the rest to people. A command
line is read as a shell reads it and judged command by command; what cannot be read so needs a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.agents.roles import Rights
from core.agents.shell.judge import Judge
from core.domain.refused_call import RefusedCall
from core.isolation.plan import Level

_LOOKING = frozenset({"read", "search", "think"})
_REASONS = 5  # that people are shown
_FOREIGN_TOOL = re.compile(r"mcp(__|[:./])|.*\((\S+ )?MCP( Server| Tool)?\)", re.IGNORECASE)
# What everybody may read; elsewhere, in a sandbox without files of its own, lie other people's.
_OPEN_TO_ALL = ("/usr/", "/opt/", "/lib", "/bin/", "/tmp/", "/nix/store/")  # noqa: S108 nothing is opened here
_CHANGING = frozenset({"edit", "delete", "move"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """One thing that an agent wants to do. All of it is the agent's own word."""

    kind: str  # ACP's tool kinds; "" when the agent never said
    title: str
    paths: tuple[str, ...] = ()  # relative to the worktree; absolute when outside
    command: str = ""  # kind "execute": the whole command
    commands: tuple[str, ...] = ()  # others that the same call named, before or under another name
    opaque: bool = False  # it says what it does in a form that was not understood
    detail: str = ""  # the whole command, diff or input, for people
    worktree: str = ""  # absolute; "" when not known, and absolute paths count as outside
    cwd: str | None = ""  # where the command runs, relative to the worktree; None when not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    reason: str
    refused: RefusedCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    reasons: tuple[str, ...]


Decision = Allow | Deny | Ask


def decide(request: ToolRequest, rights: Rights, level: Level) -> Decision:
    """Allow, deny or leave to people what `request` asks for, by kind, role and sandbox level."""
    if _FOREIGN_TOOL.match(request.title):
        return Ask(reasons=("a tool of another server, whatever kind it says that it is",))
    runs = request.kind == "execute" or bool(request.command or request.commands)
    if request.kind in _CHANGING:
        change = _decide_change(request, rights)
        if isinstance(change, Deny) or not runs:
            return change
    if runs:
        # Also where it calls itself a look or an edit: what it would run counts, not what it says it is.
        return _decide_command(request, rights, level)
    if request.kind in _LOOKING:
        return _decide_look(request, level)
    if request.kind == "fetch":
        return Ask(reasons=("fetches from the network",))
    return Ask(reasons=(f"an action of kind {request.kind or 'unknown'!r} that no rule covers",))


def _decide_look(request: ToolRequest, level: Level) -> Decision:
    secret = [path for path in request.paths if path.startswith("/") and not path.startswith(_OPEN_TO_ALL)]
    if level is Level.PROCESS and secret:
        return Ask(reasons=(f"looks outside the worktree, at {', '.join(secret[:5])}",))
    return Allow(reason=f"{request.kind} changes nothing")


def _decide_change(request: ToolRequest, rights: Rights) -> Decision:
    if not request.paths:
        return Ask(reasons=("changes files without saying which",))
    outside = [path for path in request.paths if not rights.may_write(path)]
    if outside:
        why = f"{rights.describe()}; not {', '.join(outside[:5])}"
        return Deny(reason=why, refused=RefusedCall.RIGHTS)
    return Allow(reason=f"{rights.describe()}; within it")


def _decide_command(request: ToolRequest, rights: Rights, level: Level) -> Decision:
    asked: list[str] = []
    for command in (request.command or request.title, *request.commands):
        judge = Judge(rights=rights, worktree=request.worktree, cwd=request.cwd)
        judge.judge(command)
        if judge.denied:
            why = "; ".join(dict.fromkeys(judge.denied[:5]))
            return Deny(reason=why, refused=RefusedCall.COMMAND)
        asked += judge.asked
    if request.opaque:
        asked.append("runs a command that it names by its title only, beside an input that is not understood")
    reasons = list(dict.fromkeys(asked))[:_REASONS]
    if not (request.command or request.title).strip():
        reasons.append("runs a command without saying which")
    if level is Level.PROCESS:
        reasons.append("runs a command, and the sandbox does not confine its files (level process)")
    return Ask(reasons=tuple(reasons)) if reasons else Allow(reason=f"runs inside the {level.value} sandbox")
