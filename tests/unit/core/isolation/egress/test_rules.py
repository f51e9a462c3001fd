"""Where a sandbox may connect to."""

from ipaddress import ip_address

import pytest

from core.errors import InvalidInput
from core.isolation.egress.rules import is_public, normal_host, parse_egress, parse_rule

ALLOWED = parse_egress(
    ["index.example", "*.files.example:443", "10.1.0.0/16:8000-8100", "[fd00::7]:443", "*:8443"]
)


def allows(text: str, port: int) -> bool:
    return ALLOWED.judge(normal_host(text), port).allowed


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("index.example", 443),
        ("index.example", 80),
        ("INDEX.Example.", 443),
        ("ｉｎｄｅｘ。example", 443),
        ("a.files.example", 443),
        ("a.b.files.example", 443),
        ("10.1.255.1", 8000),
        ("[fd00::7]", 443),
        ("[::ffff:10.1.0.1]", 8100),
        ("anything.org", 8443),
    ],
)
def test_what_a_rule_names_is_allowed(host: str, port: int) -> None:
    assert allows(host, port)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("index.example", 22),
        ("index.example.evil.org", 443),
        ("evil-index.example", 443),
        ("a.index.example", 443),
        ("files.example", 443),
        ("xfiles.example", 443),
        ("10.2.0.1", 8000),
        ("10.1.0.1", 443),
        ("93.184.216.34", 8443),
        ("127.0.0.1", 8443),
        ("[::1]", 8443),
    ],
)
def test_everything_else_is_refused_with_the_rule_that_would_allow_it(host: str, port: int) -> None:
    verdict = ALLOWED.judge(normal_host(host), port)
    assert not verdict.allowed
    wanted = verdict.hint.split("'")[1]
    assert parse_egress([wanted]).judge(normal_host(host), port).allowed


@pytest.mark.parametrize(
    "text",
    [
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "256.1.1.1",
        "０x7f.1",
        "1.2.3.0x",
        "user@host.org",
        "a b.org",
        "",
        ".",
        "a..b",
        "-a.org",
        "a/b",
        "a%2e.org",
        "a\\b",
        "a\x00b",
        "x" * 64 + ".org",
        "::1%lo",
        "[::1",
        "1::2::3",
        "a:80",
        "\u202eexample.org",
        "a." * 127 + "org" * 9,
    ],
)
def test_what_is_no_plain_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        normal_host(text)


def test_names_of_other_scripts_are_compared_as_the_network_writes_them() -> None:
    egress = parse_egress(["bücher.example"])
    assert egress.judge(normal_host("xn--bcher-kva.example"), 443).allowed
    assert egress.judge(normal_host("BÜCHER.example"), 443).allowed


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "0.0.0.0",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "203.0.113.1",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "ff02::1",
        "2001:0:4136:e378::1",
        "::7f00:1",
        "fec0::1",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_of_the_internet_must_be_named_themselves(text: str) -> None:
    address = ip_address(text)
    assert not is_public(address)
    verdict = parse_egress(["*:1-65535"]).judge_address(address, 443)
    assert not verdict.allowed
    named = verdict.hint.split("'")[1]
    assert parse_egress(["*:443", named]).judge_address(address, 443).allowed


@pytest.mark.parametrize("text", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_a_public_address_behind_an_allowed_name_is_fine_unless_it_is_our_own(text: str) -> None:
    egress = parse_egress(["*:443"])
    assert egress.judge_address(ip_address(text), 443).allowed
    assert not egress.judge_address(ip_address(text), 443, own=True).allowed


@pytest.mark.parametrize(
    "line",
    [
        "",
        ":443",
        "a.org:",
        "a.org:0",
        "a.org:65536",
        "a.org:9-8",
        "a.org:x",
        "a.org:٤",
        "*.10.0.0.1",
        "*a.org",
        "a.*.org",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "::1",
        "[::1",
        "[::1]x",
        "[a]:1",
        "http://a.org",
        "a.org:1:2",
    ],
)
def test_a_line_that_is_no_rule_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput):
        parse_rule(line)


def test_all_bad_lines_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_egress(["good.org", "bad one", "a.org:70000"])
    assert "'bad one'" in caught.value.why
    assert "70000" in caught.value.why
