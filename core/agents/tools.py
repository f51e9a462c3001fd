"""What an agent's tool calls say about themselves, pieced together from ACP's plain data. Pure.

A permission request may lack title, kind or input; earlier updates of the same tool call have them.
Nothing here trusts a type: every field may be missing, null or of the wrong kind.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.agents.policy import ToolRequest

_DETAIL_LIMIT = 100_000
_PATH_KEYS = (
    "path", "file_path", "filePath", "abs_path", "absolute_path", "notebook_path", "filename", "file",
    "source", "src", "destination", "dest", "dst", "target", "from", "to", "target_file", "uri", "paths",
    "files", "old_path", "new_path", "oldPath", "newPath", "move_path", "movePath", "edits", "changes",
)  # fmt: skip
_COMMAND_KEYS = ("command", "cmd", "script", "commands", "code", "shell_command", "bash")
_PATCHED = re.compile(
    r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+?)[ \t\r]*$|^(?:\+\+\+|---) (?:[ab]/)?(\S+)",
    re.MULTILINE,
)
_MOST_PATHS = 2_000
_DEEPEST = 6
_ARGUMENT_KEYS = ("args", "arguments", "argv")
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
    commands: tuple[str, ...] = ()  # all that it ever said it would run, where that was more than one
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
        command=said[-1] if (said := _commands(fields)) else tool.command,
        commands=tuple(dict.fromkeys([*tool.commands, *said])),
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
    others = [each for each in tool.commands if each != command]
    detail = "\n".join(part for part in (command, *others, tool.diff) if part) or tool.input or title
    return ToolRequest(
        kind=tool.kind,
        title=" ".join(title.split())[:300],
        paths=tuple(dict.fromkeys(relative(path) for path in tool.paths)),
        command=command,
        commands=tuple(others),
        opaque=not tool.command and bool(tool.input),
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
    found += _named(fields, _DEEPEST)
    return [path.removeprefix("file://") for path in found if path][:_MOST_PATHS]


def _named(fields: Mapping[str, Any], deep: int) -> list[str]:
    """The paths that an input names by its keys; one agent maps each to its change, others list them."""
    found: list[str] = []
    for key in _PATH_KEYS:
        value = fields.get(key)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict) and key == "changes":
            found += [path for path in value if isinstance(path, str)]
            inner = [each for each in value.values() if isinstance(each, dict)]
            found += [path for each in inner if deep for path in _named(each, deep - 1)]
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, str)]
            found += [path for each in entries(value) if deep for path in _named(each, deep - 1)]
    for key in ("patch", "input", "diff"):
        for match in _PATCHED.finditer(_text(fields.get(key))):
            found += [path for path in match.groups() if path and path != "/dev/null"]
    return found


def _commands(fields: Mapping[str, Any]) -> list[str]:
    """Each command of the input; which of them an agent runs, it alone knows."""
    found: list[str] = []
    for key in _COMMAND_KEYS:
        value = fields.get(key)
        if isinstance(value, str):
            arguments: list[Any] = next(
                (fields[name] for name in _ARGUMENT_KEYS if isinstance(fields.get(name), list)), []
            )
            more = shlex.join(str(word) for word in arguments)
            found.append(f"{value} {more}".strip() if more else value)
        elif isinstance(value, list) and value:
            if key == "commands":
                found += [str(each) for each in value]
            else:
                found.append(shlex.join(str(word) for word in value))  # so that no word can become two
    found.reverse()  # the usual key's is the last, which is the one that is shown first
    return [each for each in found if each.strip()]


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
