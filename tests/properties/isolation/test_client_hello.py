"""What a TLS client says first, in any bytes and any pieces."""

from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.isolation.egress.client_hello import Hello, HelloReader
from core.isolation.egress.rules import normal_host, parse_egress

SIZED = st.binary(max_size=6).map(lambda data: len(data).to_bytes(2, "big") + data)
NAME = st.sampled_from([b"a.example", b"A.EXAMPLE.", b"b.example", b"", b"\0", b"\xff", b"a.example\0.b"])


def sized(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


EXTENSION = st.one_of(
    NAME.map(lambda name: b"\0\0" + sized(sized(b"\0" + sized(name, 2), 2), 2)),
    st.binary(min_size=2, max_size=2).flatmap(lambda kind: SIZED.map(lambda content: kind + content)),
    st.just(b"\xfe\x0d\0\0"),
    st.binary(max_size=4),
)
BODY = st.lists(EXTENSION, max_size=4).map(
    lambda parts: b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + sized(b"".join(parts), 2)
)
MESSAGE = st.one_of(BODY.map(lambda body: b"\1" + sized(body, 3)), st.binary(max_size=12))


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in [*sizes, len(data)]:
        if data[at : at + size]:
            pieces.append(data[at : at + size])
        at += size
    return pieces


def heard(pieces: list[bytes]) -> Hello | str | None:
    reader = HelloReader(512)
    try:
        for piece in pieces:
            if (found := reader.feed(piece)) is not None:
                return found
    except InvalidInput as refused:
        return refused.message
    return None


SIZES = st.lists(st.integers(1, 40), max_size=6)


@given(message=MESSAGE, records=SIZES, pieces=SIZES)
def test_any_bytes_are_a_hello_or_refused_wherever_they_are_cut(message, records, pieces) -> None:
    stream = b"".join(b"\x16\3\1" + sized(part, 2) for part in cut(message, records))
    whole = heard([stream])
    assert heard(cut(stream, pieces)) == whole
    assert heard([bytes((byte,)) for byte in stream]) == whole
    if isinstance(whole, Hello):
        rules = parse_egress(["a.example"])
        verdict = rules.judge_hello(whole.name, "a.example", 443, hides=whole.hides)
        same = bool(whole.name) and whole.name.isascii() and whole.name.lower().rstrip(".") == "a.example"
        assert verdict.allowed is (same and not whole.hides and normal_host(whole.name) == "a.example")


@given(data=st.binary(max_size=80))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    heard([data])
