from __future__ import annotations

import asyncio
import json
import os
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from core.agents import transcript as transcripts
from core.agents.reading import readable, since_last_prompt
from core.agents.transcript import Transcript, last_transcript, read_transcript
from core.agents.turn import PermissionDecided, TurnKind
from core.clock import SystemClock
from core.domain.approval import PermissionAnswer


def test_long_messages_are_cut_and_the_file_is_bounded(tmp_path):
    path = tmp_path / "runs" / "a.jsonl"
    with Transcript(path, SystemClock(), line_limit=100, size_limit=1000) as transcript:
        transcript.add("in", {"text": "x" * 500})
        for number in range(1000):
            transcript.add("out", {"number": number})

    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert entries[0]["cut"] == '{"text": "' + "x" * 90
    assert entries[0]["characters"] == 512
    assert entries[1]["message"] == {"number": 0}
    assert "more messages were not kept" in entries[-1]["message"]
    assert path.stat().st_size < 10_000


def test_odd_text_can_be_written_and_a_second_turn_is_appended(tmp_path):
    path = tmp_path / "a.jsonl"
    for _ in range(2):
        with Transcript(path, SystemClock()) as transcript:
            transcript.add("in", {"text": "\ud800 lone", "bytes": b"\xff"})

    assert len(path.read_text().splitlines()) == 2


# For people

SESSION = [
    {"say": "I begin.\nTwo lines."},
    {"think": "Hm."},
    {"write": {"path": "src/a.py", "text": "x = 1\n"}},
    {"run": {"command": "cat src/a.py; exit 3", "ask": True}},
    {"ask": {"title": "Fetch a page", "kind": "fetch", "command": "curl https://example.org"}},
    {"steered": True},
    {"say": "Done, in good order."},
]


async def test_a_whole_turn_can_be_read(stage):
    steering = asyncio.Queue()
    stage.answer = PermissionAnswer(allowed=False, reason="not on a Sunday")

    def heard(event) -> None:
        if isinstance(event, PermissionDecided) and event.title == "Fetch a page":
            steering.put_nowait("Go on, please.")

    stage.on_event = heard
    agent = stage.replay(stage.steps(*SESSION))

    end = await stage.play(agent, steering=steering)
    text = re.sub(r"^\d\d:\d\d:\d\d ", "", readable(stage.transcript.read_text()), flags=re.MULTILINE)

    assert end.kind is TurnKind.IDLE
    assert "prompt: Orchard-Story: demo-1\n" in text
    assert "\n    [replay] I begin.\n    Two lines.\n" in text
    assert "thought: [replay] Hm." in text
    assert "tool: Write src/a.py\n" in text
    assert "    +x = 1\n" in text
    assert "done: Write src/a.py" in text
    assert "asks: cat src/a.py; exit 3\n" in text
    assert "failed: cat src/a.py; exit 3\n    refused\n" in text
    assert "asks: Fetch a page\n    curl https://example.org\n" in text
    assert "answer: not allowed: not on a Sunday\n" in text
    assert "cancel: Orchard asks the agent to stop.\n" in text
    assert "    Go on, please.\n" in text
    assert "[replay] Done, in good order.\nstops: end_turn\nend: idle" in text
    assert "jsonrpc" not in text


async def test_a_replayed_conversation_is_not_shown_as_new(stage):
    script = stage.steps({"say": "notedfirst"}, sessions="load")
    first = await stage.play(stage.replay(script))
    stage.transcript.unlink()
    await stage.play(stage.replay(script), stage.turn(session_id=first.session_id))

    assert readable(stage.transcript.read_text()).count("notedfirst") == 1


async def test_a_failed_turn_says_why(stage):
    await stage.play(stage.replay(stage.steps({"error": "API Error: 400"})))

    text = readable(stage.transcript.read_text())

    assert "error: session/prompt: API Error: 400" in text
    assert "end: failed: replay reported an error" in text


def entry(way="in", **fields) -> str:
    return json.dumps({"at": "2026-11-21T14:00:00+00:00", "way": way, **fields})


def test_of_a_long_transcript_the_end_is_shown():
    lines = "\n".join(entry("note", message=f"note {number}") for number in range(2000))

    text = readable(lines, 1000)

    assert len(text) == 1000
    assert text.startswith("[")
    assert text.endswith("note 1999")
    assert len(readable(lines, 10)) <= 10


def test_control_and_direction_characters_are_left_out():
    words = {
        "sessionUpdate": "agent_message_chunk",
        "content": {"type": "text", "text": "a\x1b[31m\u202eb\x00c"},
    }
    message = {"method": "session/update", "params": {"sessionId": "s", "update": words}}

    assert readable(entry(message=message)) == "14:00:00 agent: a[31mbc"


def test_a_cut_message_shows_its_head():
    assert "agent's words\n    [70000 characters in all]" in readable(
        entry(cut="agent's words", characters=70000)
    )


KEYS = [
    "at",
    "way",
    "message",
    "method",
    "params",
    "update",
    "sessionUpdate",
    "toolCallId",
    "content",
    "id",
    "result",
    "error",
    "text",
    "outcome",
    "optionId",
    "options",
    "toolCall",
    "prompt",
    "_meta",
    "orchard",
    "status",
    "title",
    "rawInput",
]
WORDS = [
    "in",
    "out",
    "note",
    "session/update",
    "session/prompt",
    "session/request_permission",
    "tool_call",
    "agent_message_chunk",
    "completed",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=20,
)
ENTRIES = st.fixed_dictionaries({"way": st.sampled_from(["in", "out", "note"]), "message": JSON})


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON | ENTRIES, max_size=8))
def test_nothing_that_stands_in_a_transcript_breaks_the_reading(entries):
    text = readable("\n".join([*(json.dumps(each) for each in entries), '{"half": ']), 5000)

    assert "a line that is no entry" in text
    assert len(text) <= 5000


def test_the_newest_file_of_a_story_is_read_from_its_end(tmp_path, monkeypatch):
    assert last_transcript(tmp_path / "none") is None
    for number, name in enumerate(("code_green-1", "design-1")):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f'{{"way": "note", "message": "turn {turn}"}}\n' for turn in range(100)))
        os.utime(path, (1000 - number, 1000 - number))
    path = last_transcript(tmp_path)
    assert path == tmp_path / "code_green-1.jsonl"
    assert read_transcript(path).startswith("# code_green-1\n\nnote: turn 0\n")
    monkeypatch.setattr(transcripts, "_READ_BYTES", 200)
    shown = read_transcript(path)
    assert "turn 99" in shown
    assert "turn 10" not in shown


async def test_what_a_turn_said_is_told_from_what_it_was_told(stage):
    await stage.play(stage.replay(stage.steps({"say": "I begin."}, {"say": "Done."})))
    text = readable(stage.transcript.read_text())
    said = since_last_prompt(text)
    assert "Orchard-Story" in text
    assert "Orchard-Story" not in said
    assert "I begin." in said
    assert since_last_prompt("no prompt\n    at all") == "no prompt\n    at all"
