"""PURE. Neutral actions (write, read, run) as calls of whatever tools an agent offers."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping
from typing import Any

from tests.model_server.conversation import Asked, Tool, fill
from tests.model_server.script import Action

_WRITERS = ("write", "write_file", "writefile", "create_file", "file_write")
_EDITORS = ("str_replace_based_edit_tool", "str_replace_editor", "file_editor")  # one tool, a `command` each
_READERS = ("read", "read_file", "readfile", "view_file")
_SHELLS = (
    "bash",
    "exec_command",
    "shell",
    "shell_command",
    "run_shell_command",
    "terminal",
    "execute_bash",
    "run_command",
    "run_terminal_cmd",
    "local_shell",
)
_PATHS = ("file_path", "path", "absolute_path", "filePath", "target_file", "filename")
_CONTENTS = ("content", "file_text", "contents", "text")
_COMMANDS = ("command", "cmd", "script")


class NoToolOffered(LookupError):
    """The request offers no tool that could do the action; the text names what was offered."""


def translate(action: Action, asked: Asked) -> tuple[Tool, Mapping[str, Any] | str]:
    """The tool and the arguments that do an action; NoToolOffered when none can."""
    if action.kind == "tool":
        name, arguments = action.values
        named = next((tool for tool in asked.tools if tool.name == name), Tool(name=name))
        return named, dict(arguments)
    if action.kind == "run":
        return _run(action.values[0], asked)
    path = str(action.values[0])
    tool: Tool | None
    if action.kind == "write":
        if tool := _find(asked, _WRITERS):
            return tool, _filled(tool, _path(tool, path, asked) | _one(tool, _CONTENTS, action.values[1]))
        if tool := _find(asked, _EDITORS):
            create = (
                {"command": "create"} | _path(tool, path, asked) | _one(tool, _CONTENTS, action.values[1])
            )
            return tool, _filled(tool, create)
        folder = posixpath.dirname(path) or "."
        made = f"mkdir -p {shlex.quote(folder)} && printf %s {shlex.quote(str(action.values[1]))}"
        return _run(f"{made} > {shlex.quote(path)}", asked)
    if tool := _find(asked, _READERS):
        return tool, _filled(tool, _path(tool, path, asked))
    if tool := _find(asked, _EDITORS):
        return tool, _filled(tool, {"command": "view"} | _path(tool, path, asked))
    return _run(f"cat {shlex.quote(path)}", asked)


def _run(command: str, asked: Asked) -> tuple[Tool, Mapping[str, Any]]:
    tool = _find(asked, _SHELLS)
    if tool is None:
        offered = ", ".join(tool.name for tool in asked.tools) or "none"
        raise NoToolOffered(f"no tool runs a command or writes a file; offered: {offered}")
    name = _argument(tool, _COMMANDS)
    listed = tool.schema.get("properties", {}).get(name, {}).get("type") in ("array", "ARRAY")
    return tool, _filled(tool, {name: ["bash", "-lc", command] if listed else command})


def _find(asked: Asked, names: tuple[str, ...]) -> Tool | None:
    """The offered tool of the first fitting name; what an MCP server's name puts before it is left away."""
    for name in names:
        for tool in asked.tools:
            if not tool.freeform and tool.name.rsplit("__", 1)[-1].lower() == name:
                return tool
    return None


def _argument(tool: Tool, names: tuple[str, ...]) -> str:
    properties = tool.schema.get("properties", {})
    return next((name for name in names if name in properties), names[0])


def _one(tool: Tool, names: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {_argument(tool, names): str(value)}


def _path(tool: Tool, path: str, asked: Asked) -> dict[str, Any]:
    """Many tools want absolute paths, so the agent's own word for its directory is put before."""
    directory = asked.directory
    if directory and not posixpath.isabs(path):
        path = posixpath.join(directory, path)
    return _one(tool, _PATHS, path)


def _filled(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Adds what the tool also wants (OpenHands: `security_risk` and `summary` on every tool)."""
    properties = tool.schema.get("properties", {})
    missing = {name: fill(properties.get(name, {})) for name in tool.schema.get("required", ())}
    return missing | arguments
