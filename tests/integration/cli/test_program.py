"""Commands beside no running Orchard, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.cli.program import app

pytestmark = pytest.mark.timeout(180)  # many processes
HEAVY = ("discord", "aiohttp", "acp", "apscheduler", "matplotlib", "numpy", "prompt_toolkit")


def test_help_names_every_command_and_each_has_its_own(orchard):
    text = orchard("--help").stdout
    for command in app.registered_commands:
        assert command.callback is not None
        assert f" {command.name or command.callback.__name__} " in text
    for name in ("register", "shell"):
        done = orchard(name, "--help")
        assert (done.returncode, "Usage: orchard " + name in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "more"),
    [(["--help"], ("pydantic", "core.store")), (["status"], ("typer.rich_utils",))],
)
def test_a_command_starts_without_what_it_does_not_use(orchard, words, more):
    script = f"""
import json, sys
sys.argv = ["orchard", *{words!r}]
from bot.__main__ import main
try:
    main()
except SystemExit:
    pass
found = [name for name in {[*HEAVY, *more]!r} if name in sys.modules]
sys.stderr.write(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=orchard.environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stderr) == []


def test_a_project_from_registration_to_stop(orchard, checkout):
    path = checkout("shop")
    done = orchard("register", "shop", "../shop")
    assert done.stdout.splitlines() == [
        f"✓ shop is registered: {path}, main branch main.",
        "  → Let it work: orchard start shop",
    ]
    assert "Nothing runs now" in orchard("start", "shop").stdout
    assert orchard("start", "shop").returncode == 0
    (view,) = orchard.json("projects")
    assert (view["project"]["name"], view["project"]["status"]) == ("shop", "active")
    assert orchard.json("status")["projects"] == [view]
    assert orchard.json("status", "SHOP")["workflow"]["state"] == "IDLE"
    assert orchard.json("stop", "shop")["status"] == "paused"
    again = orchard("stop", "shop")
    assert again.returncode == 1
    assert again.stderr.splitlines() == [
        "✗ shop is paused: there is nothing to stop.",
        "  → orchard start shop lets it work.",
    ]
    assert orchard.json("approve") == []


def test_the_flags_of_the_first_documentation_work(orchard, checkout):
    path = checkout("shop")
    assert "(not registered)" in orchard("--discover", path.parent).stdout
    assert "registered" in orchard("--register", "shop", path).stdout
    assert "Projects: 1" in orchard("--status").stdout
    assert "registered as shop" in orchard("--discover", path.parent).stdout
    assert "multi-orch" not in orchard("--interactive", "--no-discord").stdout  # no terminal, nothing to read


def test_looking_leaves_nothing_behind(orchard):
    for words in (["status"], ["projects"], ["approve"], ["doctor"], ["discover", "."]):
        assert orchard(*words).returncode == 0
    assert list(orchard.root.iterdir()) == []


def test_discover_registers_when_asked_to(orchard, checkout):
    for name in ("one", "two"):
        checkout(name)
    found = orchard.json("discover", "--register", orchard.root.parent)
    assert found["registered"] == ["one", "two"]
    assert len(orchard.json("projects")) == 2


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["stauts"], 2, "Did you mean 'status'"),
        (["register", "shop"], 2, "Missing argument"),
        (["approve", "--reject", "no"], 2, "which approval"),
        (["start", "nope"], 1, "There is no project named 'nope'."),
        (["register", "My Shop", "."], 1, "Try 'my-shop'"),
        (["register", "shop", "/nowhere"], 1, "There is no folder /nowhere."),
        (["approve", "nope"], 1, "'nope' waits for nobody's approval."),
        (["status", "--root", "/nowhere"], 1, "is not a folder"),
    ],
)
def test_a_mistake_gets_a_sentence_and_an_exit_code(orchard, words, code, expected):
    done = orchard(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert expected in done.stderr


def test_a_mistake_is_json_for_a_script(orchard):
    done = orchard("start", "nope", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["error"] == "not_found"


def test_every_command_refuses_a_bad_configuration_with_every_line(orchard):
    (orchard.root / "orch-config.yaml").write_text("colour: red\nglobal: {max_total_agents: 0}\n")
    for words in (["status"], ["run"], ["--interactive"]):
        done = orchard(*words)
        assert done.returncode == 1
        assert "orch-config.yaml:1:1: colour" in done.stderr
        assert "orch-config.yaml:2:10: global.max_total_agents" in done.stderr
    assert [path.name for path in orchard.root.iterdir()] == ["orch-config.yaml"]


# -- streams -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["status"], ["projects", "--json"], ["doctor"]])
def test_a_reader_that_goes_away_is_no_error(orchard, words):
    read, write = os.pipe()
    os.close(read)
    done = orchard(*words, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_told(orchard):
    with Path("/dev/full").open("w") as full:
        for words in (["status"], ["projects", "--json"]):
            done = orchard(*words, stdout=full)
            assert done.returncode == 1
            assert done.stderr == "The output could not be written: No space left on device.\n"


@pytest.mark.parametrize(("closed", "words"), [("<&- >&-", "status"), ("<&- >&- 2>&-", "shell")])
def test_closed_streams_are_fine(orchard, closed, words):
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *orchard.argv(words)],
        env=orchard.environment,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_gets_what_it_can_show(orchard, checkout, encoding):
    orchard("register", "shop", checkout("shöp"))
    done = subprocess.run(
        orchard.argv("projects"),
        env=orchard.environment | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    lines = done.stdout.decode(encoding).splitlines()
    assert lines[0].strip() == "Registered Projects:"
    assert lines[2].endswith("/shop" if encoding == "ascii" else "/shöp")
    as_json = orchard("projects", "--json", env={"PYTHONIOENCODING": encoding})
    assert json.loads(as_json.stdout)[0]["project"]["path"].endswith("/shöp")


def test_a_folder_whose_name_is_no_text_can_be_looked_into(orchard):
    odd = orchard.root / os.fsdecode(b"\xff")
    odd.mkdir()
    assert orchard("discover", odd).returncode == 0
    assert orchard("register", "odd", odd).returncode == 1


# -- the shell without a terminal ----------------------------------------------------------------------


def test_lines_of_a_pipe_are_obeyed_and_one_that_fails_shows_in_the_exit_code(orchard, checkout):
    path = checkout("shop")
    lines = f"register shop {path}\nbogus\nadd shop the customer's name\nquit\nprojects\n"
    done = orchard("shell", input=lines)
    assert done.returncode == 1
    assert "✓ shop-1: the customer's name" in done.stdout
    assert "There is no command 'bogus'" in done.stdout
    assert "Registered Projects" not in done.stdout  # it came after quit
    assert orchard("shell", input="projects\n").returncode == 0


def test_lines_of_a_file_are_obeyed(orchard, tmp_path):
    script = tmp_path / "lines"
    script.write_text("status\r\nprojects")
    with script.open() as lines:
        done = orchard("shell", stdin=lines)
    assert done.returncode == 0
    assert "Projects: 0" in done.stdout
    assert "No project is registered yet" in done.stdout
