"""What a TLS client says first: hellos of the ssl module's own, and what is none."""

import ssl

import pytest

from core.errors import InvalidInput
from core.isolation.egress.client_hello import Hello, HelloReader, begins_tls
from core.isolation.egress.rules import normal_host, parse_egress


def hello(name: str | None) -> bytes:
    """As the ssl module says it."""
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def made(*extensions: tuple[int, bytes], kind: int = 1, more: bytes = b"") -> bytes:
    """A hello of one record."""
    listed = b"".join(number.to_bytes(2, "big") + sized(content, 2) for number, content in extensions)
    body = b"\3\3" + bytes(32) + sized(b"", 1) + sized(b"\x13\1", 2) + sized(b"\0", 1) + sized(listed, 2)
    message = bytes((kind,)) + sized(body, 3) + more
    return b"\x16\3\1" + sized(message, 2)


def sized(content: bytes, size: int) -> bytes:
    return len(content).to_bytes(size, "big") + content


def naming(name: bytes, kind: int = 0) -> bytes:
    return bytes((kind,)) + sized(name, 2)


def cut(data: bytes, size: int) -> bytes:
    """The same message in records of `size` bytes."""
    message = data[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\3\1" + sized(piece, 2) for piece in pieces)


@pytest.mark.parametrize("name", ["shop.example", "xn--bcher-kva.example", None])
@pytest.mark.parametrize("record", [1 << 14, 100, 1])
@pytest.mark.parametrize("piece", [1 << 16, 7, 1])
def test_the_name_is_found_however_the_hello_is_cut(name: str | None, record: int, piece: int) -> None:
    data = cut(hello(name), record)
    reader = HelloReader()
    found = [reader.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    assert found[:-1] == [None] * (len(found) - 1)
    assert found[-1] == Hello(name=name or "")


def test_what_follows_the_hello_in_records_of_its_own_is_left_alone() -> None:
    assert HelloReader().feed(hello("a.example") + b"\x17\3\3\0\1x") == Hello(name="a.example")


@pytest.mark.parametrize("kind", [0xFE0D, 0xFFCE])
def test_a_hidden_hello_is_seen(kind: int) -> None:
    found = HelloReader().feed(made((0, sized(naming(b"front.example"), 2)), (kind, b"x" * 40)))
    assert found == Hello(name="front.example", hides=True)


NAME = (0, sized(naming(b"a.example"), 2))


@pytest.mark.parametrize(
    "data",
    [
        made(NAME, (0, sized(naming(b"b.example"), 2))),
        made((0, sized(naming(b"a.example") + naming(b"b.example"), 2))),
        made((0, sized(naming(b"a.example", kind=1), 2))),
        made((0, sized(naming(b"a.example"), 2) + b"x")),
        made((0, sized(naming(b""), 2))),
        made((0, sized(b"", 2))),
        made((0, b"")),
        made((0, sized(naming("bücher".encode()), 2))),
        made(NAME, kind=2),
        made(NAME, more=b"\1\0\0\0"),
        b"\x16\3\1\0\0" + made(NAME),
        b"\x16\2\1" + made(NAME)[3:],
        b"\x16\3\1\0\1\1" + b"\x15\3\1\0\2\2\x28",
        b"\x16\3\1\xff\xff",
        b"\x16\3\1\0\4\1\xff\xff\xff",
        b"\x16\3\1\0\6\1\0\0\2\3\3",
        cut(made((21, b"\0" * 60_000)), 1 << 14),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        HelloReader().feed(data)


def test_it_keeps_no_more_than_it_may() -> None:
    reader = HelloReader(2048)
    with pytest.raises(InvalidInput, match="longer than 2048 bytes"):
        reader.feed(b"\x16\3\1\x40\0")


def test_other_protocols_do_not_begin_so() -> None:
    assert begins_tls(b"\x16")
    assert begins_tls(b"\x16\3\1")
    assert not any(map(begins_tls, (b"GET / HTTP/1.1", b"SSH-2.0", b"\x80\x2e\1\3\1", b"\x16\2", b"\0")))


RULES = parse_egress(["a.example", "*.cdn.example:443", "ssh.example:443 raw", "192.0.2.1:443"])


@pytest.mark.parametrize(
    ("name", "host", "hides", "allowed"),
    [
        ("a.example", "a.example", False, True),
        ("A.Example.", "a.example", False, True),
        ("b.cdn.example", "a.example", False, True),
        ("evil.example", "a.example", False, False),
        ("a.example.evil.example", "a.example", False, False),
        ("127.0.0.1", "a.example", False, False),
        ("a.example\0.evil", "a.example", False, False),
        ("", "a.example", False, False),
        ("a.example", "a.example", True, False),
        (None, "a.example", False, False),
        ("", "192.0.2.1", False, True),
        ("192.0.2.1", "192.0.2.1", False, True),
        ("evil.example", "192.0.2.1", False, False),
    ],
)
def test_the_name_is_judged(name: str | None, host: str, hides: bool, allowed: bool) -> None:
    verdict = RULES.judge_hello(name, normal_host(host), 443, hides=hides)
    assert verdict.allowed is allowed
    assert allowed or (verdict.why and verdict.hint)


def test_raw_is_of_its_hosts_and_ports_only() -> None:
    assert RULES.is_raw("ssh.example", 443)
    assert not RULES.is_raw("ssh.example", 22)
    assert not RULES.is_raw("a.example", 443)
    assert not parse_egress(["10.0.0.0/8:443 raw"]).is_raw("a.example", 443)
    with pytest.raises(InvalidInput):
        parse_egress(["a.example:443 row"])
