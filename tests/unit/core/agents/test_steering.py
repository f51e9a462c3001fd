"""A person speaks to a running turn: real agents' processes, through the real driver."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress

import pytest

from core.agents.steering import Steering
from core.agents.turn import (
    AgentText,
    PermissionAsked,
    Rung,
    ToolEnded,
    ToolStarted,
    TurnKind,
    TurnStarted,
    TurnSteered,
)
from core.domain.approval import PermissionAnswer
from tests.waiting import until

CHOICE = [
    {
        "when": 'steering contains "docstring"',
        "then": [{"write": {"path": "how", "text": "with a docstring"}}],
        "else": [{"write": {"path": "how", "text": "otherwise"}}],
    }
]
WAITS = {"steered": {"then": CHOICE}}


def read(stage, name: str) -> str:
    return (stage.worktree / name).read_text()


def prompts(stage) -> list[str]:
    entries = [json.loads(line) for line in stage.transcript.read_text().splitlines()]
    sent = [entry["message"] for entry in entries if entry["way"] == "out"]
    return [each["params"]["prompt"][0]["text"] for each in sent if each.get("method") == "session/prompt"]


def speak_at(stage, kind: type, *texts: str) -> asyncio.Queue[str]:
    """A queue into which the texts go when the first event of that kind is seen."""
    queue: asyncio.Queue[str] = asyncio.Queue()
    waiting = list(texts)

    def heard(event) -> None:
        if isinstance(event, kind):
            while waiting:
                queue.put_nowait(waiting.pop(0))

    stage.on_event = heard
    return queue


async def test_the_agent_is_told_in_the_same_session_and_goes_on(caged):
    script = caged.steps(
        {"write": {"path": "a", "text": "x"}},
        {"usage": {"input": 1, "output": 2}},
        {"say": "I wait."},
        WAITS,
        {"usage": {"input": 30, "output": 40}},
        {"say": "Done."},
    )
    steering = speak_at(caged, ToolStarted, "Add a docstring,", "please.")

    end = await caged.play(caged.replay(script), steering=steering)

    assert (end.kind, end.error, end.stop_reason) == (TurnKind.IDLE, "", "end_turn")
    assert (read(caged, "a"), read(caged, "how")) == ("x", "with a docstring")
    assert (end.steered, end.unheard, end.rungs) == (("Add a docstring,", "please."), (), (Rung.EOF,))
    assert [event.text for event in caged.of(TurnSteered)] == list(end.steered)
    assert len(caged.of(TurnStarted)) == 1
    first, second = prompts(caged)
    assert "Add a docstring,\n\nplease." in second
    assert "the story goes on" in second
    assert second.startswith(first.split("\n\n")[0] + "\nOrchard-Steered: 1\n")


AGENT = """
import json, sys
def send(**body): print(json.dumps({"jsonrpc": "2.0", **body}), flush=True)
def say(text):
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
    send(method="session/update", params={"sessionId": "s", "update": update})
def answer(message, reason, number):
    used = {"inputTokens": number, "outputTokens": 0, "totalTokens": number}
    send(id=message["id"], result={"stopReason": reason, "usage": used})
prompts = []
for line in sys.stdin:
    message = json.loads(line)
    method = message["method"]
    if method == "initialize": send(id=message["id"], result={"protocolVersion": 1})
    if method == "session/new": send(id=message["id"], result={"sessionId": "s"})
    if method == "session/prompt": prompts.append(message)
"""


async def test_text_and_usage_of_the_first_prompt_are_kept(stage):
    source = f"""{AGENT}
    if method == "session/cancel": answer(prompts[0], "cancelled", 3)
    if method == "session/prompt" and len(prompts) == 1: say("first words" * 500)
    if method == "session/prompt" and len(prompts) == 2: say("second words"); answer(message, "end_turn", 70)
"""
    steering = speak_at(stage, AgentText, "Faster.")

    end = await stage.play(stage.program(source), steering=steering)

    assert end.kind is TurnKind.IDLE
    assert end.text == "first words" * 500 + "\n\nsecond words"
    assert end.usage["prompt"]["total_tokens"] == 70
    assert [each["prompt"]["total_tokens"] for each in end.usage["earlier"]] == [3]


async def test_words_that_come_before_the_prompt_stand_in_it(stage):
    steering: asyncio.Queue[str] = asyncio.Queue()
    steering.put_nowait("Mind the docstring.")

    end = await stage.play(stage.replay(stage.steps(WAITS)), steering=steering)

    assert (end.kind, end.steered) == (TurnKind.IDLE, ("Mind the docstring.",))
    assert read(stage, "how") == "with a docstring"
    assert len(prompts(stage)) == 1


async def test_an_agent_that_answers_the_cancel_with_an_error_is_prompted_again(stage):
    source = f"""{AGENT}
    if method == "session/cancel": send(id=prompts[0]["id"], error={{"code": -32603, "message": "aborted"}})
    if method == "session/prompt" and len(prompts) == 1: say("first words" * 500)
    if method == "session/prompt" and len(prompts) == 2: answer(message, "end_turn", 70)
"""
    steering = speak_at(stage, AgentText, "Faster.")

    end = await stage.play(stage.program(source), steering=steering)

    assert (end.kind, end.stop_reason, end.steered) == (TurnKind.IDLE, "end_turn", ("Faster.",))
    assert "the cancelled prompt ended with an error: aborted" in stage.transcript.read_text()


class LateQueue(asyncio.Queue[str]):
    """Its texts are only seen by who looks, as when one comes in the very moment in which the prompt ends."""

    async def get(self) -> str:
        await asyncio.Event().wait()
        raise AssertionError


async def test_words_that_come_as_the_agent_ends_are_heard_in_another_prompt(stage):
    source = f"""{AGENT}
    if method == "session/prompt": say("words" * 500); answer(message, "end_turn", 1)
"""
    steering = LateQueue()
    waiting = ["One thing more."]

    def heard(event) -> None:
        if isinstance(event, AgentText) and waiting:
            steering.put_nowait(waiting.pop())

    stage.on_event = heard

    end = await stage.play(stage.program(source), steering=steering)

    assert (end.kind, end.steered, end.unheard) == (TurnKind.IDLE, ("One thing more.",), ())
    assert len(prompts(stage)) == 2
    assert "session/cancel" not in stage.transcript.read_text()


async def test_an_open_question_is_withdrawn(stage):
    script = stage.steps({"ask": {"title": "Launch", "kind": "fetch"}}, {"say": "on"})
    withdrawn = []

    async def ask(_question: PermissionAsked) -> PermissionAnswer:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            withdrawn.append(True)
            raise
        raise AssertionError

    steering = speak_at(stage, PermissionAsked, "Do not launch.")

    end = await stage.play(stage.replay(script), steering=steering, ask=ask)

    assert (end.kind, withdrawn) == (TurnKind.IDLE, [True])
    assert '"outcome": {"outcome": "cancelled"}' in stage.transcript.read_text()


async def test_a_question_after_steering_is_asked_again(stage):
    script = stage.steps(
        {"run": "true"},
        {
            "steered": {
                "then": [
                    {
                        "ask": {
                            "title": "Launch",
                            "kind": "fetch",
                            "then": [{"write": {"path": "go", "text": ""}}],
                        }
                    }
                ]
            }
        },
    )
    steering = speak_at(stage, ToolStarted, "Launch now.")

    end = await stage.play(stage.replay(script), steering=steering)

    assert end.kind is TurnKind.IDLE
    assert [asked.title for asked in stage.asked] == ["Launch"]
    assert (stage.worktree / "go").exists()


async def test_a_tool_that_the_cancel_ended_is_not_at_work_for_ever(stage):
    """Without that, the silence after it would never be noticed."""
    script = stage.steps({"run": "sleep 600"}, {"sleep": 600})
    steering = speak_at(stage, ToolStarted, "Leave that.")

    end = await stage.play(stage.replay(script), stage.turn(stall_cancel_seconds=1), steering=steering)

    assert end.kind is TurnKind.FAILED
    assert "showed nothing for 1" in end.error
    assert end.steered == ("Leave that.",)


async def test_people_may_speak_again_and_again(stage):
    script = stage.steps(*[{"run": "true"}, "steered"] * 3, {"say": "Three times."})
    steering: asyncio.Queue[str] = asyncio.Queue()
    spoken = iter(["first", "second", "third"])

    def heard(event) -> None:
        if isinstance(event, ToolStarted):
            steering.put_nowait(next(spoken))

    stage.on_event = heard

    end = await stage.play(stage.replay(script), steering=steering)

    assert (end.kind, end.steered) == (TurnKind.IDLE, ("first", "second", "third"))
    assert end.text.endswith("Three times.")
    assert "Orchard-Steered: 3" in prompts(stage)[-1]


async def test_blank_words_disturb_nobody(stage):
    steering = speak_at(stage, ToolStarted, "  \n")

    end = await stage.play(stage.replay(stage.steps({"run": "true"}, {"sleep": 0.2})), steering=steering)

    assert (end.kind, end.steered, end.unheard) == (TurnKind.IDLE, (), ())
    assert len(prompts(stage)) == 1


async def test_an_agent_that_ignores_the_cancel_falls_down_the_ladder_and_the_words_are_kept(caged, alive):
    script = caged.steps({"hang": {"ignore": ["cancel", "eof", "term"]}})
    steering = speak_at(caged, ToolEnded, "Stop that.")

    end = await caged.play(caged.replay(script, stop_seconds=(0.3, 0.3, 0.3)), steering=steering)

    assert end.kind is TurnKind.FAILED
    assert "did not stop within 0.3 s to hear what a person said" in end.error
    assert end.rungs == (Rung.CANCEL, Rung.EOF, Rung.TERM, Rung.KILL)
    assert (end.steered, end.unheard) == ((), ("Stop that.",))
    assert alive(str(script)) == []


async def test_an_agent_that_dies_when_it_is_cancelled_is_named_and_the_words_are_kept(stage, alive):
    script = stage.steps({"run": "true"}, {"silent": {"seconds": 600, "deaf": True}})
    steering: asyncio.Queue[str] = asyncio.Queue()

    def killed(event) -> None:
        if isinstance(event, ToolStarted):
            steering.put_nowait("Stop that.")
            for pid in alive(str(script)):
                with suppress(ProcessLookupError):  # the first takes the others along
                    os.kill(pid, signal.SIGKILL)

    stage.on_event = killed

    end = await stage.play(stage.replay(script), steering=steering)

    assert end.kind is TurnKind.FAILED
    assert "killed by signal 9" in end.error
    assert "Stop that." in end.unheard


async def test_stopping_a_turn_while_it_is_being_steered_prompts_no_more(stage):
    """The agent is slow to cancel: the answer comes when nobody wants another prompt."""
    script = stage.steps({"hang": {"ignore": ["cancel"], "seconds": 4}})
    cancel = asyncio.Event()
    steering: asyncio.Queue[str] = asyncio.Queue()
    playing = asyncio.ensure_future(stage.play(stage.replay(script), steering=steering, cancel=cancel))
    await until(lambda: stage.of(ToolEnded))
    steering.put_nowait("Wait.")
    await until(lambda: "session/cancel" in stage.transcript.read_text())
    cancel.set()

    end = await playing

    assert (end.kind, end.unheard) == (TurnKind.CANCELLED, ("Wait.",))
    assert len(prompts(stage)) == 1


async def test_words_go_back_into_the_queue_when_the_task_is_cancelled(stage):
    script = stage.steps({"hang": {"ignore": ["cancel"], "seconds": 4}})
    steering: asyncio.Queue[str] = asyncio.Queue()
    playing = asyncio.ensure_future(stage.play(stage.replay(script), steering=steering))
    await until(lambda: stage.of(ToolEnded))
    steering.put_nowait("one")
    await until(lambda: "session/cancel" in stage.transcript.read_text())
    steering.put_nowait("two")
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing

    assert [steering.get_nowait(), steering.get_nowait()] == ["one", "two"]


async def test_words_to_an_agent_that_never_started_are_unheard(stage):
    steering: asyncio.Queue[str] = asyncio.Queue()
    steering.put_nowait("hello")

    end = await stage.play(stage.replay(stage.steps(start=[{"exit": 3}])), steering=steering)

    assert (end.kind, end.unheard) == (TurnKind.FAILED, ("hello",))


async def test_waiting_loses_nothing_when_it_is_given_up():
    queue: asyncio.Queue[str] = asyncio.Queue()
    steering = Steering(queue)
    for number in range(20):
        waiting = asyncio.ensure_future(steering.wait())
        await asyncio.sleep(0)
        queue.put_nowait(str(number))
        if number % 2:
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert steering.take() == [str(number)]
