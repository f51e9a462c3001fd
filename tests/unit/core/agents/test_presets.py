from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from core.agents.presets import REPLAY, check_preset, load_rows, pointed, resolve
from core.errors import InvalidInput, NotFound, Unavailable

BUILT_IN = {
    "replay", "claude-code", "codex", "gemini", "opencode", "qwen-code", "mistral-vibe", "openhands", "goose",
    "aider", "mini-swe-agent",
}  # fmt: skip


def program(path: Path, head: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head)
    path.chmod(0o755)
    return path


def test_all_rows_that_come_with_orchard_are_well_formed():
    rows = load_rows()

    assert set(rows) == BUILT_IN
    assert all(row.description and row.install for row in rows.values())
    assert all(row.tried for name, row in rows.items() if name not in ("replay", "goose"))


def test_replay_runs_from_its_own_folder_with_this_python(tmp_path):
    script = tmp_path / "x.yaml"
    script.write_text("stories: {}")

    setup = resolve("replay", load_rows({"replay": {"variables": {"script": str(script)}}}), environ={})

    assert setup.argv == (sys.executable, "-I", str(REPLAY), "--script", str(script))
    assert {REPLAY, script} <= set(setup.read_only_paths)
    assert setup.mode is None


def test_replay_without_a_script_says_which_key_to_set():
    with pytest.raises(InvalidInput, match="needs its variable 'script'") as error:
        resolve("replay", load_rows(), environ={})

    assert "agents.replay.variables.script" in error.value.hint


@pytest.mark.parametrize(
    ("script", "kind"), [("/no/such.yaml", Unavailable), ("relative.yaml", InvalidInput)]
)
def test_a_script_that_cannot_be_used_is_said_at_once(script, kind):
    with pytest.raises(kind):
        resolve("replay", load_rows({"replay": {"variables": {"script": script}}}), environ={})


def test_an_unknown_agent_names_the_choices_and_the_nearest():
    with pytest.raises(NotFound) as error:
        resolve("claude_code", load_rows(), environ={})

    assert "Did you mean claude-code?" in error.value.hint
    assert "Choices: aider, claude-code, codex, " in error.value.hint


def test_an_agent_that_is_not_installed_says_how_to_get_it():
    with pytest.raises(Unavailable, match="there is no program gemini") as error:
        resolve("gemini", load_rows(), environ={}, which=lambda name: None)

    assert "npm install -g @google/gemini-cli" in error.value.hint


def test_a_node_agent_sees_its_modules_and_its_node(tmp_path):
    node = program(tmp_path / "node22" / "bin" / "node")
    main = program(tmp_path / "npm/node_modules/@x/gemini/index.js", "#!/usr/bin/env node\n")
    link = tmp_path / "npm/node_modules/.bin/gemini"
    link.parent.mkdir()
    link.symlink_to("../@x/gemini/index.js")
    found = {"gemini": str(link), "node": str(node)}

    setup = resolve("gemini", load_rows(), environ={}, which=found.get)

    assert setup.argv == (str(main), "--acp")
    assert setup.environment["PATH"].split(os.pathsep)[0] == str(node.parent)
    assert tmp_path / "npm/node_modules" in setup.read_only_paths
    assert any(node.is_relative_to(path) for path in setup.read_only_paths)
    assert setup.quirks == ("fresh_session", "usage:meta")


def test_another_program_in_the_environment_is_found_too(tmp_path):
    adapter, codex = program(tmp_path / "a/codex-acp"), program(tmp_path / "b/codex")
    found = {"codex-acp": str(adapter), "codex": str(codex)}

    setup = resolve("codex", load_rows(), environ={}, which=found.get)

    assert setup.environment["CODEX_PATH"] == str(codex)
    assert {adapter, codex} <= set(setup.read_only_paths)


def test_only_named_variables_of_our_environment_are_passed(tmp_path):
    found = {"claude-agent-acp": str(program(tmp_path / "claude-agent-acp"))}
    environ = {
        "ANTHROPIC_API_KEY": "k",
        "ANTHROPIC_BASE_URL": "",
        "DISCORD_TOKEN": "t",
        "OPENAI_API_KEY": "o",
    }

    environment = resolve("claude-code", load_rows(), environ=environ, which=found.get).environment

    assert environment["ANTHROPIC_API_KEY"] == "k"
    assert environment["DISABLE_AUTOUPDATER"] == "1"
    assert not {"DISCORD_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "HOME"} & set(environment)


def test_a_custom_row_changes_single_keys_or_starts_from_another(tmp_path):
    mine = program(tmp_path / "mine")
    rows = load_rows(
        {
            "claude-code": {"environment": {"ANTHROPIC_MODEL": "m"}, "stop_seconds": [1, 2, 3]},
            "mine": {"argv": [str(mine), "{not a placeholder}"], "pass_environment": ["MY_KEY"]},
            "fast": {"like": "gemini", "mode": "yolo"},
        }
    )

    assert rows["claude-code"].environment["IS_SANDBOX"] == "1"
    assert rows["claude-code"].environment["ANTHROPIC_MODEL"] == "m"
    assert rows["claude-code"].stop_seconds == (1, 2, 3)
    assert (rows["fast"].argv, rows["fast"].mode) == (("gemini", "--acp"), "yolo")
    assert resolve("mine", rows, environ={"MY_KEY": "v"}).environment["MY_KEY"] == "v"
    assert resolve("mine", rows, environ={}).argv == (str(mine), "{not a placeholder}")


def test_all_bad_rows_are_reported_at_once():
    bad = {
        "a": 5,
        "b": {"like": "nobody"},
        "c": {"argv": []},
        "d": {"argv": ["x"], "argvv": ["y"], "home_files": {"../x": ""}, "stop_seconds": [-1, 0, 0]},
        "e": {},
    }

    with pytest.raises(InvalidInput) as error:
        load_rows(bad)

    for part in ("agents.a: ", "agents.b.like: ", "agents.c.argv", "agents.d.argvv", "agents.d.home_files"):
        assert part in error.value.message
    assert "agents.d.stop_seconds" in error.value.message
    assert "agents.e.argv" in error.value.message


def test_a_program_by_relative_path_is_refused():
    with pytest.raises(InvalidInput, match="relative path"):
        resolve("x", load_rows({"x": {"argv": ["./agent"]}}), environ={})


def test_doctor_hears_of_missing_programs_and_keys(tmp_path):
    found = {"claude-agent-acp": str(program(tmp_path / "claude-agent-acp"))}

    missing = check_preset("opencode", environ={"PATH": ""}, which=lambda name: None)
    keyless = check_preset("claude-code", environ={}, which=found.get)
    good = check_preset("claude-code", environ={"ANTHROPIC_API_KEY": "k"}, which=found.get)

    assert (missing.found, "npm install -g opencode-ai" in missing.hint) == (False, True)
    assert keyless.found
    assert "ANTHROPIC_API_KEY" in keyless.problem
    assert (good.found, good.problem, good.program) == (True, "", found["claude-agent-acp"])
    assert check_preset("nobody").found is False


def test_at_the_gateway_an_agent_gets_a_token_and_none_of_our_keys(tmp_path):
    found = {"claude-agent-acp": str(program(tmp_path / "claude-agent-acp"))}
    environ = {
        "ANTHROPIC_API_KEY": "secret",
        "CLAUDE_CODE_OAUTH_TOKEN": "secret",
        "ANTHROPIC_BASE_URL": "https://elsewhere",
        "ANTHROPIC_MODEL": "m",
    }

    setup = resolve("claude-code", load_rows(), environ=environ, which=found.get, gateway=lambda _: True)
    agent = pointed(setup, "http://127.0.0.1:1/anthropic/", "orch-1")

    assert setup.gateway.provider == "anthropic"
    assert "secret" not in str(setup)
    assert agent.environment["ANTHROPIC_API_KEY"] == "orch-1"
    assert agent.environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1/anthropic"
    assert agent.environment["ANTHROPIC_MODEL"] == "m"
    assert resolve("claude-code", load_rows(), environ=environ, which=found.get).gateway is None


@pytest.mark.parametrize("name", sorted(BUILT_IN - {"replay"}))
def test_every_row_with_a_gateway_says_where_and_with_what(tmp_path, name):
    rows = load_rows()
    setup = resolve(
        name,
        rows,
        environ={key: "secret" for key in rows[name].pass_environment if not key.endswith("_MODEL")},
        which=lambda word: str(program(tmp_path / word)),
        gateway=lambda _: True,
    )
    agent = pointed(setup, "http://127.0.0.1:1/p", "orch-1")
    told = [*agent.environment.values(), *agent.home_files.values(), *agent.argv]

    assert any("http://127.0.0.1:1/p" in text for text in told)
    assert any("orch-1" in text for text in told)
    assert not any("secret" in text or "{gateway}" in text or "{model}" in text for text in told)


def test_files_of_a_row_that_are_data_can_be_read(tmp_path):
    rows = load_rows()
    for name in BUILT_IN - {"replay"}:
        setup = resolve(name, rows, which=lambda word: str(program(tmp_path / word)), gateway=lambda _: True)
        for file, text in pointed(setup, "http://x", "t").home_files.items():
            assert {".json": json.loads, ".toml": tomllib.loads}[Path(file).suffix](text)


def test_what_orchard_installed_comes_before_path(tmp_path):
    own = program(tmp_path / "agents/gemini/v1/node_modules/.bin/gemini", "#!/usr/bin/env node\n")
    node = program(own.with_name("node"))
    record = {"folder": "v1", "versions": {"@google/gemini-cli": "1"}, "at": "now"}
    (tmp_path / "agents/gemini/installed.json").write_text(json.dumps(record))
    elsewhere = {"gemini": str(program(tmp_path / "bin/gemini"))}
    rows = load_rows({"fast": {"like": "gemini"}})

    for name in ("gemini", "fast"):
        setup = resolve(name, rows, environ={}, which=elsewhere.get, installed=tmp_path / "agents")
        assert setup.argv[0] == str(own)
        assert tmp_path / "agents/gemini/v1" in setup.read_only_paths
        assert setup.environment["PATH"].split(os.pathsep)[0] == str(node.parent)
    assert resolve("gemini", rows, environ={}, which=elsewhere.get).argv[0] == elsewhere["gemini"]


@pytest.mark.parametrize(
    "package", [{}, {"npm": {"a": "1"}, "pypi": {"b": "1"}}, {"npm": {"a": "1"}, "main": "b"}]
)
def test_packages_are_of_one_registry(package):
    with pytest.raises(InvalidInput, match=r"agents\.x\.package"):
        load_rows({"x": {"argv": ["x"], "package": package}})
