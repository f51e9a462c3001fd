"""Agents that show nothing: people are told once a silence, and too long a one ends the turn."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import pytest

from core.agents.silence import processor_seconds
from core.agents.turn import PermissionAsked, ToolEnded, TurnFailed, TurnKind
from core.domain.approval import PermissionAnswer


class Told(list[tuple[float, str]]):
    async def __call__(self, seconds: float, doing: str) -> None:
        self.append((seconds, doing))


async def test_people_are_told_once_a_silence_and_the_turn_goes_on(stage):
    script = stage.steps(
        {"read": "a"}, {"silent": 4}, {"say": "I am back."}, {"silent": 4}, {"say": "And again."}
    )
    told = Told()

    end = await stage.play(stage.replay(script), stage.turn(stall_seconds=1.5), on_stalled=told)

    assert (end.kind, end.error) == (TurnKind.IDLE, "")
    assert len(told) == 2
    assert all(1.5 <= seconds < 60 for seconds, _ in told)
    assert "its last tool was 'Read a'" in told[0][1]
    assert "its processes use no processor time" in told[0][1]
    assert "its last sign was text" in told[1][1]


async def test_a_busy_silence_is_told_apart(caged):
    script = caged.steps({"say": "I think."}, {"silent": {"seconds": 600, "busy": True}})
    told, cancel = Told(), asyncio.Event()

    async def hear(seconds: float, doing: str) -> None:
        await told(seconds, doing)
        if "working silently" in doing:
            cancel.set()

    end = await caged.play(caged.replay(script), caged.turn(stall_seconds=4), on_stalled=hear, cancel=cancel)

    assert end.kind is TurnKind.CANCELLED
    assert "of processor time" in told[-1][1]


async def test_too_long_a_silence_ends_the_turn_with_one_sentence(stage, alive):
    script = stage.steps({"say": "I think."}, {"silent": 600})
    told = Told()

    turn = stage.turn(stall_seconds=1, stall_cancel_seconds=3)
    end = await stage.play(stage.replay(script), turn, on_stalled=told)

    assert end.kind is TurnKind.FAILED
    assert "replay showed nothing for " in end.error
    assert "its last sign was text" in end.error
    assert end.error.count(". ") == 0
    assert ["its last sign was text" in doing for _, doing in told].count(True) == 1
    assert "I think." in end.text
    assert stage.of(TurnFailed)[-1].error == end.error
    assert alive(str(script)) == []


async def test_a_deaf_silence_falls_down_the_ladder(stage, alive):
    script = stage.steps({"silent": {"seconds": 600, "deaf": True}})

    agent = stage.replay(script, stop_seconds=(0.2, 20, 20))
    end = await stage.play(agent, stage.turn(stall_cancel_seconds=0.5))

    assert end.kind is TurnKind.FAILED
    assert alive(str(script)) == []


async def test_a_running_tool_is_no_silence(stage):
    script = stage.steps({"run": "sleep 4"}, {"say": "tool over"}, {"sleep": 600})
    told = Told()

    turn = stage.turn(stall_seconds=1.5, stall_cancel_seconds=3)
    end = await stage.play(stage.replay(script), turn, on_stalled=told)

    assert end.kind is TurnKind.FAILED
    assert "tool over" in end.text
    assert [event.failed for event in stage.of(ToolEnded)] == [False]
    assert len(told) == 1


async def test_an_open_question_is_no_silence(stage):
    script = stage.steps({"ask": {"title": "May I?", "kind": "fetch"}}, {"say": "thanks"})
    told = Told()

    async def ask(_question: PermissionAsked) -> PermissionAnswer:
        await asyncio.sleep(4)
        return PermissionAnswer(allowed=True)

    turn = stage.turn(stall_seconds=2, stall_cancel_seconds=3)
    end = await stage.play(stage.replay(script), turn, on_stalled=told, ask=ask)

    assert (end.kind, told) == (TurnKind.IDLE, [])


async def test_a_fault_of_who_is_told_comes_out_after_the_agent_has_ended(stage, alive):
    script = stage.steps({"silent": 600})

    async def told(_seconds: float, _doing: str) -> None:
        raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        await stage.play(stage.replay(script), stage.turn(stall_seconds=0.2), on_stalled=told)

    assert alive(str(script)) == []


def test_processor_time_is_counted_over_the_whole_tree():
    burn = "import time\nwhile time.process_time() < 0.5: pass\nprint('burnt', flush=True)\ninput()"
    shell = ["sh", "-c", 'python3 -c "$1"; true', "sh", burn]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        busy = processor_seconds(process.pid)
        time.sleep(0.1)
        later = processor_seconds(process.pid)
        process.communicate(b"\n")

    assert 0.4 <= busy < 5
    assert later - busy < 0.1
    assert processor_seconds(2**22 + os.getpid()) == 0
