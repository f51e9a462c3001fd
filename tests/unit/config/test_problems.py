"""A bad configuration is refused with everything that is wrong with it, each at its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.loader import load
from config.problems import ConfigError
from core.errors import InvalidInput


def test_every_mistake_of_every_file_is_reported_at_once(folder):
    (folder.root / "shop").mkdir()
    folder.write("""\
global:
  max_total_agents: 0
  max_concurent_projects: 3
projects:
  shop:
    path: shop
    priority: hihg
    work_hours:
      end: 25:00
colour: red
""")
    folder.write("test_comand: pytest\n", "shop/.orch-state/config.yaml")
    folder.write("name: bank\npath: [1]\n", ".orch-global/projects.d/bank.yaml")
    folder.write("DISCORD_TOKEN\n", ".env")
    assert folder.problems({"ORCHARD_LEASE_SECONDS": "soon"}) == [
        "orch-config.yaml:2:3: global.max_total_agents: should be at least 1, not 0",
        "orch-config.yaml:3:3: global.max_concurent_projects: no such key "
        "(did you mean 'max_concurrent_projects'?)",
        "orch-config.yaml:7:5: projects.shop.priority: should be 'critical', 'high', 'normal' or 'low', "
        "not 'hihg' (did you mean 'high'?)",
        'orch-config.yaml:9:7: projects.shop.work_hours.end: should be a time of day such as "09:00", '
        "from 00:00 to 23:59, not '25:00'",
        "orch-config.yaml:10:1: colour: no such key; known are global, projects, agents",
        ".orch-global/projects.d/bank.yaml:2:1: projects.bank.path: should be a path, not [1]",
        "shop/.orch-state/config.yaml:1:1: projects.shop.test_comand: no such key "
        "(did you mean 'test_command'?)",
        ".env:1:1: should read NAME=value",
        "environment variable ORCHARD_LEASE_SECONDS: global.lease_seconds: should be a number, not 'soon'",
    ]


def test_the_error_is_an_invalid_input_that_counts_and_lists(folder):
    folder.write("global: {max_total_agents: 0}\na: 1\n")
    with pytest.raises(InvalidInput, match="2 mistakes") as caught:
        folder.load()
    assert "orch-config.yaml:1:10: global.max_total_agents" in str(caught.value)
    assert "Nothing was changed" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("global:\n\tmax_total_agents: 1\n", "orch-config.yaml:2:1: holds a tab where YAML wants spaces"),
        ("global: [1\n", "orch-config.yaml:2:1: is not YAML"),
        ("global: {}\nglobal: {}\n", "2:1: global: stands here a second time; the first is in line 1"),
        ("- global\n", "orch-config.yaml:1:1: should hold keys and values, not a list"),
        ("just words\n", "orch-config.yaml:1:1: should hold keys and values, not str 'just words'"),
        ("a: 1\n---\nb: 1\n", "orch-config.yaml:2:1: holds a second document"),
        ("1: 2\n", 'orch-config.yaml:1:1: the key 1 is no text: write "1"'),
        ("global: &a\n  discord: *a\n", "holds an alias to itself"),
        ("global: &a {<<: *a}\n", "holds an alias to itself"),
        ("global: *nobody\n", "1:9: is not YAML: found undefined alias 'nobody'"),
        ("global: " + "[" * 5000, "is nested deeper than 40 levels"),
        ("global: !!python/object:os.system x\n", "1:9: global: cannot be read as python/object:os.system"),
        ("global: !secret x\n", "1:9: global: has the tag '!secret'"),
        ("global: 3\n", "1:1: global: should hold keys and values, not '3'"),
        ("projects: [shop]\n", "1:1: projects: should hold keys and values"),
        ("projects:\n  shop: /path\n", "2:3: projects.shop: should hold keys and values, not '/path'"),
        ("agents:\n  mine: 3\n", "2:3: agents.mine: should hold keys and values"),
        ("discord_token: abc\n", "1:1: discord_token: no such key: the token is a secret and stands in .env"),
        ("test_command: pytest\n", "1:1: test_command: no such key here (it belongs under projects.<name>)"),
        (
            "max_total_agents: 3\nglobal: {max_total_agents: 3}\n",
            "1:1: max_total_agents: stands under global",
        ),
        ("global: {max_memory_mb: 3}\n", "(it belongs under projects.<name>.resource_limits)"),
        ("x: " + "a" * 300_000, "orch-config.yaml: is larger than 256 KiB"),
    ],
)
def test_a_bad_file_is_refused_where_it_is_bad(refused, text, expected):
    assert expected in "\n".join(refused(text))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"global: {}\nx: \xe9\n", "orch-config.yaml:2:4: is not UTF-8: byte 0xe9"),
        ("global: {}".encode("utf-16"), "orch-config.yaml:1:1: is not UTF-8"),
        (b"global:\n  a: \x00\n", "orch-config.yaml:2:6: holds the control character U+0000"),
    ],
)
def test_bytes_that_are_no_text_are_located(folder, raw, expected):
    folder.write(raw)
    assert expected in folder.problems()[0]


def test_aliases_that_explode_are_stopped(refused):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "grows to more than 100000 values" in refused("\n".join(lines))[0]


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(folder):
    folder.write(b"\xef\xbb\xbfglobal:\r\n  max_total_agents: 7\r\n")
    assert folder.load().settings.global_.max_total_agents == 7


@pytest.mark.parametrize("text", ["", "# nothing\n", "global:\nprojects:\nagents:\n", "---\n"])
def test_an_empty_file_means_the_defaults(folder, text):
    folder.write(text)
    assert folder.load().settings.global_.max_total_agents == 20


@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder.root / "orch-config.yaml")
    assert folder.problems() == ["orch-config.yaml: is not a regular file"]


def test_a_dangling_link_is_not_taken_for_a_missing_file(folder):
    (folder.root / "orch-config.yaml").symlink_to("gone.yaml")
    assert folder.problems() == ["orch-config.yaml: is a link to gone.yaml, which does not exist"]


def test_a_folder_in_a_file_s_place_is_said(folder):
    (folder.root / "orch-config.yaml").mkdir()
    (folder.root / ".orch-global").mkdir()
    (folder.root / ".orch-global" / "projects.d").write_text("")
    assert folder.problems() == [
        "orch-config.yaml: is not a regular file",
    ]


def test_projects_d_must_be_a_folder(folder):
    folder.write("", ".orch-global/projects.d")
    assert folder.problems() == [".orch-global/projects.d: cannot be read: not a directory"]


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="is not a folder"):
        load(tmp_path / "nowhere", environ={})


def test_a_named_file_must_exist(folder):
    assert folder.problems({"ORCHARD_CONFIG": "mine.yaml"}) == [
        "environment variable ORCHARD_CONFIG: ORCHARD_CONFIG: there is no file mine.yaml"
    ]


def test_nothing_is_written_because_of_a_bad_key(folder):
    bad = folder.write("global: {nope: 1}\n")
    registration = folder.write("name: a\npath: /a\nnope: 1\n", ".orch-global/projects.d/a.yaml")
    before = {path: path.stat().st_mtime_ns for path in (bad, registration)}
    folder.problems()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert bad.read_text() == "global: {nope: 1}\n"
