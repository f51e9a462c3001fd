"""Bounded output keeps the beginning and the end."""

from hypothesis import given
from hypothesis import strategies as st

from core.isolation.output import HEAD_BYTES, TAIL_BYTES, BoundedOutput


def filled(*chunks: bytes) -> BoundedOutput:
    output = BoundedOutput()
    for chunk in chunks:
        output.add(chunk)
    return output


@given(st.lists(st.integers(0, 40_000), max_size=12))
def test_little_output_is_kept_whole_and_much_keeps_both_ends(sizes: list[int]) -> None:
    chunks = [bytes([index % 251]) * size for index, size in enumerate(sizes)]
    whole = b"".join(chunks)
    output = filled(*chunks)
    text = output.text()
    assert output.total == len(whole)
    if len(whole) <= HEAD_BYTES + TAIL_BYTES:
        assert text == whole
    else:
        assert text.startswith(whole[:HEAD_BYTES])
        assert text.endswith(whole[-TAIL_BYTES:])
        assert f"{len(whole) - HEAD_BYTES - TAIL_BYTES} bytes left out".encode() in text


def test_memory_stays_bounded() -> None:
    output = BoundedOutput()
    for _ in range(2_000):
        output.add(b"x" * 65_536)
    assert len(output._head) + len(output._tail) <= HEAD_BYTES + 3 * TAIL_BYTES
    assert len(output.text()) < HEAD_BYTES + TAIL_BYTES + 100
