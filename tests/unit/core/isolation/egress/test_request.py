"""What a program asks a proxy for."""

from ipaddress import ip_address

import pytest

from core.errors import InvalidInput
from core.isolation.egress.request import parse_chunk_size, parse_request


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_connect_names_host_and_port() -> None:
    request = parse_request(head("CONNECT Index.Example.:443 HTTP/1.1", "Host: other:1"))
    assert (request.host, request.port, request.tunnel) == ("index.example", 443, True)


def test_connect_takes_an_address_in_brackets() -> None:
    assert parse_request(head("CONNECT [2001:db8::1]:8443 HTTP/1.1")).host == ip_address("2001:db8::1")


def test_a_plain_request_is_sent_on_with_the_host_that_was_judged_and_without_what_is_the_proxys() -> None:
    request = parse_request(
        head(
            "POST http://index.example:8080/a?b=c HTTP/1.1",
            "Host: evil.org",
            "Proxy-Authorization: Basic x",
            "Connection: X-Private, Upgrade",
            "X-Private: 1",
            "Upgrade: h2c",
            "Content-Length: 3",
            "Accept: */*",
        )
    )
    assert (request.host, request.port, request.body_bytes) == ("index.example", 8080, 3)
    assert request.head == head(
        "POST /a?b=c HTTP/1.1",
        "Host: index.example:8080",
        "Content-Length: 3",
        "Connection: close",
        "Accept: */*",
    )


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://a.org", "/"), ("HTTP://a.org?x", "/?x"), ("http://a.org//b@c:1/", "//b@c:1/")],
)
def test_the_path_begins_behind_the_authority(target: str, path: str) -> None:
    request = parse_request(head(f"GET {target} HTTP/1.1"))
    assert request.host == "a.org"
    assert request.head.startswith(f"GET {path} HTTP/1.1\r\nHost: a.org\r\n".encode())


@pytest.mark.parametrize(
    "lines",
    [
        ["GET / HTTP/1.1", "Host: a.org"],
        ["GET https://a.org/ HTTP/1.1"],
        ["GET http://a.org@10.0.0.1/ HTTP/1.1"],
        ["GET http://a.org\\@b.org/ HTTP/1.1"],
        ["GET http://a.org#@b.org/ HTTP/1.1"],
        ["GET http://0x7f.1/ HTTP/1.1"],
        ["GET http:///x HTTP/1.1"],
        ["GET  http://a.org/ HTTP/1.1"],
        ["GET http://a.org/ HTTP/2"],
        ["GET http://a.org/\tx HTTP/1.1 "],
        ["GET http://a.org:99999/ HTTP/1.1"],
        ["GET http://a.org:+80/ HTTP/1.1"],
        ["CONNECT a.org HTTP/1.1"],
        ["CONNECT u@a.org:443 HTTP/1.1"],
        ["CONNECT http://a.org:443 HTTP/1.1"],
        ["GET http://a.org/ HTTP/1.1", "X: a\nEvil: b"],
        ["GET http://a.org/ HTTP/1.1", "X: a\rb"],
        ["GET http://a.org/ HTTP/1.1", "X: a\0b"],
        ["GET http://a.org/ HTTP/1.1", "X : a"],
        ["GET http://a.org/ HTTP/1.1", "X: a", " folded"],
        ["GET http://a.org/ HTTP/1.1", "no header"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: 1", "Content-Length: 1"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"],
        ["POST http://a.org/ HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["POST http://a.org/ HTTP/1.1", "Transfer-Encoding: xchunked"],
        ["POST http://a.org/ HTTP/1.1", "Transfer-Encoding: gzip, chunked"],
        ["POST http://a.org/ HTTP/1.0", "Transfer-Encoding: chunked"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: +1"],
        ["POST http://a.org/ HTTP/1.1", "Content-Length: 1, 1"],
        ["POST http://a.org/ HTTP/1.1", *[f"X-{n}: a" for n in range(200)]],
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(lines: list[str]) -> None:
    with pytest.raises(InvalidInput):
        parse_request(head(*lines))


@pytest.mark.parametrize(
    "line", [b"\r\n", b"-1\r\n", b"0x1\r\n", b"1;a=b\r\n", b" 1\r\n", b"1\n", b"1" * 9 + b"\r\n"]
)
def test_a_chunk_that_does_not_say_its_size_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_chunk_size(line)
    assert parse_chunk_size(b"1f\r\n") == 31
