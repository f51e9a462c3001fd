"""The way into the dashboard: who gets pages, files and sockets, and what browsers may do with them."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bot.web.dashboard.door import Door
from bot.web.dashboard.page import PAGES
from core.domain.access import AccessLevel
from core.errors import Unavailable
from core.security.logins import NotLoggedIn
from core.security.passwords import Passwords
from core.security.users import Users


@pytest.fixture(scope="module")
def owner(house):
    return house.operator()


def _client_id(page):
    return re.search(r"client_id\W+([0-9a-f-]{36})", page.text)[1]


def _socket(house, browser, client_id, **headers):
    """What Engine.IO says first, to whoever may come in."""
    query = f"client_id={client_id}&implicit_handshake=true&tab_id=t1&document_id=d1&next_message_id=0"
    address = f"ws://127.0.0.1:{house.port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket&{query}"
    said = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())} | headers

    async def talk():
        async with (
            asyncio.timeout(45),
            connect(address, additional_headers=said, origin=browser.origin) as line,
        ):
            return await line.recv()

    return asyncio.run(talk())


def test_without_a_session_every_page_leads_to_the_log_in(house):
    for page in PAGES:
        answer = house.browser().get(page.path.replace("{", "").replace("}", ""))
        assert (answer.status, answer.headers["Location"]) == (303, "/login"), page.path


def test_half_a_log_in_opens_no_page(house, owner):
    name = house.person(AccessLevel.OWNER)
    first = house.browser()
    first.log_in(name)
    first.enrol()
    half = house.browser()
    half.log_in(name)
    assert half.get("/").headers["Location"] == "/login/code"


def test_a_token_opens_no_page(house):
    refused = house.token(AccessLevel.OWNER, "read", "manage").ask("GET", "/")
    assert refused.status == 403
    assert "session" in refused.text


def test_a_page_runs_only_scripts_that_carry_its_nonce(house, owner):
    first, second = owner.get("/"), owner.get("/")
    assert first.status == 200
    policy = first.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([\w-]{20,})'", policy)[1]
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    scripts = re.findall(r"<script[^>]*>", first.text)
    assert len(scripts) > 5
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert nonce not in second.text
    assert first.headers["Cache-Control"] == "no-store"


def test_a_page_names_no_foreign_host(house, owner):
    loaded = re.findall(r"""(?:src|href)=["']?(https?:)?//""", owner.get("/").text)
    assert not loaded


def test_files_are_packed_kept_and_the_same_for_everybody(house, owner):
    page = owner.get("/").text
    path = re.search(r'src="(/_nicegui/[^"]+nicegui\.js)"', page)[1]
    stranger = house.browser()
    plain, packed = stranger.get(path), stranger.get(path, Accept_Encoding="gzip")
    assert plain.status == packed.status == 200
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert "immutable" in plain.headers["Cache-Control"]
    assert stranger.ask("HEAD", path).body == b""
    assert stranger.ask("POST", path, b"").status == 405
    assert stranger.get("/_nicegui/../../etc/passwd").status == 404
    assert "immutable" not in stranger.get("/_nicegui/9.9/none.js").headers["Cache-Control"]


def test_a_prefix_that_a_client_made_up_is_in_no_page(house, owner):
    answer = owner.get("/", X_Forwarded_Prefix="/elsewhere")
    assert answer.status == 200
    assert "elsewhere" not in answer.text


def test_the_socket_of_a_page_is_for_the_session_that_opened_it(house, owner):
    client_id = _client_id(owner.get("/"))
    assert json.loads(_socket(house, owner, client_id)[1:])["sid"]
    for other in (house.browser(), house.operator()):
        with pytest.raises(InvalidStatus):
            _socket(house, other, client_id)
    # It could name the page later, another one, or somebody's socket to go on with.
    for said in ("", f"{client_id}&client_id={client_id}", f"{client_id}&sid=abc"):
        with pytest.raises(InvalidStatus):
            _socket(house, owner, said)


def test_the_socket_is_refused_to_a_page_of_a_stranger(house, owner):
    client_id = _client_id(owner.get("/"))
    with pytest.raises(InvalidStatus):
        _socket(house, owner, client_id, Host="evil.example")


def test_who_looks_has_the_rights_of_now_until_the_session_ends(house):
    viewer = house.operator(AccessLevel.OWNER)
    client_id = _client_id(viewer.get("/"))
    door = house.app.web.application.state.door
    seen = door.viewers[client_id]
    assert house.do(seen.refresh()) is None
    name = seen.visitor.own.user.username
    house.do(_disable(house, name))

    with pytest.raises(NotLoggedIn):
        house.do(seen.refresh())
    with pytest.raises(InvalidStatus):
        _socket(house, viewer, client_id)


async def _disable(house, name):

    await Users(house.runtime.store, Passwords()).disable(name)


def test_a_second_orchard_of_the_process_has_no_dashboard_and_says_so(house, owner):
    owner.get("/")
    with pytest.raises(Unavailable, match="dashboard"):
        asyncio.run(Door(house.app.web.application.state.house).opened())
