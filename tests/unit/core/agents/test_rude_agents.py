"""Agents that hang, die, flood, talk nonsense or leave things behind. Each must end, named, and be gone."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from core.agents.setup import AgentSetup
from core.agents.turn import AgentText, Rung, ToolEnded, ToolStarted, TurnFailed, TurnKind, TurnStarted
from tests.waiting import SECONDS, until

SHORT = (0.3, 0.3, 0.3)
WRITE = {"write": {"path": "a", "text": "x"}}


# Before the turn


async def test_a_missing_program_is_named_with_what_to_do(stage):
    end = await stage.play(AgentSetup(name="gone", kind="acp", argv=("/no/such/program",)))

    assert end.kind is TurnKind.FAILED
    assert "gone: there is no program /no/such/program" in end.error
    assert "orchard doctor" in end.hint
    assert stage.events == [TurnFailed(error=end.error, hint=end.hint)]


async def test_an_agent_that_exits_at_once_shows_its_stderr(caged):
    agent = caged.program("import sys; print('no licence key', file=sys.stderr); sys.exit(3)")

    end = await caged.play(agent)

    assert end.kind is TurnKind.FAILED
    assert "exited with code 3 before its turn began (initialize)" in end.error
    assert "no licence key" in end.hint
    assert end.exit_code == 3
    assert "no licence key" in caged.transcript.with_suffix(".stderr").read_text()


async def test_an_agent_that_never_answers_initialize_is_stopped_at_every_rung(caged, alive):
    script = caged.steps(start=["hang"])

    end = await caged.play(caged.replay(script, stop_seconds=SHORT), caged.turn(start_seconds=5))

    assert end.kind is TurnKind.FAILED
    assert "did not answer `initialize` within 5 s" in end.error
    assert end.rungs == (Rung.EOF, Rung.TERM, Rung.KILL)
    assert alive(str(script)) == []


async def test_a_program_that_speaks_no_acp_is_told_apart(stage):
    agent = stage.program(
        "for line in __import__('sys').stdin: print('I am a shell, you said', line, flush=True)"
    )

    end = await stage.play(agent, stage.turn(start_seconds=5))

    assert "did not answer `initialize`" in end.error
    assert "speak the Agent Client Protocol?" in end.hint
    assert end.malformed >= 1


async def test_another_version_of_the_protocol_is_refused(stage):
    end = await stage.play(stage.replay(stage.steps(initialize={"protocolVersion": 2})))

    assert end.kind is TurnKind.FAILED
    assert "speaks protocol version 2; Orchard speaks ACP version 1" in end.error
    assert stage.of(TurnStarted) == []


async def test_an_answer_of_the_wrong_shape_is_a_failure_not_an_exception(stage):
    script = stage.steps(initialize={"protocolVersion": "many"})

    end = await stage.play(stage.replay(script))

    assert end.kind is TurnKind.FAILED
    assert "answered initialize with no ACP message" in end.error


async def test_a_login_that_is_missing_blocks(stage):
    agent = stage.program("""
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        body = {"result": {"protocolVersion": 1}}
    else:
        body = {"error": {"code": -32000, "message": "Authentication required"}}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
""")
    end = await stage.play(agent)

    assert end.kind is TurnKind.BLOCKED
    assert "odd wants a login" in end.error
    assert "API key" in end.hint


async def test_a_script_with_a_mistake_names_file_and_line(stage):
    script = stage.script("stories: {}\nask: [edit]\nstart:\n  - wrte: {path: a}\n")

    end = await stage.play(stage.replay(script))

    assert end.kind is TurnKind.FAILED
    assert f"{script}:4: unknown step 'wrte'; did you mean 'write'?" in end.error


async def test_a_story_that_nobody_recorded_is_said(stage):
    end = await stage.play(stage.replay(stage.script("stories: {other: {design: [say: x]}}")))

    assert "nothing is recorded for story 'demo-1' ('A story'), phase 'code_green'; it has other" in end.error


# In the turn


async def test_death_by_signal_in_the_middle(caged):
    end = await caged.play(caged.replay(caged.steps(WRITE, {"crash": True})))

    assert end.kind is TurnKind.FAILED
    assert "was killed by signal 9 in the middle of its turn" in end.error
    assert (caged.worktree / "a").read_text() == "x"


async def test_exit_0_in_the_middle_is_no_success(caged):
    end = await caged.play(caged.replay(caged.steps({"exit": 0})))

    assert (end.kind, end.exit_code) == (TurnKind.FAILED, 0)
    assert "exited with code 0 in the middle of its turn" in end.error


async def test_the_turn_has_a_time_out(caged):
    end = await caged.play(caged.replay(caged.steps({"sleep": 600})), caged.turn(timeout_seconds=0.5))

    assert end.kind is TurnKind.FAILED
    assert "did not end its turn in 0.5 s" in end.error
    assert end.rungs == (Rung.CANCEL, Rung.EOF)  # it obeyed
    assert end.stop_reason == "cancelled"


@pytest.mark.parametrize(
    ("ignored", "rungs"),
    [
        ([], (Rung.CANCEL, Rung.EOF)),
        (["cancel"], (Rung.CANCEL, Rung.EOF)),
        (["cancel", "eof"], (Rung.CANCEL, Rung.EOF, Rung.TERM)),
        (["cancel", "eof", "term"], (Rung.CANCEL, Rung.EOF, Rung.TERM, Rung.KILL)),
    ],
)
async def test_the_stop_ladder_is_climbed_as_far_as_it_must(caged, alive, ignored, rungs):
    cancel = asyncio.Event()
    script = caged.steps({"hang": {"ignore": ignored}})
    patience = tuple(0.3 if rung in ignored else 20 for rung in ("cancel", "eof", "term"))
    agent = caged.replay(script, stop_seconds=patience)
    playing = asyncio.ensure_future(caged.play(agent, cancel=cancel))
    await until(lambda: caged.of(ToolEnded))
    cancel.set()

    end = await playing

    assert (end.kind, end.rungs) == (TurnKind.CANCELLED, rungs)
    assert alive(str(script)) == []


async def test_a_stopped_agent_does_not_stop_us(caged, alive):
    """SIGSTOP: it reads nothing, so even writing the cancel may block."""
    script = caged.steps({"run": "sleep 600"})
    cancel = asyncio.Event()
    agent = caged.replay(script, stop_seconds=SHORT)
    playing = asyncio.ensure_future(caged.play(agent, cancel=cancel))
    await until(lambda: caged.of(ToolStarted))
    for pid in alive(str(script)):
        os.kill(pid, signal.SIGSTOP)
    cancel.set()

    end = await playing

    assert end.kind is TurnKind.CANCELLED
    assert Rung.KILL in end.rungs
    assert alive(str(script)) == []


async def test_cancelling_the_task_ends_the_agent_first(caged, alive):
    script = caged.steps({"hang": {"ignore": ["cancel", "eof"]}})
    playing = asyncio.ensure_future(caged.play(caged.replay(script, stop_seconds=SHORT)))
    await until(lambda: caged.of(ToolEnded))

    playing.cancel()
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing

    assert alive(str(script)) == []


@pytest.mark.parametrize("end", [{"say": "done"}, {"crash": True}, {"exit": 0}, {"sleep": 600}], ids=str)
async def test_a_daemon_in_a_session_of_its_own_is_gone_after_the_turn(caged, alive, token, end):
    daemon = {"spawn_daemon": f"touch born; setsid sleep {token} & exec sleep {token}"}
    wait = {"run": "while ! test -e born; do sleep 0.01; done"}
    script = caged.steps(daemon, wait, end)

    cancel = asyncio.Event()
    if "sleep" in end:
        caged.on_event = lambda event: cancel.set() if isinstance(event, ToolEnded) else None
    await caged.play(caged.replay(script), cancel=cancel)

    assert (caged.worktree / "born").exists()
    assert alive(token) == []


async def test_a_daemon_that_holds_our_pipe_does_not_hold_us(caged, alive, token):
    script = caged.steps({"spawn_daemon": {"command": f"sleep {token}", "keep_stdout": True}}, {"exit": 0})

    async with asyncio.timeout(SECONDS):
        end = await caged.play(caged.replay(script))

    assert end.kind is TurnKind.FAILED
    assert alive(token) == []


async def test_a_tool_is_gone_after_cancel(caged, alive, token):
    cancel = asyncio.Event()
    script = caged.steps({"run": f"setsid sleep {token} & sleep {token}"})
    playing = asyncio.ensure_future(caged.play(caged.replay(script), cancel=cancel))
    await until(lambda: len(alive(token)) >= 2)
    cancel.set()

    end = await playing

    assert end.kind is TurnKind.CANCELLED
    assert alive(token) == []


# On the wire


async def test_nonsense_lines_and_unknown_updates_cost_nothing(stage):
    def update(session, **body):
        params = {"sessionId": session, "update": body}
        return {"send": {"jsonrpc": "2.0", "method": "session/update", "params": params}}

    def request(request_id, method, **params):
        return {"send": {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}}

    chunk = {"type": "text", "text": "FOREIGN"}
    option = {"optionId": "a", "name": "a", "kind": "allow_once"}
    tool = {"toolCallId": "z", "kind": "execute"}
    asks = "session/request_permission"
    script = stage.steps(
        {"garbage": True},
        {"say": {"text": "schön ☃ 漢字", "split": True}},
        update("$SESSION", sessionUpdate="from_the_future", x=1),
        update("$SESSION", sessionUpdate=["no", "text"]),
        update("other", sessionUpdate="agent_message_chunk", content=chunk),
        update("$SESSION", sessionUpdate="tool_call_update", toolCallId="never-started", status="completed"),
        update("$SESSION", sessionUpdate="tool_call", toolCallId=7, title=5),
        update("$SESSION", sessionUpdate="agent_message_chunk", content=5),
        request("f", asks, sessionId="other", toolCall=tool, options=[option]),
        request("g", asks, sessionId="$SESSION", options=5),
        request("h", "terminal/create", sessionId="$SESSION", command="ls"),
        {"say": "after all that"},
    )
    end = await stage.play(stage.replay(script))

    assert (end.kind, end.error) == (TurnKind.IDLE, "")
    said = "".join(event.text for event in stage.of(AgentText))
    assert "schön ☃ 漢字" in said
    assert "after all that" in said
    assert "FOREIGN" not in said
    assert end.malformed >= 10
    assert stage.asked == []
    transcript = stage.transcript.read_text()
    assert '"id": "h", "error": {"code": -32601' in transcript
    assert '"id": "f", "result": {"outcome": {"outcome": "cancelled"}}' in transcript
    assert '"id": "g", "error"' in transcript


@pytest.mark.timeout(300)
async def test_floods_of_updates_and_stderr_pass(stage):
    flood = {"flood": {"updates": 20000, "stderr_bytes": 20_000_000, "line_bytes": 3_000_000}}
    turn = stage.turn(timeout_seconds=240)  # however busy the machine
    end = await stage.play(stage.replay(stage.steps(flood, {"say": "survived"})), turn)

    assert end.kind is TurnKind.IDLE
    assert end.text.endswith("survived")
    assert len(end.text) <= 64 << 10
    assert stage.transcript.with_suffix(".stderr").stat().st_size < 5 << 20
    assert stage.transcript.stat().st_size < 20 << 20


@pytest.mark.timeout(300)
async def test_a_flood_of_nonsense_is_ended(stage, alive):
    script = stage.steps({"flood": {"stdout_bytes": 100_000_000}})

    end = await stage.play(stage.replay(script), stage.turn(timeout_seconds=240))

    assert end.kind is TurnKind.FAILED
    assert "most of what it printed was no protocol message" in end.error
    assert alive(str(script)) == []


async def test_too_much_output_is_ended(stage):
    script = stage.steps({"flood": {"updates": 100_000}})

    end = await stage.play(stage.replay(script), stage.turn(output_limit_bytes=1 << 20))

    assert "it printed too much" in end.error


async def test_an_error_for_the_prompt_is_a_failed_turn(stage):
    script = stage.steps(
        {"error": {"code": -32603, "message": "API Error: 400", "data": {"details": "bad model"}}}
    )

    end = await stage.play(stage.replay(script))

    assert end.kind is TurnKind.FAILED
    assert "API Error: 400: bad model" in end.error


async def test_a_normal_end_that_hides_an_http_error_is_a_failed_turn(stage):
    said = {"say": "exceeded retry limit, last status: 429"}

    nothing_done = await stage.play(stage.replay(stage.steps(said)))
    work_done = await stage.play(stage.replay(stage.steps(WRITE, said)))

    assert nothing_done.kind is TurnKind.FAILED
    assert "last status: 429" in nothing_done.error
    assert work_done.kind is TurnKind.IDLE


async def test_a_usage_limit_is_an_end_of_its_own_and_what_changed_counts_as_work(stage):
    script = stage.steps({"say": "API Error: 403 usage limit reached"})

    async def changed() -> bool:
        return True

    assert (await stage.play(stage.replay(script))).kind is TurnKind.LIMITED
    assert (await stage.play(stage.replay(script), changed=changed)).kind is TurnKind.IDLE


async def test_a_refusal_fails_and_an_unknown_stop_reason_is_judged_by_the_files(stage):
    refusal = await stage.play(stage.replay(stage.steps({"end": "refusal"})))
    unknown = await stage.play(stage.replay(stage.steps({"end": "out_of_coffee"})))

    assert refusal.kind is TurnKind.FAILED
    assert unknown.kind is TurnKind.IDLE


async def test_a_script_that_no_longer_fits_the_tree_is_said(stage):
    (stage.worktree / "a").write_text("one two two")
    script = stage.steps({"replace": {"path": "a", "old": "two", "new": "x"}})

    end = await stage.play(stage.replay(script))

    assert f"{script}:0: replace: 'old' is in a 2 times, not once" in end.error
    assert Path(stage.worktree / "a").read_text() == "one two two"
