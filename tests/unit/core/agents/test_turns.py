"""Whole turns of the replay agent, through the real driver, in real sandboxes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re

import pytest

from core.agents.turn import (
    AgentText,
    PermissionAsked,
    PermissionDecided,
    Rung,
    ToolEnded,
    ToolStarted,
    TurnEvent,
    TurnIdle,
    TurnKind,
    TurnStarted,
)
from core.domain.approval import PermissionAnswer
from tests.waiting import until

HONEST = """
stories:
  demo-1:
    code_green:
      - say: I begin.
      - write: {path: src/a.py, text: "x = 1\\n"}
      - run: cat src/a.py
      - usage: {input: 10, output: 5, cost: 0.25, used: 15, size: 1000}
      - say: Done, in good order.
"""


async def test_an_honest_turn_works_at_both_levels(caged):
    end = await caged.play(caged.replay(caged.script(HONEST)))

    assert (end.kind, end.error) == (TurnKind.IDLE, "")
    assert (caged.worktree / "src/a.py").read_text() == "x = 1\n"
    assert end.text == "[replay] Done, in good order."
    assert (end.tools, end.exit_code, end.rungs, end.stop_reason) == (2, 0, (Rung.EOF,), "end_turn")
    assert caged.asked == []


async def test_events_come_in_the_order_of_the_turn(stage):
    end = await stage.play(stage.replay(stage.script(HONEST)))

    kinds = [type(event) for event in stage.events]
    assert kinds == [
        TurnStarted, AgentText, ToolStarted, ToolEnded, ToolStarted, ToolEnded, AgentText, TurnIdle,
    ]  # fmt: skip
    started = stage.events[0]
    assert started == TurnStarted(
        agent="replay", session_id=end.session_id, resumed=False, prompt_sha256=started.prompt_sha256
    )
    assert started.prompt_sha256 == hashlib.sha256(stage.turn().prompt.encode()).hexdigest()
    assert stage.of(ToolStarted)[0].title == "Write src/a.py"
    assert "no model is at work" in stage.of(AgentText)[0].text


async def test_usage_is_marked_as_the_agents_word(stage):
    agent = stage.replay(stage.script(HONEST), quirks=("usage:turn",))

    usage = (await stage.play(agent)).usage

    assert usage["source"] == "the agent's word"
    assert usage["meaning"] == "turn"
    assert usage["prompt"]["total_tokens"] == 15
    assert usage["usage_update"]["cost"] == {"amount": 0.25, "currency": "USD"}


async def test_the_transcript_holds_both_ways(stage):
    await stage.play(stage.replay(stage.script(HONEST)))

    entries = [json.loads(line) for line in stage.transcript.read_text().splitlines()]
    methods = [entry["message"].get("method") for entry in entries if entry["way"] == "out"]
    assert methods[:3] == ["initialize", "session/new", "session/prompt"]
    assert any(entry["way"] == "in" and "Done, in good order" in str(entry) for entry in entries)


async def test_attempts_and_feedback_choose_what_is_played(stage):
    script = stage.script("""
stories:
  "a STORY":
    code_green:
      - - say: first
      - - when: feedback contains "needs a docstring"
          then: [{say: second with docstring}]
          else: [{say: second}]
""")
    feedback = "===== feedback: begin =====\n- it needs a docstring\n===== feedback: end ====="

    texts = [
        (await stage.play(stage.replay(script), stage.turn(attempt=attempt, body=body))).text
        for attempt, body in ((1, ""), (2, ""), (7, feedback))
    ]

    assert [text.splitlines()[-1] for text in texts] == [
        "[replay] first", "[replay] second", "[replay] second with docstring",
    ]  # fmt: skip


@pytest.mark.parametrize("offered", ["resume", "load"])
async def test_a_session_is_taken_up_again_and_its_replay_is_not_new(stage, offered):
    script = stage.script(f"""
sessions: {offered}
stories:
  "*":
    code_green:
      - when: resumed
        then: [{{say: I remember.}}]
        else: [{{say: Remember the word notedfirst.}}]
""")
    first = await stage.play(stage.replay(script))
    stage.events.clear()

    second = await stage.play(stage.replay(script), stage.turn(session_id=first.session_id))

    assert second.session_id == first.session_id
    assert second.text.endswith("[replay] I remember.")
    assert "notedfirst" not in "".join(event.text for event in stage.of(AgentText))
    assert stage.of(TurnStarted)[0].resumed
    sent = stage.transcript.read_text()
    assert f'"method": "session/{offered}"' in sent


async def test_a_lost_session_starts_afresh(stage):
    end = await stage.play(
        stage.replay(stage.script(HONEST)), stage.turn(session_id="replay-0000000000000000")
    )

    assert end.kind is TurnKind.IDLE
    assert end.session_id != "replay-0000000000000000"
    assert not stage.of(TurnStarted)[0].resumed


async def test_an_agent_that_loses_loaded_sessions_is_never_asked_to_load(stage):
    script = stage.script(HONEST)
    first = await stage.play(stage.replay(script))

    second = await stage.play(
        stage.replay(script, quirks=("fresh_session",)), stage.turn(session_id=first.session_id)
    )

    assert second.session_id != first.session_id


async def test_the_mode_of_the_row_is_set_and_makes_it_ask(stage):
    end = await stage.play(stage.replay(stage.script(HONEST), mode="ask"))

    assert end.kind is TurnKind.IDLE
    assert [asked.detail for asked in stage.asked] == ["cat src/a.py"]  # the edit is the role's right
    decided = [(each.title, each.allowed, each.by) for each in stage.of(PermissionDecided)]
    assert decided == [("Write src/a.py", True, "policy"), ("cat src/a.py", True, "people")]


async def test_an_unknown_mode_is_a_clear_failure(stage):
    end = await stage.play(stage.replay(stage.script(HONEST), mode="read-only"))

    assert end.kind is TurnKind.FAILED
    assert "no session mode 'read-only'; it offers play, ask" in end.error


async def test_an_edit_outside_the_roles_paths_is_denied(stage):
    script = stage.script("""
ask: [edit]
stories: {"*": {"*": [{write: {path: tests/test_a.py, text: ""}}]}}
""")
    await stage.play(stage.replay(script))

    decided = stage.of(PermissionDecided)[0]
    assert (decided.allowed, decided.by) == (False, "policy")
    assert "not tests/test_a.py" in decided.reason
    assert not (stage.worktree / "tests").exists()


async def test_people_refuse_a_command(stage):
    stage.answer = PermissionAnswer(allowed=False, reason="too risky")
    script = stage.script('stories: {"*": {"*": [{run: {command: touch made, ask: true}}]}}')

    end = await stage.play(stage.replay(script))

    assert end.kind is TurnKind.IDLE
    assert stage.asked == [
        PermissionAsked(title="touch made", detail="touch made", reasons=stage.asked[0].reasons)
    ]
    assert "does not confine" in stage.asked[0].reasons[0]
    assert not (stage.worktree / "made").exists()


async def test_the_sandboxed_command_needs_no_people(caged):
    script = caged.script('stories: {"*": {"*": [{run: {command: touch made, ask: true}}]}}')

    await caged.play(caged.replay(script))

    assert (caged.worktree / "made").exists()
    assert len(caged.asked) == (1 if caged.level == "process" else 0)


async def test_options_are_chosen_by_kind_the_first_of_several(stage):
    script = stage.script("""
stories:
  "*":
    "*":
      - ask:
          title: Confirm Agent Actions
          options:
            - {id: y, name: "Always", kind: allow_always}
            - {id: cancel, name: "No", kind: reject_once}
            - {id: "3", name: "Accept", kind: allow_once}
            - {id: risk_based, name: "By risk", kind: allow_once}
          then: [{say: was allowed}]
          else: [{say: was refused}]
""")
    allowed = await stage.play(stage.replay(script))
    stage.answer = PermissionAnswer(allowed=False)
    refused = await stage.play(stage.replay(script))

    assert "was allowed" in allowed.text
    assert "was refused" in refused.text
    transcript = stage.transcript.read_text()
    assert re.findall(r'"optionId": "([^"]+)"[^}]*"outcome": "selected"', transcript) == ["3", "cancel"]


async def test_a_bare_request_is_understood_from_the_tool_call_before(stage):
    script = stage.script("""
stories:
  "*":
    "*":
      - ask: {title: Delete everything, kind: execute, command: rm -rf build, bare: true}
""")
    await stage.play(stage.replay(script))

    assert (stage.asked[0].title, stage.asked[0].detail) == ("Delete everything", "rm -rf build")


async def test_cancelling_answers_open_questions_and_ends_the_turn(stage):
    asked, cancel, withdrawn = asyncio.Event(), asyncio.Event(), []

    async def ask(_question: PermissionAsked) -> PermissionAnswer:
        asked.set()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            withdrawn.append(True)
            raise
        raise AssertionError

    script = stage.script('stories: {"*": {"*": [{ask: {title: Odd}}, {write: {path: a, text: ""}}]}}')
    turn = asyncio.ensure_future(stage.play(stage.replay(script), ask=ask, cancel=cancel))
    await asked.wait()
    cancel.set()
    end = await turn

    assert (end.kind, end.rungs) == (TurnKind.CANCELLED, (Rung.CANCEL, Rung.EOF))
    assert withdrawn == [True]
    assert '"outcome": {"outcome": "cancelled"}' in stage.transcript.read_text()
    assert not (stage.worktree / "a").exists()


async def test_a_cancel_that_goes_before_the_prompt_keeps_it_unsent(stage):
    cancel = asyncio.Event()

    async def heard(event: TurnEvent) -> None:
        if isinstance(event, TurnStarted):
            cancel.set()
            await until(lambda: "session/cancel" in stage.transcript.read_text())

    steering: asyncio.Queue[str] = asyncio.Queue()
    steering.put_nowait("Mind the docstring.")
    script = stage.steps({"sleep": 600})
    end = await stage.play(stage.replay(script), cancel=cancel, on_event=heard, steering=steering)

    assert (end.kind, end.rungs) == (TurnKind.CANCELLED, (Rung.CANCEL, Rung.EOF))
    assert (end.steered, end.unheard) == ((), ("Mind the docstring.",))
    assert end.stop_reason == "cancelled"
    assert "session/prompt" not in stage.transcript.read_text()


async def test_waiting_for_people_does_not_use_the_turns_time_up(stage):
    answered = []

    async def ask(_question: PermissionAsked) -> PermissionAnswer:
        await asyncio.sleep(10)  # longer than the whole turn may take
        answered.append(True)
        return PermissionAnswer(allowed=True)

    script = stage.script('stories: {"*": {"*": [{ask: {title: Odd, then: [{say: went on}]}}]}}')
    end = await stage.play(stage.replay(script), stage.turn(timeout_seconds=9, stall_seconds=9), ask=ask)

    assert (end.kind, answered) == (TurnKind.IDLE, [True])
    assert "went on" in end.text


async def test_home_and_environment_are_the_agents_own(caged, monkeypatch):
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    script = caged.script('stories: {"*": {"*": [{run: "env | sort > seen; cat ~/.odd/x.toml >> seen"}]}}')
    agent = caged.replay(script, environment={"FOO": "bar"}, home_files={".odd/x.toml": "a = 1\n"})

    await caged.play(agent)

    seen = (caged.worktree / "seen").read_text()
    assert "FOO=bar" in seen
    assert f"HOME={caged.home}" in seen
    assert seen.endswith("a = 1\n")
    assert "secret" not in seen
    assert (caged.home / ".odd/x.toml").stat().st_mode & 0o777 == 0o600


async def test_a_home_file_is_not_written_through_a_planted_link(stage):
    stage.home.mkdir()
    target = stage.root / "target"
    target.mkdir()
    (stage.home / ".odd").symlink_to(target)

    end = await stage.play(stage.replay(stage.script(HONEST), home_files={".odd/x.toml": "a = 1\n"}))

    assert end.kind is TurnKind.FAILED
    assert "is a link" in end.error
    assert list(target.iterdir()) == []


async def test_the_listeners_own_fault_comes_out_after_the_agent_was_ended(stage, alive):
    script = stage.script(HONEST)

    def broken(event):
        if isinstance(event, ToolStarted):
            raise ZeroDivisionError

    stage.on_event = broken
    with pytest.raises(ZeroDivisionError):
        await stage.play(stage.replay(script))

    assert alive(str(script)) == []


@pytest.mark.parametrize("method", ["client_write", "client_read"])
async def test_files_through_the_client_stay_in_the_worktree_and_the_rights(stage, method):
    outside = stage.root / "outside.txt"
    outside.write_text("keep me")
    (stage.worktree / "link").symlink_to(stage.root)
    (stage.worktree / "in.txt").write_text("inside")
    reads = {"link/outside.txt": False, "in.txt": True, str(outside): False}
    writes = {"link/outside.txt": False, "new/a.py": True, "../outside.txt": False, "tests/test_a.py": False}
    paths = writes if method == "client_write" else reads
    steps = [{method: {"path": path, "text": "new"} if method == "client_write" else path} for path in paths]
    path = stage.root / "script.json"
    path.write_text(json.dumps({"stories": {"*": {"*": steps}}}))

    await stage.play(stage.replay(path))

    assert [not event.failed for event in stage.of(ToolEnded)] == list(paths.values())
    assert outside.read_text() == "keep me"
    assert not (stage.worktree / "tests").exists()
    assert (stage.worktree / "new/a.py").exists() == (method == "client_write")
