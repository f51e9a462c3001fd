from __future__ import annotations

import pytest

from bot.web.cookies import SESSION, clear_cookie, name_of, set_cookie
from bot.web.site import Request, Site, split_host

PLAIN = Site()
PUBLIC = Site(public="https://orchard.example.org")


def asked(method="GET", local="127.0.0.1", peer="127.0.0.1", port=8765, websocket=False, **headers):
    said = {name.replace("_", "-"): value for name, value in {"host": f"127.0.0.1:{port}", **headers}.items()}
    return Request(method=method, headers=said, local=local, port=port, peer=peer, is_websocket=websocket)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Example.org:80", ("example.org", 80)),
        ("[::1]:8765", ("::1", 8765)),
        ("example.org.", ("example.org", None)),
        ("127.0.0.1", ("127.0.0.1", None)),
        ("a@b", None),
        ("a/b", None),
        ("a b", None),
        ("a,b", None),
        (":80", None),
        ("x:99999", None),
        ("[::1", None),
        ("", None),
    ],
)
def test_a_host_is_read_or_is_none(text, found):
    assert split_host(text) == found


def test_the_address_it_came_in_on_is_ours_since_no_name_server_can_turn_it():
    site = Site(encrypted=True)
    assert site.knows_host(asked(local="192.168.1.4", host="192.168.1.4:8765"))
    assert not site.knows_host(asked(local="192.168.1.4", host="192.168.1.5:8765"))
    assert site.knows_host(asked(local="::ffff:192.168.1.4", host="192.168.1.4:8765"))


def test_default_ports_may_be_left_out():
    assert Site(encrypted=True, names=frozenset({"a.org"})).knows_host(asked(port=443, host="a.org"))
    assert not Site(encrypted=True, names=frozenset({"a.org"})).knows_host(asked(port=8765, host="a.org"))
    assert PUBLIC.knows_host(asked(host="orchard.example.org"))
    assert PUBLIC.knows_host(asked(host="orchard.example.org:443"))
    assert not PUBLIC.knows_host(asked(host="orchard.example.org:80"))


def test_behind_a_proxy_both_ways_in_are_known_and_neither_is_open():
    assert PUBLIC.knows_host(asked())
    assert not PUBLIC.is_open_to(asked())
    assert PUBLIC.knows_origin(asked(origin="https://orchard.example.org", host="orchard.example.org"))
    assert not PUBLIC.knows_origin(
        asked(origin="https://orchard.example.org.evil.org", host="orchard.example.org")
    )


@pytest.mark.parametrize("peer", ["192.168.1.9", "", "::ffff:10.0.0.1", "not an address"])
def test_nobody_elses_machine_looks_freely(peer):
    assert not PLAIN.is_open_to(asked(peer=peer))


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_does(peer):
    assert PLAIN.is_open_to(asked(peer=peer))


def test_without_a_public_name_an_empty_origin_is_nobodys():
    assert not PLAIN.knows_origin(asked(origin=""))


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({}, False),
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"origin": "http://127.0.0.1:8765"}, True),
        ({"origin": "http://127.0.0.1:8765", "host": "LOCALHOST:8765"}, False),
        ({"origin": "http://localhost:8765", "host": "LOCALHOST:8765"}, True),
        ({"authorization": "Bearer x"}, True),
        ({"authorization": "Bearer x", "cookie": "a=b"}, False),
        ({"authorization": "Bearer x", "origin": "http://evil.example"}, False),
    ],
)
def test_what_may_change_something(headers, may):
    assert PLAIN.may_change(asked("POST", **headers)) is may


def test_whose_address_it_is():
    said = {"x_forwarded_for": "1.2.3.4, 192.0.2.44"}
    assert PLAIN.client_of(asked(**said)) == "127.0.0.1"
    assert PUBLIC.client_of(asked(**said)) == "192.0.2.44"
    assert PUBLIC.client_of(asked(peer="192.0.2.1", **said)) == "192.0.2.1"
    assert PUBLIC.client_of(asked(x_forwarded_for="<b>")) == "127.0.0.1"


def test_cookies_are_bound_to_the_host_where_there_is_tls():
    assert set_cookie(SESSION, "x", PLAIN) == "orchard=x; Path=/; HttpOnly; SameSite=Strict"
    assert set_cookie(SESSION, "x", PUBLIC) == "__Host-orchard=x; Path=/; HttpOnly; SameSite=Strict; Secure"
    assert name_of(SESSION, Site(encrypted=True)) == "__Host-orchard"
    assert clear_cookie(SESSION, PLAIN).endswith("; Max-Age=0")


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({}, True),  # a program: browsers always say an origin here
        ({"authorization": "Bearer x"}, True),
        ({"cookie": "a=b"}, False),
        ({"cookie": "a=b", "authorization": "Bearer x"}, False),
        ({"cookie": "a=b", "origin": "http://127.0.0.1:8765"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
    ],
)
def test_who_may_open_a_socket(headers, may):
    assert PLAIN.may_change(asked(websocket=True, **headers)) is may
