"""Streams that speak little, and errors: what people see of them."""

from __future__ import annotations

import asyncio
import io
import json
import sys

import pytest

from bot.cli import terminal
from core.errors import NotFound


@pytest.fixture
def stream(monkeypatch):
    """Standard output in another encoding, as prepared for printing."""

    def make(encoding):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        terminal.prepare_streams()
        return raw

    return make


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "ok Zoe  shop (high) -> ... ? \n"),
        ("latin-1", "ok Zoë  shop (high) -> ... ? \n"),
        ("utf-8", "✓ Zoë 🟢 shop (high) → … 日 \n"),
    ],
)
def test_a_character_that_the_terminal_does_not_know_is_spelled(stream, encoding, expected):
    raw = stream(encoding)
    terminal.send("✓ Zoë 🟢 shop (high) → … 日 \n")
    assert raw.getvalue().decode(encoding) == expected


def test_a_file_name_that_is_no_text_can_be_printed(stream):
    raw = stream("utf-8")
    terminal.send("/srv/\udcff\n")
    assert raw.getvalue() == b"/srv/?\n"


async def refuse():
    raise NotFound("There is no project 'a'.", why="\nOne line.\n  Another.\n", hint="Make it.")


def test_an_error_is_a_sentence_a_reason_and_a_next_step(capsys):
    with pytest.raises(SystemExit) as ended:
        terminal.execute(refuse())
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (1, "")
    lines = ["✗ There is no project 'a'.", "  One line.", "  Another.", "  → Make it."]
    assert [line.rstrip() for line in said.err.splitlines()] == lines


def test_an_error_for_a_script_is_json_on_standard_output(capsys):
    with pytest.raises(SystemExit) as ended:
        terminal.execute(refuse(), as_json=True)
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out) == {
        "error": "not_found",
        "message": "There is no project 'a'.",
        "why": "One line.\nAnother.",
        "hint": "Make it.",
    }


async def fail():
    raise ZeroDivisionError("by \x1b[31mnothing")


def test_a_fault_of_our_own_is_told_without_a_traceback_and_kept_in_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        terminal.execute(fail())
    said = capsys.readouterr().err
    assert ended.value.code == 70
    assert "Traceback" not in said
    assert "\x1b[31m" not in said
    (report,) = tmp_path.iterdir()
    assert str(report) in "".join(said.split())  # however wide the terminal is
    assert "ZeroDivisionError" in report.read_text()


def test_debug_shows_the_traceback_at_once(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit):
        terminal.execute(fail(), debug=True)
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"), [(TimeoutError(), "did not answer in time"), (asyncio.CancelledError(), "fault")]
)
def test_an_orchard_that_does_not_answer_is_told(capsys, error, expected):
    async def hang():
        raise error

    with pytest.raises(SystemExit) as ended:
        terminal.execute(hang())
    assert ended.value.code == 1
    assert expected in capsys.readouterr().err
