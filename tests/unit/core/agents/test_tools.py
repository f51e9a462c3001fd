from __future__ import annotations

from dataclasses import dataclass

import pytest

from core.agents import tools


@dataclass
class Option:
    option_id: str
    kind: str


def test_later_updates_add_to_a_tool_and_never_take_away():
    tool = tools.merge(
        None, {"toolCallId": "1", "title": "Edit a", "kind": "edit", "locations": [{"path": "/w/a"}]}
    )

    tool = tools.merge(tool, {"toolCallId": "1", "title": None, "kind": None, "status": "completed"})

    assert (tool.title, tool.kind, tool.paths, tool.over) == ("Edit a", "edit", ("/w/a",), True)


@pytest.mark.parametrize(
    "update",
    [
        {"rawInput": {"file_path": "/w/a"}},
        {"rawInput": {"filePath": "/w/a"}},
        {"rawInput": {"changes": {"/w/a": {"add": {}}}}},
        {"locations": [{"path": "/w/a", "line": 3}]},
        {"content": [{"type": "diff", "path": "/w/a", "oldText": None, "newText": "x"}]},
    ],
)
def test_paths_are_found_wherever_agents_put_them(update):
    assert tools.merge(None, {"toolCallId": "1", **update}).paths == ("/w/a",)


@pytest.mark.parametrize(
    "raw", [{"command": "rm x"}, {"cmd": ["rm", "x"]}, {"command": ["rm", "x"], "cwd": "/"}]
)
def test_commands_come_as_text_or_list(raw):
    request = tools.request_of(tools.merge(None, {"kind": "execute", "rawInput": raw}), str)

    assert (request.command, request.detail, request.title) == ("rm x", "rm x", "rm x")


def test_people_see_the_whole_diff():
    content = [{"type": "diff", "path": "/w/a", "oldText": "one\ntwo\n", "newText": "one\n2\n"}]
    request = tools.request_of(tools.merge(None, {"kind": "edit", "title": "Edit", "content": content}), str)

    assert "-two" in request.detail
    assert "+2" in request.detail


@pytest.mark.parametrize(
    "nonsense",
    [
        {"title": 5, "kind": [], "status": {}, "locations": 7, "content": "x", "rawInput": 3},
        {"locations": [None, {"path": 5}], "content": [{"type": "diff"}], "rawInput": {"command": 5}},
        {"rawInput": [1, 2], "content": [{"type": "diff", "path": None, "oldText": 1, "newText": []}]},
    ],
)
def test_nothing_is_taken_for_granted(nonsense):
    request = tools.request_of(tools.merge(None, nonsense), str)

    assert request.title
    assert request.paths == ()


def test_the_narrowest_option_of_the_kind_is_chosen_and_ids_mean_nothing():
    options = [Option("reject", "allow_always"), Option("y", "allow_once"), Option("z", "allow_once")]

    assert tools.choose(options, allow=True) == "y"
    assert tools.choose(options, allow=False) is None
    assert tools.choose([Option("allow", "reject_always")], allow=False) == "allow"
    assert tools.choose([Option("n", "allow_always")], allow=True) == "n"


def test_a_word_of_a_list_never_becomes_two_commands():
    raw = {"command": ["bash", "-lc", "cd src; ls"]}

    assert tools.request_of(tools.merge(None, {"rawInput": raw}), str).command == "bash -lc 'cd src; ls'"


@pytest.mark.parametrize(
    ("cwd", "expected"), [("/w", ""), ("/w/", ""), ("src", "src"), ("/etc", None), ("../x", None), ("", "")]
)
def test_where_a_command_runs_is_known_only_inside_the_worktree(cwd, expected):
    tool = tools.merge(None, {"kind": "execute", "rawInput": {"command": "ls", "cwd": cwd}})

    assert tools.request_of(tool, str, worktree="/w").cwd == expected
