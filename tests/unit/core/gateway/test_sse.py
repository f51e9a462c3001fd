from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from core.gateway.sse import EventSplitter

LINES = st.lists(
    st.sampled_from(
        [b"data: a", b"data:b", b"data", b"event: x", b": note", b"id: 1", b"", b"data:  c", b"junk"]
    ),
    max_size=20,
)
NEWLINES = st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=20, max_size=20)


def whole(body: bytes, pieces: list[bytes], most: int = 1 << 20) -> tuple[list[bytes], int]:
    splitter = EventSplitter(most)
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events + splitter.end(), splitter.dropped


@example([b"data: a", b"data: b"], [b"\r\n", b"\r\n"], [8, 8], 1)  # an empty piece between CR and LF
@given(LINES, NEWLINES, st.lists(st.integers(0, 300), max_size=20), st.integers(1, 60))
def test_where_a_stream_is_cut_changes_nothing(
    lines: list[bytes], newlines: list[bytes], at: list[int], most: int
) -> None:
    body = b"".join(line + newline for line, newline in zip(lines, newlines, strict=False))
    places = [0, *sorted(min(place, len(body)) for place in at), len(body)]
    pieces = [body[start:stop] for start, stop in pairwise(places)]
    assert whole(body, pieces) == whole(body, [body])
    assert whole(body, pieces, most) == whole(body, [bytes([each]) for each in body], most)


def test_an_event_has_its_lines_joined_and_its_comments_left_out() -> None:
    body = b"\xef\xbb\xbfdata: a\r\ndata:b\r\n: no\r\nevent: x\r\n\r\n\r\ndata: c"
    assert whole(body, [body]) == ([b"a\nb", b"c"], 0)


def test_no_more_than_one_event_is_kept() -> None:
    splitter = EventSplitter(1_000)
    for _ in range(1_000):
        assert splitter.feed(b"x" * 1_000) == []
    assert splitter._size >= 1_000_000  # the length it saw
    assert len(splitter._line) == 1
    assert splitter.feed(b"\n\ndata: next\n\n") == [b"next"]
    assert splitter.dropped == 1


def test_many_comments_do_not_make_an_event_too_long() -> None:
    splitter = EventSplitter(100)
    for _ in range(100):
        splitter.feed(b": still there\n")
    assert splitter.feed(b"data: a\n\n") == [b"a"]
