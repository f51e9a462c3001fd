"""What an agent's tool calls say about themselves, pieced together from ACP's plain data. Pure.

A permission request may lack title, kind or input; earlier updates of the same tool call have them.
Nothing here trusts a type: every field may be missing, null or of the wrong kind.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.agents.policy import ToolRequest

_DETAIL_LIMIT = 100_000
_PATH_KEYS = ("path", "file_path", "filePath", "abs_path", "absolute_path", "notebook_path", "filename")
_CWD_KEYS = ("cwd", "workdir", "working_directory", "directory", "dir_path")
_OVER = frozenset({"completed", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool call so far."""

    id: str
    title: str = ""
    kind: str = ""
    status: str = "pending"
    paths: tuple[str, ...] = ()  # as the agent wrote them
    command: str = ""
    diff: str = ""
    input: str = ""
    cwd: str = ""  # where a command is to run, as the agent wrote it

    @property
    def over(self) -> bool:
        return self.status in _OVER


def merge(known: Tool | None, update: Mapping[str, Any]) -> Tool:
    """`known` with what `update` (a tool_call, tool_call_update or a request's toolCall) adds."""
    tool = known or Tool(id=_text(update.get("toolCallId")))
    raw = update.get("rawInput")
    fields = raw if isinstance(raw, dict) else {}
    paths = dict.fromkeys([*tool.paths, *_paths(update, fields)])
    return replace(
        tool,
        title=_text(update.get("title")) or tool.title,
        kind=_text(update.get("kind")) or tool.kind,
        status=_text(update.get("status")) or tool.status,
        paths=tuple(paths),
        command=_command(fields) or tool.command,
        diff=_diffs(update.get("content")) or tool.diff,
        input=_input(raw) or tool.input,
        cwd=next(filter(None, (_text(fields.get(key)) for key in _CWD_KEYS)), "") or tool.cwd,
    )


def request_of(tool: Tool, relative: Callable[[str], str], *, worktree: str = "") -> ToolRequest:
    """What a person or the policy is asked; `relative` maps a path to one below the worktree, if it is.

    `worktree`: its absolute path, for what a command names with it.
    """
    title = tool.title or tool.command or tool.kind or "an action without a name"
    command = tool.command or (tool.title if tool.kind == "execute" else "")
    detail = "\n".join(part for part in (command, tool.diff) if part) or tool.input or title
    return ToolRequest(
        kind=tool.kind,
        title=" ".join(title.split())[:300],
        paths=tuple(dict.fromkeys(relative(path) for path in tool.paths)),
        command=command,
        detail=detail[:_DETAIL_LIMIT],
        worktree=worktree,
        cwd=_folder(tool.cwd, relative, worktree),
    )


def _folder(path: str, relative: Callable[[str], str], worktree: str) -> str | None:
    """A folder of the worktree, relative to it; None for one outside."""
    if not path or (worktree and posixpath.normpath(posixpath.join(worktree, path)) == worktree):
        return ""
    path = relative(path)
    return None if path.startswith("/") or ".." in path.split("/") else path


def choose(options: Iterable[Any], *, allow: bool) -> str | None:
    """The id of the option to pick, by kind, the narrowest first; None when no option fits."""
    for kind in ("allow_once", "allow_always") if allow else ("reject_once", "reject_always"):
        for option in options:
            if option.kind == kind:
                return str(option.option_id)
    return None


def entries(value: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list; nothing of what is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _paths(update: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    found = [_text(place.get("path")) for place in entries(update.get("locations"))]
    found += [
        _text(part.get("path")) for part in entries(update.get("content")) if part.get("type") == "diff"
    ]
    found += [_text(fields.get(key)) for key in _PATH_KEYS]
    changes = fields.get("changes")  # one agent maps each path to its change
    if isinstance(changes, dict):
        found += [path for path in changes if isinstance(path, str)]
    return [path for path in found if path]


def _command(fields: Mapping[str, Any]) -> str:
    for key in ("command", "cmd", "script"):
        value = fields.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value:
            return shlex.join(str(word) for word in value)  # so that no word can become two
    return ""


def _diffs(content: Any) -> str:
    parts = []
    for part in entries(content):
        if part.get("type") != "diff":
            continue
        path = _text(part.get("path"))
        old, new = _text(part.get("oldText"))[:_DETAIL_LIMIT], _text(part.get("newText"))[:_DETAIL_LIMIT]
        lines = difflib.unified_diff(
            old.splitlines(), new.splitlines(), fromfile=path, tofile=path, lineterm=""
        )
        parts.append("\n".join(lines))
    return "\n".join(part for part in parts if part)


def _input(raw: Any) -> str:
    if raw is None or raw in ({}, []):
        return ""
    return raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, indent=1, default=str)
