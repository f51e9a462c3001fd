from __future__ import annotations

from bot.web.dashboard.views import transcript
from bot.web.dashboard.views.transcript import transcript_of

TEXT = """\
# code_green-2.7

09:30:01 note: {"turn": {"story": "shop-1"}}
09:30:02 prompt: Make it green.
    You may write code.
09:30:03 agent: I look at it.
    12:00:00 is what the test says: <b>x</b>
09:30:04 tool: Write calc.py
    +def add():
    +    pass
"""


def test_what_was_said_is_read_entry_by_entry_without_the_records():
    found = transcript_of(TEXT)
    assert (found.name, found.left_out) == ("code_green-2.7", 0)
    assert [(one.at, one.kind, one.head) for one in found.entries] == [
        ("09:30:02", "prompt", "Make it green."),
        ("09:30:03", "agent", "I look at it."),
        ("09:30:04", "tool", "Write calc.py"),
    ]
    assert found.entries[1].body == "12:00:00 is what the test says: <b>x</b>"  # not an entry of its own
    assert found.entries[2].body == "+def add():\n+    pass"


def test_entries_keep_their_numbers_as_more_come(monkeypatch):
    monkeypatch.setattr(transcript, "ENTRIES", 2)
    before = transcript_of(TEXT)
    after = transcript_of(TEXT + "09:30:05 done: Write calc.py\n")
    assert (before.left_out, after.left_out) == (1, 2)
    assert before.entries[1] == after.entries[0]  # so that it is not sent again


def test_nothing_is_an_empty_transcript():
    assert transcript_of("").entries == ()
