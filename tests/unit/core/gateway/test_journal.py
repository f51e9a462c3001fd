from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.calls import Ending, MeteredCall, Stage, line_of, read_line
from core.gateway.journal import JournalReader, JournalWriter, segments

CALL = MeteredCall(
    call_id="c1",
    run_id="r",
    project="shop",
    story_id=None,
    phase="design",
    agent="echo",
    provider="openai",
    wire="chat",
    model="m",
    at=datetime(2026, 11, 21, tzinfo=UTC),
)


def call(number: int, tokens: int = 0) -> MeteredCall:
    return replace(CALL, call_id=f"c{number}", input_tokens=tokens)


def ids(calls: tuple[MeteredCall, ...]) -> list[str]:
    return [each.call_id for each in calls]


def test_a_call_comes_once_it_has_ended_and_until_it_is_taken(tmp_path: Path) -> None:
    writer, reader = JournalWriter(tmp_path), JournalReader(tmp_path)
    writer.begun(call(1))
    assert reader.ended() == ()
    writer.ended(call(1, 5))
    assert reader.ended() == reader.ended() == (call(1, 5),)
    reader.taken(reader.ended())
    assert reader.ended() == ()
    writer.close()


def test_calls_without_an_end_count_as_they_were_last_known(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.begun(call(1))
    writer.told(call(1, 7))
    writer.begun(call(2))
    writer.ended(call(2, 3))
    writer.close()
    reader = JournalReader(tmp_path)
    assert ids(reader.ended()) == ["c2"]
    left = reader.left()
    assert {each.call_id: each.input_tokens for each in left} == {"c1": 7, "c2": 3}
    assert next(each for each in left if each.call_id == "c1").ending is Ending.CUT
    reader.taken(left, over=True)
    assert segments(tmp_path) == []
    assert JournalReader(tmp_path).left() == ()


def test_files_grow_no_further_and_go_when_all_in_them_is_taken(tmp_path: Path) -> None:
    writer, reader = JournalWriter(tmp_path, grown_bytes=1000), JournalReader(tmp_path)
    writer.begun(call(0))  # goes on for long
    for number in range(1, 10):
        writer.begun(call(number))
        writer.ended(call(number))
    reader.taken(reader.ended())
    assert len(segments(tmp_path)) == 2  # where the long one began, and the newest
    writer.ended(call(0, 9))
    assert reader.ended() == (call(0, 9),)
    reader.taken(reader.ended())
    assert len(segments(tmp_path)) == 1
    writer.close()


def test_a_disk_that_is_full_lets_no_call_begin_and_loses_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = JournalWriter(tmp_path), JournalReader(tmp_path)
    writer.begun(call(1))
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    writer.ended(call(1, 5))
    with pytest.raises(OSError, match="full"):
        writer.begun(call(2))
    monkeypatch.undo()
    writer.begun(call(3))
    writer.close()
    assert reader.ended() == (call(1, 5),)
    assert sorted(ids(reader.left())) == ["c1", "c3"]


def test_lines_that_are_torn_or_strange_are_left_out(tmp_path: Path) -> None:
    good = line_of(Stage.ENDED, call(1))
    path = tmp_path / "calls-00000001.jsonl"
    path.write_bytes(b'{"stage":"ended"}\n[]\nnull\n\xff\n' + b"[" * 5000 + b"\n" + good + good[:40])
    assert ids(JournalReader(tmp_path).left()) == ["c1"]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    read_line(data)


@given(st.integers(0, 10**12), st.sampled_from(Ending), st.none() | st.text(max_size=9))
def test_a_line_reads_as_it_was_written(tokens: int, ending: Ending, story: str | None) -> None:
    written = replace(CALL, output_tokens=tokens, ending=ending, story_id=story, model="möd\n")
    line = line_of(Stage.TOLD, written)
    assert line.count(b"\n") == 1
    assert read_line(line) == (Stage.TOLD, written)
