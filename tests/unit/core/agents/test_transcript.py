from __future__ import annotations

import json

from core.agents.transcript import Transcript
from core.clock import SystemClock


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
