"""A check finds what is wrong: with agents of a few lines, in the real sandbox."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.agents import check as module
from core.agents.check import check_agent
from core.agents.check_turns import Subject
from core.agents.conformance import Mark, Step
from core.agents.setup import AgentSetup
from core.isolation.machine import probe_machine

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(240)]

GOOD = """
import pathlib, subprocess, sys
prompt = sys.stdin.read()
if "create the file greeting.txt" in prompt:
    pathlib.Path("greeting.txt").write_text("Hello from Orchard\\n")
if "tail -f README.md" in prompt:
    subprocess.run(["setsid", "tail", "-f", "README.md"], check=True)
"""


@pytest.fixture
def check(tmp_path):
    async def work(script: str, *, quick: bool = False):
        agent = tmp_path / "agent.py"
        agent.write_text(script)
        python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info[1]}")
        setup = AgentSetup(
            name="tiny",
            kind="command",
            argv=(str(python), "-I", str(agent)),
            read_only_paths=(agent, Path(sys.base_prefix)),
            stop_seconds=(0.2, 0.2, 1.0),
        )
        done = await check_agent(
            Subject(setup=setup),
            machine=await probe_machine(),
            turn_seconds=100.0,
            quick=quick,
            keep=tmp_path / "k",
        )
        return done, {outcome.step: outcome for outcome in done.outcomes}

    return work


async def test_a_command_that_works_is_shown_to_work_and_its_tools_end_with_it(check, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_COMMAND_SECONDS", 90.0)  # it is waited for only until its tool runs
    done, rows = await check(GOOD)

    assert done.passed, done.outcomes
    assert rows[Step.EDITS].mark is rows[Step.CANCELS].mark is rows[Step.LEAVES].mark is Mark.OK
    assert "its tools ended" in rows[Step.CANCELS].found
    assert rows[Step.ASKS].mark is rows[Step.RESUMES].mark is rows[Step.USAGE].mark is Mark.NOTE
    assert (tmp_path / "k/first.jsonl").exists()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('no licence')", "no licence"),
        ("import pathlib; pathlib.Path('greeting.txt').write_text('Bye')", "holds 'Bye'"),
        ("print('All done!')", "greeting.txt was not made"),
    ],
)
async def test_one_that_does_not_edit_as_asked_fails_and_its_words_are_shown(check, script, words):
    done, rows = await check(script, quick=True)

    assert not done.passed
    assert rows[Step.EDITS].mark is Mark.FAILED
    assert words in rows[Step.EDITS].found
    assert Step.CANCELS not in rows
