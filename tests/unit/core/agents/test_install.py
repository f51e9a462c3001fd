"""Installing by an npm of our own on PATH: what is fetched is real files, the registry is not."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.agents.install import install_agent, uninstall_agent
from core.agents.installed import installed_agent
from core.agents.rows import AgentRow
from core.errors import InvalidInput, NotFound, Unavailable

ROW = AgentRow(argv=("greet",), package={"npm": {"greeter": "1.2.3"}}, install="npm install -g greeter")
GOOD = """
place = pathlib.Path(words[words.index("--prefix") + 1]) / "node_modules"
(place / ".bin").mkdir(parents=True)
(place / "greeter").mkdir()
version = words[-1].rpartition("@")[2]
(place / "greeter/package.json").write_text(json.dumps({"version": version}))
program = place / ".bin" / "greet"
program.write_text("#!/bin/sh\\n")
program.chmod(0o755)
"""


@pytest.fixture
def npm(tmp_path):
    """Puts a program named npm on a PATH of its own; `environ` is for the installation."""

    def make(body: str) -> dict[str, str]:
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir(exist_ok=True)
        head = f"#!{sys.executable}\nimport json, os, pathlib, sys, time\nwords = sys.argv[1:]\n"
        program.write_text(head + body)
        program.chmod(0o755)
        return {"PATH": f"{program.parent}:{os.environ['PATH']}"}

    return make


async def test_an_agent_is_installed_whole_and_found(tmp_path, npm):
    seen = []
    made = await install_agent("greeter", ROW, tmp_path / "a", environ=npm(GOOD), on_progress=seen.append)

    assert made.versions == {"greeter": "1.2.3"}
    found = installed_agent(tmp_path / "a", "greeter")
    assert found is not None
    assert found.which("greet") == str(made.folder / "node_modules/.bin/greet")
    assert seen
    assert "greeter 1.2.3" in seen[0].step


async def test_install_scripts_are_never_run(tmp_path, npm):
    log = tmp_path / "words"
    environ = npm(f"pathlib.Path({str(log)!r}).write_text(json.dumps(words))\n{GOOD}")

    await install_agent("greeter", ROW, tmp_path / "a", version="2.0.0", environ=environ)

    words = json.loads(log.read_text())
    assert "--ignore-scripts" in words
    assert words[-1] == "greeter@2.0.0"


@pytest.mark.parametrize(
    ("said", "sentence", "hint"),
    [
        ("npm error code ETARGET", "no such version", "Leave --version away"),
        ("npm error code ENOTFOUND\nnpm error request failed", "registry did not answer", "network"),
        (
            "WARNING: Retrying after connection broken by 'ProxyError: Connection refused': /greeter/\n"
            "ERROR: Could not find a version that satisfies greeter==1.0.0 (from versions: none)\n"
            "ERROR: No matching distribution found for greeter==1.0.0",
            "registry did not answer",
            "network",
        ),
        (
            "ERROR: Could not find a version that satisfies greeter==1.0.0 (from versions: 0.9.0)\n"
            "WARNING: Retrying after connection broken by 'ReadTimeoutError': /greeter/",
            "no such version",
            "Leave --version away",
        ),
        ("npm error code ENOSPC\nnpm error no space left on device", "disk is full", "Make room"),
        ("npm error code EWHATEVER", "npm ended with status 7", "Nothing was changed"),
    ],
)
async def test_what_went_wrong_is_said_and_what_was_there_stays(tmp_path, npm, said, sentence, hint):
    before = await install_agent("greeter", ROW, tmp_path / "a", environ=npm(GOOD))

    with pytest.raises(Unavailable, match=sentence) as error:
        await install_agent("greeter", ROW, tmp_path / "a", environ=npm(f"print({said!r})\nsys.exit(7)"))

    assert hint in error.value.hint
    assert said.splitlines()[0] in error.value.why
    assert installed_agent(tmp_path / "a", "greeter") == before
    assert [each.name for each in (tmp_path / "a/greeter").iterdir() if each.is_dir()] == [before.folder.name]


async def test_packages_without_the_program_are_not_installed(tmp_path, npm):
    with pytest.raises(Unavailable, match="has no program greet"):
        await install_agent("greeter", ROW, tmp_path / "a", environ=npm(f"{GOOD}\nprogram.unlink()"))

    assert installed_agent(tmp_path / "a", "greeter") is None


async def test_a_missing_npm_says_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setattr("core.agents.install.DEFAULT_PATH", "/nowhere")
    with pytest.raises(Unavailable, match="fetched by npm") as error:
        await install_agent("greeter", ROW, tmp_path / "a", environ={"PATH": "/nowhere"})

    assert "Install Node.js" in error.value.hint


async def test_a_cancelled_installation_leaves_nothing(tmp_path, npm):
    began = tmp_path / "began"
    environ = npm(f"pathlib.Path({str(began)!r}).write_text(str(os.getpid()))\ntime.sleep(600)")
    work = asyncio.create_task(install_agent("greeter", ROW, tmp_path / "a", environ=environ))
    async with asyncio.timeout(50):
        while not (began.exists() and began.read_text()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    assert [each for each in (tmp_path / "a/greeter").iterdir() if each.is_dir()] == []
    assert not Path("/proc", began.read_text()).exists()


async def test_one_killed_in_the_middle_is_no_agent_and_is_swept_by_the_next(tmp_path, npm):
    began = tmp_path / "began"
    hanging = npm(f"pathlib.Path({str(began)!r}).write_text(str(os.getpid()))\ntime.sleep(600)")
    script = (
        "import asyncio, os, pathlib\nfrom core.agents.install import install_agent\n"
        "from core.agents.rows import AgentRow\n"
        "row = AgentRow(argv=('greet',), package={'npm': {'greeter': '1.2.3'}})\n"
        f"folder = pathlib.Path({str(tmp_path / 'a')!r})\n"
        f"asyncio.run(install_agent('greeter', row, folder, environ={hanging!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[4])  # noqa: ASYNC220
    async with asyncio.timeout(60):
        while not (began.exists() and began.read_text()):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    process.kill()
    process.wait()
    fetcher = int(began.read_text())

    assert installed_agent(tmp_path / "a", "greeter") is None
    with pytest.raises(Unavailable, match="at this moment"):  # its fetcher still runs, and holds the lock
        await install_agent("greeter", ROW, tmp_path / "a", environ=npm(GOOD))
    os.kill(fetcher, 9)
    async with asyncio.timeout(50):
        while True:
            try:
                made = await install_agent("greeter", ROW, tmp_path / "a", environ=npm(GOOD))
                break
            except Unavailable:
                await asyncio.sleep(0.02)
    folders = [each.name for each in (tmp_path / "a/greeter").iterdir() if each.is_dir()]
    assert folders == [made.folder.name]


async def test_another_version_takes_over_and_uninstall_removes_all(tmp_path, npm):
    environ = npm(GOOD)
    first = await install_agent("greeter", ROW, tmp_path / "a", environ=environ)
    second = await install_agent("greeter", ROW, tmp_path / "a", version="2.0.0", environ=environ)

    assert installed_agent(tmp_path / "a", "greeter") == second
    assert first.folder.exists()  # agents may still run from it
    uninstall_agent("greeter", tmp_path / "a")
    assert installed_agent(tmp_path / "a", "greeter") is None
    assert not (tmp_path / "a/greeter").exists()
    with pytest.raises(NotFound):
        uninstall_agent("greeter", tmp_path / "a")


async def test_what_cannot_be_installed_is_said(tmp_path):
    bare = AgentRow(argv=("x",), install="its own installer")
    with pytest.raises(InvalidInput, match="names no packages") as error:
        await install_agent("x", bare, tmp_path)
    assert "its own installer" in error.value.hint
    with pytest.raises(InvalidInput, match="is no version"):
        await install_agent("greeter", ROW, tmp_path, version="1; rm")


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"folder": "gone", "versions": {}, "at": "x"}', "\x00"])
def test_a_broken_record_is_no_agent(tmp_path, record):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/installed.json").write_text(record)
    assert installed_agent(tmp_path, "x") is None
