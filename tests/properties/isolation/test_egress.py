"""Whatever is written: nothing is allowed that no rule names, and nothing breaks but by saying so."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.isolation.egress.request import parse_request
from core.isolation.egress.rules import Egress, is_public, normal_host, parse_egress, parse_rule

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
PORT = st.integers(min_value=1, max_value=65535)
ADDRESS = st.one_of(
    st.integers(min_value=0, max_value=2**32 - 1).map(IPv4Address),
    st.integers(min_value=0, max_value=2**128 - 1).map(IPv6Address),
)
OUTSIDE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")


@given(host=NAME, port=PORT, spelling=st.randoms(use_true_random=False))
def test_a_host_is_the_same_however_it_is_spelt(host: str, port: int, spelling) -> None:
    written = "".join(spelling.choice((letter.upper(), letter)) for letter in host) + spelling.choice(
        ("", ".")
    )
    assert normal_host(written) == host
    assert parse_egress([f"{host}:{port}"]).judge(normal_host(written), port).allowed


@given(host=NAME, port=PORT, rules=st.lists(st.tuples(NAME, PORT, st.booleans()), max_size=5))
def test_a_name_is_allowed_exactly_when_a_rule_names_it(host: str, port: int, rules) -> None:
    lines = [f"{'*.' if below else ''}{name}:{number}" for name, number, below in rules]
    expected = any(
        number == port and (host.endswith(f".{name}") if below else host == name)
        for name, number, below in rules
    )
    assert parse_egress(lines).judge(host, port).allowed is expected


@given(address=ADDRESS, port=PORT)
def test_no_address_is_allowed_by_names_alone(address, port: int) -> None:
    assert not parse_egress(["*:1-65535", "a.example"]).judge(address, port).allowed


@given(number=st.integers(min_value=0, max_value=2**32 - 1), network=st.sampled_from(OUTSIDE))
def test_what_leads_inside_is_not_public_in_any_spelling_of_it(number: int, network: str) -> None:
    start, _, bits = network.partition("/")
    inside = IPv4Address(int(IPv4Address(start)) | number >> int(bits))
    for high in (0xFFFF << 32, 0, 0x64FF9B << 96, 0x2002 << 112 | int(inside) << 80):
        assert not is_public(IPv6Address(high | int(inside)))
    assert not is_public(inside)
    assert not parse_egress(["*:443"]).judge_address(inside, 443).allowed


@given(address=ADDRESS, port=PORT)
def test_the_hint_of_a_refusal_allows_it(address, port: int) -> None:
    nothing = Egress()
    for verdict in (nothing.judge(address, port), nothing.judge_address(address, port, own=True)):
        assert not verdict.allowed
        allowing = parse_egress([verdict.hint.split("'")[1]])
        assert allowing.judge_address(address, port, own=True).allowed


@given(text=st.text(max_size=60))
@example("①②⑦.0.0.1")
@example("0X7F.0.0.1")
def test_any_text_is_a_plain_host_or_is_refused(text: str) -> None:
    try:
        host = normal_host(text)
    except InvalidInput:
        return
    if isinstance(host, str):
        assert host.isascii()
        assert host == host.lower()
        assert not set(host) - set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
        assert normal_host(host) == host
        assert not host.endswith(".")
        assert not host.rpartition(".")[2].isdigit()
    else:
        assert ip_address(str(host)) == host


@given(text=st.text(max_size=40))
def test_any_line_is_a_rule_or_is_refused(text: str) -> None:
    try:
        rule = parse_rule(text)
    except InvalidInput:
        return
    assert all(0 < low <= high < 65536 for low, high in rule.ports)


PIECE = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            b"GET ",
            b"CONNECT ",
            b"http://a.org",
            b"@",
            b":",
            b"80",
            b" HTTP/1.1",
            b"\r\n",
            b"\n",
            b"\r",
            b"Host: b.org",
            b"Content-Length: 3",
            b"Transfer-Encoding: chunked",
            b"[::1]",
            b"127.0.0.1",
            b"/",
            b"?",
            b" ",
            b"\x00",
        ]
    ),
)


@given(pieces=st.lists(PIECE, max_size=14))
@example([b"GET ", b"http://a.org", b" HTTP/1.1", b"\r\n", b"X: ", b"\n", b"Host: b.org"])
def test_any_head_is_one_request_to_the_host_that_is_judged_or_is_refused(pieces: list[bytes]) -> None:
    head = b"".join(pieces) + b"\r\n\r\n"
    assume(head.index(b"\r\n\r\n") == len(head) - 4)  # a reader stops there
    try:
        request = parse_request(head)
    except InvalidInput:
        return
    assert 0 < request.port < 65536
    if request.tunnel:
        return
    lines = request.head.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert not [line for line in lines if b"\n" in line or b"\r" in line]
    hosts = [line for line in lines[1:] if line.lower().startswith(b"host:")]
    assert len(hosts) == 1
    assert hosts[0].decode().removeprefix("Host: ").strip("[]").startswith(str(request.host))
    assert sum(line.lower().startswith((b"content-length:", b"transfer-encoding:")) for line in lines) <= 1
