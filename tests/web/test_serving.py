"""Where the server listens: TLS, a proxy before it, a port that is taken, none at all."""

from __future__ import annotations

import ipaddress
import socket
import ssl

import pytest
import yaml

from bot.app import open_app
from bot.configuration import loader
from bot.web.server import _listen
from core.errors import Unavailable


@pytest.fixture
def encrypted(house, certificate):
    files = {"certificate_file": str(certificate[0]), "certificate_key_file": str(certificate[1])}
    with house.serving(trusted_hosts=("orchard.example.org",), **files) as port:
        browser = house.browser()
        browser.port = port
        browser.context = ssl.create_default_context(cafile=certificate[0])
        browser.host = f"127.0.0.1:{port}"
        yield browser


def test_with_a_certificate_everything_is_encrypted_and_cookies_are_bound_to_the_host(house, encrypted, raw):
    answer = encrypted.log_in(house.person())
    given = next(one for one in answer.headers.get_all("Set-Cookie") if "__Host-orchard=" in one)
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(given.split("; "))
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    assert encrypted.get("/account").status == 200
    assert b"HTTP" not in raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", port=encrypted.port)
    encrypted.headers = {"Origin": f"http://{encrypted.host}"}
    assert encrypted.post("/logout", csrf="").status == 403


def test_an_old_protocol_is_not_spoken(encrypted):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")  # else this side would not even begin
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", encrypted.port), timeout=45) as line,
        pytest.raises(ssl.SSLError, match=r"EOF|ALERT"),
    ):
        old.wrap_socket(line)


def test_behind_a_proxy_its_name_counts_and_nothing_is_open(house):

    with house.serving(public_url="https://orchard.example.org") as port:
        browser = house.browser()
        browser.port = port
        assert browser.get("/status", Accept="*/*").status == 401
        browser.host = "orchard.example.org"
        browser.headers = {"X-Forwarded-For": "10.9.8.7, 192.0.2.44", "Origin": "https://orchard.example.org"}
        answer = browser.log_in(house.person())
        assert answer.status == 303
        assert any(one.startswith("__Host-orchard=") for one in answer.headers.get_all("Set-Cookie"))
        assert "192.0.2.44" in browser.get("/account").text  # what the proxy saw, not what a client says
        browser.headers["Origin"] = "http://orchard.example.org"
        assert browser.post("/logout", csrf="").status == 403


def test_without_a_proxy_nobody_says_whose_address_they_have(house, browser):
    browser.headers = {"X-Forwarded-For": "192.0.2.44"}
    browser.log_in(house.person())
    assert "192.0.2.44" not in browser.get("/account").text


def test_a_certificate_that_cannot_be_used_means_no_server_rather_than_an_open_one(house, tmp_path):
    files = {
        "certificate_file": str(tmp_path / "none.pem"),
        "certificate_key_file": str(tmp_path / "none.pem"),
    }
    with pytest.raises(Unavailable, match="has no certificate"), house.serving(**files):
        pass


def test_a_port_that_is_taken_is_told_with_what_to_do(house):
    told = pytest.raises(Unavailable, match=r"Nothing can be served on .* already in use.*web\.port")
    with told, house.serving(port=house.port):
        pass


async def _status(root, **web):
    (root / "orch-config.yaml").write_text(yaml.safe_dump({"global": {"web": web}}))
    async with open_app(loader(root, environ={}), discord=False) as app:
        if app.web is not None:
            await app.web.ready.wait()
        return (await app.runtime.commands.system()).web


async def test_orchard_runs_on_where_the_port_is_taken_and_status_says_so(house, tmp_path):
    assert "Nothing can be served on" in await _status(tmp_path, port=house.port)


async def test_where_others_may_come_its_address_is_a_name_of_the_certificate(tmp_path, certificate):
    files = {"certificate_file": str(certificate[0]), "certificate_key_file": str(certificate[1])}
    host = str(ipaddress.IPv4Address(0))
    told = await _status(tmp_path, host=host, port=0, trusted_hosts=["orchard.example.org"], **files)
    assert told.startswith("https://orchard.example.org:")


async def test_it_can_be_switched_off(tmp_path):
    assert await _status(tmp_path, enabled=False) == "switched off"


def test_an_answer_is_sent_without_waiting_for_what_was_sent_before():
    with (
        _listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as line,
    ):
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
