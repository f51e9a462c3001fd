"""Neutral steps find the tools that real agents offer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model_server.conversation import Asked, Said, Tool
from tests.model_server.script import Action
from tests.model_server.tools import NoToolOffered, translate


def offering(*tools: tuple[str, dict[str, Any]], system: str = "", required: tuple[str, ...] = ()) -> Asked:
    schemas = [(name, {"properties": properties, "required": required}) for name, properties in tools]
    return Asked(
        model="m",
        stream=False,
        said=(Said(by_model=False, text="hi"),),
        system=system,
        tools=tuple(Tool(name=name, schema=schema) for name, schema in schemas),
    )


WRITE = Action(kind="write", values=("d/a.txt", "it's"))
RUN = Action(kind="run", values=("ls",))
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("name", "properties", "arguments"),
    [
        ("Write", {"file_path": TEXT, "content": TEXT}, {"file_path": "d/a.txt", "content": "it's"}),
        ("write_file", {"path": TEXT, "content": TEXT}, {"path": "d/a.txt", "content": "it's"}),
        ("write", {"filePath": TEXT, "content": TEXT}, {"filePath": "d/a.txt", "content": "it's"}),
        (
            "str_replace_based_edit_tool",
            {"command": TEXT, "path": TEXT, "file_text": TEXT},
            {"command": "create", "path": "d/a.txt", "file_text": "it's"},
        ),
        (
            "mcp__acp__Write",
            {"file_path": TEXT, "content": TEXT},
            {"file_path": "d/a.txt", "content": "it's"},
        ),
        ("exec_command", {"cmd": TEXT}, {"cmd": "mkdir -p d && printf %s 'it'\"'\"'s' > d/a.txt"}),
    ],
)
def test_writes_with_what_is_offered(
    name: str, properties: dict[str, Any], arguments: dict[str, Any]
) -> None:
    tool, got = translate(WRITE, offering((name, properties)))
    assert (tool.name, got) == (name, arguments)


@pytest.mark.parametrize(
    ("name", "properties", "arguments"),
    [
        ("Bash", {"command": TEXT}, {"command": "ls"}),
        ("run_shell_command", {"command": TEXT}, {"command": "ls"}),
        ("exec_command", {"cmd": TEXT}, {"cmd": "ls"}),
        ("shell", {"command": {"type": "array"}}, {"command": ["bash", "-lc", "ls"]}),
        ("terminal", {"command": TEXT}, {"command": "ls"}),
    ],
)
def test_runs_with_what_is_offered(name: str, properties: dict[str, Any], arguments: dict[str, Any]) -> None:
    tool, got = translate(RUN, offering((name, properties)))
    assert (tool.name, got) == (name, arguments)


def test_fills_what_a_tool_requires_beside() -> None:
    properties = {"command": TEXT, "security_risk": {"enum": ["HIGH", "LOW"]}, "summary": TEXT}
    asked = offering(("terminal", properties), required=("command", "security_risk", "summary"))
    _, got = translate(RUN, asked)
    assert got == {"command": "ls", "security_risk": "LOW", "summary": "scripted"}


@pytest.mark.parametrize("words", ["<cwd>/home/x</cwd>", "Primary working directory: /home/x\n"])
def test_paths_become_absolute_where_the_agent_says_its_directory(words: str) -> None:
    asked = offering(("Write", {"file_path": TEXT, "content": TEXT}), system=words)
    _, got = translate(WRITE, asked)
    assert isinstance(got, dict)
    assert got["file_path"] == "/home/x/d/a.txt"


def test_says_what_was_offered_when_nothing_fits() -> None:
    with pytest.raises(NoToolOffered, match="WebSearch"):
        translate(WRITE, offering(("WebSearch", {})))
