"""Agents that are plain commands: started with their task, judged by exit, output and files."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.agents.setup import AgentSetup
from core.agents.transcript import read_transcript
from core.agents.turn import AgentText, Rung, TurnIdle, TurnKind, TurnStarted, TurnSteered
from core.isolation.plan import Level

FILE = "{prompt_file}"


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., AgentSetup]:
    """An agent that is a Python program; `words` follow it in its argv."""

    def make(source: str, *words: str, stop: tuple[float, float, float] = (20, 20, 20)) -> AgentSetup:
        path = tmp_path / "command.py"
        path.write_text(source)
        argv = (sys.executable, "-I", "-S", str(path), *words)
        return AgentSetup(name="tool", kind="command", argv=argv, read_only_paths=(path,), stop_seconds=stop)

    return make


@pytest.mark.parametrize("words", [("--message", "{prompt}"), ("--file={prompt_file}",), ()])
async def test_it_gets_its_task_by_its_argv_a_file_or_stdin(caged, command, words) -> None:
    source = """
import sys
last = sys.argv[-1]
text = sys.stdin.read()
if last.startswith("--file="): text += open(last[7:]).read()
elif len(sys.argv) > 1: text += last
open("done", "w").write(text)
"""
    turn = caged.turn(body='Say "hi" to {prompt_file} and $HOME; ümläut.')

    end = await caged.play(command(source, *words), turn, changed=yes)

    assert (end.kind, end.error, end.exit_code, end.began) == (TurnKind.IDLE, "", 0, True)
    assert (caged.worktree / "done").read_text() == turn.prompt
    assert end.rungs == ()
    assert end.session_id is None
    assert not list(caged.home.glob(".orchard*"))  # the task does not stay in its HOME


async def test_what_it_prints_is_told_and_kept_as_people_read_it(stage, command) -> None:
    source = "print('\\x1b[1mI look\\x1b[0m at it: ☃', flush=True)\n"
    source += "import sys; sys.stdout.buffer.write(b'\\xff\\n')"

    end = await stage.play(command(source, "{prompt}"), changed=yes)

    assert end.text == "I look at it: ☃\n�"
    assert "".join(event.text for event in stage.of(AgentText)).strip() == end.text
    assert stage.of(TurnStarted) == [TurnStarted(agent="tool", session_id="", resumed=False)]
    assert stage.events[-1] == TurnIdle(text=end.text)
    read = read_transcript(stage.transcript)
    assert "prompt: Orchard-Story: demo-1" in read
    assert "agent: I look at it: ☃" in read
    assert "end: idle" in read


async def test_an_error_without_a_change_is_a_failure_in_its_own_words(caged, command) -> None:
    source = "import sys; print('working'); print('No module named mcp', file=sys.stderr); sys.exit(3)"

    end = await caged.play(command(source), changed=no)

    assert (end.kind, end.exit_code, end.began) == (TurnKind.FAILED, 3, True)
    assert end.error == "tool exited with code 3 and changed nothing: No module named mcp"


async def test_one_that_exits_at_once_never_began(stage, command) -> None:
    end = await stage.play(command("import sys; print('no key', file=sys.stderr); sys.exit(2)"), changed=no)

    assert (end.kind, end.began) == (TurnKind.FAILED, False)
    assert "no key" in end.error


async def test_an_error_with_changes_is_for_the_gate_to_judge(stage, command) -> None:
    end = await stage.play(command("import sys; print('half done'); sys.exit(1)"), changed=yes)

    assert (end.kind, end.exit_code) == (TurnKind.IDLE, 1)
    assert "its files are judged anyway" in stage.transcript.read_text()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("litellm.AuthenticationError: invalid api key", TurnKind.BLOCKED),
        ("You've hit your usage limit. Try again in 3 hours.", TurnKind.LIMITED),
        ("litellm.RateLimitError: status code: 429", TurnKind.FAILED),
    ],
)
@pytest.mark.parametrize("code", [0, 1])
async def test_what_its_provider_refused_is_told_apart_whatever_its_exit_code(
    stage, command, said, kind, code
) -> None:
    source = f"import sys; print('x' * 5000); print({said!r}); sys.exit({code})"

    end = await stage.play(command(source), changed=no)

    assert end.kind is kind
    assert said in end.error


async def test_killed_by_a_signal_is_said(stage, command) -> None:
    end = await stage.play(command("print('a', flush=True); import os; os.kill(os.getpid(), 9)"), changed=no)

    assert (end.kind, end.exit_code) == (TurnKind.FAILED, 137)
    assert "tool was killed by signal 9 and changed nothing" in end.error


@pytest.mark.parametrize("deaf", [False, True])
async def test_it_is_stopped_by_term_and_then_with_all_that_it_started(
    caged, command, alive, token, deaf
) -> None:
    source = f"""
import signal, subprocess, time
if {deaf}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["setsid", "sleep", "{token}"])
print("ready", flush=True)
time.sleep(600)
"""
    cancel = asyncio.Event()
    caged.on_event = lambda event: cancel.set() if isinstance(event, AgentText) else None

    agent = command(source, stop=(20, 20, 0.3 if deaf else 20))
    end = await caged.play(agent, cancel=cancel)

    assert end.kind is TurnKind.CANCELLED
    assert end.rungs == ((Rung.TERM, Rung.KILL) if deaf else (Rung.TERM,))
    assert alive(token) == []


async def test_a_silent_one_is_ended_and_output_is_a_sign_of_life(stage, command) -> None:
    told: list[str] = []

    async def stalled(_seconds: float, doing: str) -> None:
        told.append(doing)

    source = "print('x', flush=True); import time; time.sleep(600)"
    turn = stage.turn(stall_seconds=0.4, stall_cancel_seconds=5)  # in which it has begun
    end = await stage.play(command(source), turn, on_stalled=stalled)

    assert end.kind is TurnKind.FAILED
    assert "tool showed nothing for " in end.error
    assert "its last sign was output" in told[-1]
    assert Rung.TERM in end.rungs


async def test_floods_are_bounded(stage, command, alive) -> None:
    source = "import sys\nwhile True: sys.stdout.write('y' * 100000); sys.stderr.write('z' * 100000)"

    agent = command(source)
    end = await stage.play(agent, stage.turn(output_limit_bytes=30 << 20))

    assert end.kind is TurnKind.FAILED
    assert "tool was stopped: it printed too much" in end.error
    assert len(end.text) <= 64 << 10
    assert stage.transcript.stat().st_size < 20 << 20
    assert stage.transcript.with_suffix(".stderr").stat().st_size < 5 << 20
    assert alive(agent.argv[-1]) == []


async def test_one_that_closes_its_output_and_lives_on_is_waited_for_until_the_time_out(
    stage, command
) -> None:
    source = "import os, time; os.close(1); os.close(2); open('here', 'w'); time.sleep(600)"

    end = await stage.play(command(source), stage.turn(timeout_seconds=5))

    assert end.kind is TurnKind.FAILED
    assert "did not end its turn in 5 s" in end.error
    assert (stage.worktree / "here").exists()


async def test_a_task_that_no_command_line_takes_is_said_and_a_file_takes_it(stage, command) -> None:
    turn = stage.turn(body="x" * 200_000)

    too_long = await stage.play(command("", "{prompt}"), turn)
    in_file = await stage.play(
        command("import sys; print(len(open(sys.argv[1]).read()))", FILE), turn, changed=yes
    )

    assert (too_long.kind, too_long.began) == (TurnKind.FAILED, False)
    assert "too long for tool's command line" in too_long.error
    assert FILE in too_long.hint
    assert in_file.text == str(len(turn.prompt))


async def test_words_said_before_are_in_its_task_and_later_ones_are_given_back(stage, command) -> None:
    steering: asyncio.Queue[str] = asyncio.Queue()
    steering.put_nowait("Use tabs.")
    stage.on_event = lambda event: (
        steering.put_nowait("Too late.") if isinstance(event, AgentText) and "ready" in event.text else None
    )
    source = "import sys; text = sys.stdin.read(); print('ready', 'Use tabs.' in text)"

    end = await stage.play(command(source), steering=steering, changed=yes)

    assert end.text == "ready True"
    assert (end.steered, end.unheard) == (("Use tabs.",), ("Too late.",))
    assert stage.of(TurnSteered) == [TurnSteered(text="Use tabs.")]


async def test_a_missing_command_and_a_sandbox_that_cannot_be_made_never_began(stage) -> None:
    end = await stage.play(AgentSetup(name="gone", kind="command", argv=("/no/such/tool", "{prompt}")))

    assert (end.kind, end.began) == (TurnKind.FAILED, False)
    assert "there is no program /no/such/tool" in end.error


async def test_the_transcript_holds_messages_as_the_protocol_s_own_do(stage, command) -> None:
    await stage.play(command("print('one')"), changed=yes)

    entries = [json.loads(line) for line in stage.transcript.read_text().splitlines()]
    said = [entry["message"] for entry in entries if entry["way"] == "in"]
    assert said[0]["method"] == "session/update"
    assert said[0]["params"]["update"]["content"]["text"] == "one\n"
    assert stage.level is Level.PROCESS
