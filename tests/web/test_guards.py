"""What is refused before the application sees it, asked over real sockets."""

from __future__ import annotations

import json
import time
from functools import partial

import pytest
from fastapi import WebSocket

from core.domain.access import AccessLevel

STRANGER = "http://evil.example"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "a@127.0.0.1:{port}", ""],
)
def test_a_name_that_is_not_ours_is_refused(browser, host):
    answer = browser.get("/status", Host=host.format(port=browser.port))
    assert (answer.status, answer.json["slug"]) == (421, "foreign_request")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_this_machines_own_names_will_do(browser, host):
    assert browser.get("/status", Host=host.format(port=browser.port)).status == 200


def test_without_a_host_or_with_two_nothing_is_answered(house, raw):
    assert b" 400 " in raw(b"GET /status HTTP/1.0\r\n\r\n").splitlines()[0]
    two = b"Host: 127.0.0.1:%d\r\n" % house.port * 2
    assert b" 400 " in raw(b"GET /status HTTP/1.1\r\n" + two + b"\r\n").splitlines()[0]


def test_the_host_of_an_absolute_target_changes_nothing(house, raw):
    said = b"GET http://evil.example/status HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n"
    assert b"projects" not in raw(said % house.port)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": STRANGER},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": None, "Sec-Fetch-Site": "same-site"},
        {"Origin": None, "Sec-Fetch-Site": None},
    ],
)
def test_another_site_changes_nothing(browser, headers):
    form = browser.get("/login").csrf
    browser.headers = {name: value and value.format(port=browser.port) for name, value in headers.items()}
    answer = browser.post("/login", csrf=form, name="root", password="x")
    assert (answer.status, answer.json["slug"]) == (403, "foreign_request")


def test_a_token_without_a_cookie_needs_no_origin_but_a_foreign_one_is_refused(house):
    token = house.token(AccessLevel.OWNER, "decide")
    assert token.call("POST", "/approvals/none", {"approve": True}).status == 404
    token.headers |= {"Origin": STRANGER}
    assert token.call("POST", "/approvals/none", {"approve": True}).status == 403


def test_another_site_reads_nothing_but_may_lead_here(browser):
    foreign = {"Sec_Fetch_Site": "cross-site"}
    assert browser.get("/status", **foreign, Sec_Fetch_Mode="no-cors").status == 403
    assert browser.get("/status", Origin=STRANGER).status == 403
    led = browser.get("/login", **foreign, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
    assert led.status == 200
    framed = browser.get("/login", **foreign, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe")
    assert framed.status == 403


def test_no_other_site_is_ever_let_in_by_cors(browser):
    for answer in (
        browser.ask("OPTIONS", "/api/tokens", headers={"Origin": STRANGER}),
        browser.get("/status"),
        browser.get("/login"),
    ):
        assert not any(name.lower().startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("path", ["/login", "/status", "/nothing", "/api/users", "/static/orchard.css"])
def test_every_answer_has_the_headers(browser, path):
    headers = browser.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers  # meaningless without TLS
    assert headers.get_all("Cache-Control") == ["public, max-age=3600" if "static" in path else "no-store"]
    assert "uvicorn" not in str(headers).lower()


def test_a_refused_request_has_them_too(browser):
    answer = browser.get("/login", Host="evil.example")
    assert answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_pages_hold_no_script_and_no_style_of_their_own(house, operator):
    for page in (house.browser().get("/login"), operator.get("/account"), operator.get("/nothing")):
        for word in ("<script", "style=", "<style", "onclick", "javascript:"):
            assert word not in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static",
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2f..%2f..%2fetc/passwd",
        "/static//etc/passwd",
        "/static/orchard.css/..",
        "/static/orchard.css%00.html",
        "/static/login.html",
        "//etc/passwd",
        "/etc/passwd",
        "/templates/login.html",
        "/orchard.db",
    ],
)
def test_nothing_is_served_by_its_path(browser, path):
    answer = browser.get(path, Accept="*/*")
    assert answer.status == 404
    assert answer.json["slug"] == "not_found"


def test_a_body_that_is_too_large_is_not_even_waited_for(house, raw):
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n" % (
        house.port,
        house.port,
    )
    told = raw(head + b"Content-Length: 99999999999\r\n\r\n", enough=b"sets the bound")
    assert b" 413 " in told.splitlines()[0]
    assert b"too_large" in told
    chunk = b"%x\r\n%s\r\n" % (65536, b"a" * 65536)
    chunked = raw(head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 6, enough=b"sets the bound")
    assert b" 413 " in chunked.splitlines()[0]


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: 3, 4\r\n",
        b"Transfer-Encoding: gzip\r\n",
    ],
)
def test_a_length_that_contradicts_itself_is_refused(house, raw, lengths):
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n" % (
        house.port,
        house.port,
    )
    told = raw(head + lengths + b"\r\nabc")
    assert told.split()[1] in (b"400", b"501")
    assert told.count(b"HTTP/1.1 ") == 1


def test_a_second_request_hidden_in_a_first_ones_body_is_not_answered_as_its_part(house, raw):
    port = house.port
    hidden = b"GET /status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n" % (port, port)
    told = raw(head + b"Content-Length: 0\r\n\r\n" + hidden)
    assert b'"slug": "foreign_request"' in told  # judged by its own headers


def test_heads_have_a_bound(house, raw):
    said = b"GET /status HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % house.port
    at_once = raw(said + b"X-Long: " + b"a" * 40_000 + b"\r\n\r\n")
    assert b" 431 " in at_once.splitlines()[0]
    assert b"projects" not in raw(
        said, b"X-Long: " + b"a" * 400_000
    )  # cut off, perhaps before the answer is read


def test_what_is_no_http_is_told_so_and_the_next_is_served(house, browser, raw):
    assert b" 400 " in raw(b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n").splitlines()[0]
    assert browser.get("/health").json == {"ok": True}


def test_a_head_that_dribbles_is_cut_and_so_is_a_body(house, raw):
    with house.serving(request_seconds=1.5) as port:  # in which a busy machine has read a head
        head = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port
        assert raw(head, port=port) == b""
        dribble = raw(
            *[b"GET /status HTTP/1.1\r\n", *[b"X: 1\r\n"] * 50], port=port, pause=lambda: time.sleep(0.04)
        )
        assert dribble == b""
        body = head + b"Origin: http://127.0.0.1:%d\r\nContent-Length: 10\r\n\r\nabc" % port
        told = raw(body, port=port)
        assert b" 408 " in told.splitlines()[0]
        assert b"too_slow" in told


def test_a_connection_that_is_kept_may_ask_again(house, raw):
    ask = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % house.port
    told = raw(ask + b"\r\n", ask + b"Connection: close\r\n\r\n")
    assert told.count(b"200 OK") == 2


def test_calls_of_an_address_are_bounded_and_healed_in_time(house):
    with house.serving(calls_per_minute=20) as port:
        browser = house.browser()
        browser.port = port
        answers = [browser.get("/health") for _ in range(40)]
    refused = [one for one in answers if one.status == 429]
    assert refused
    assert {one.status for one in answers} == {200, 429}
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].json["slug"] == "too_many_tries"


def test_logins_and_wrong_tokens_of_an_address_are_bounded(house):
    with house.serving(logins_per_minute=2) as port:  # one, and the next in half a minute
        browser = house.browser()
        browser.port = port
        assert [browser.log_in(f"nobody{number}", "wrong").status for number in range(2)] == [403, 429]
    with house.serving(logins_per_minute=2) as port:
        browser = house.browser()
        browser.port = port
        browser.headers = {"Authorization": "Bearer orchard_api_wrong"}
        assert [browser.get("/api/whoami").status for _ in range(2)] == [401, 429]


def test_an_error_says_what_why_and_what_next_and_nothing_of_the_inside(house, browser, monkeypatch):
    async def broken() -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(house.runtime.commands, "system", broken, raising=False)
    answer = browser.get("/status", Accept="*/*")
    assert answer.status == 500
    assert set(answer.json) == {"status", "slug", "message", "why", "hint"}
    assert "fault_" in answer.json["why"]
    for inside in ("hunter2", "Traceback", "RuntimeError", ".py"):
        assert inside not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_does_not_fit_is_named_without_being_repeated(operator):
    answer = operator.call(
        "POST", "/users", {"username": "x", "password": {"my": "hunter2"}, "isadmin": True}
    )
    assert answer.status == 400
    assert "password" in answer.json["why"]
    assert "isadmin" in answer.json["why"]
    assert "hunter2" not in answer.text


class TestSockets:
    @pytest.fixture
    def feed(self, house):
        """A socket as the dashboard will have one."""
        app = house.app.web.application

        async def echo(socket: WebSocket) -> None:
            await socket.accept()
            await socket.send_text("hello")
            await socket.close()

        before = list(app.router.routes)
        app.router.add_websocket_route("/feed", echo)
        yield "/feed"
        app.router.routes[:] = before

    def _upgrade(self, raw, port, path, *headers):
        said = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
        ]
        said += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *headers, "", ""]
        return raw("\r\n".join(said).encode(), enough=b"hello")

    def test_our_own_pages_open_one(self, house, raw, feed):
        told = self._upgrade(raw, house.port, feed, f"Origin: http://127.0.0.1:{house.port}")
        assert b"101 Switching" in told
        assert b"hello" in told

    @pytest.mark.parametrize(
        "headers",
        [
            ["Origin: http://evil.example"],
            ["Origin: null"],
            ["Cookie: orchard=x"],
            ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example"],
            ["Authorization: Bearer x", "Cookie: orchard=x"],
        ],
    )
    def test_nobody_elses_do(self, house, raw, feed, headers):
        told = self._upgrade(raw, house.port, feed, *headers)
        assert b" 403 " in told.splitlines()[0]
        assert b'"foreign_request"' in told
        assert b"hello" not in told

    def test_a_program_needs_no_origin(self, house, raw, feed):
        assert b"hello" in self._upgrade(raw, house.port, feed)

    def test_nor_under_another_name(self, house, raw, feed):
        said = self._upgrade(raw, house.port + 1, feed, f"Origin: http://127.0.0.1:{house.port + 1}")
        assert b" 421 " in said.splitlines()[0]

    def test_whoever_comes_too_often_is_told_when_to_come_again(self, house, raw):
        with house.serving(calls_per_minute=2) as port:  # one, and the next in half a minute
            told = [self._upgrade(partial(raw, port=port), port, "/ws") for _ in range(2)][-1]
        assert b" 429 " in told.splitlines()[0]
        assert b"retry-after:" in told.lower()


def test_json_is_what_a_program_gets_and_a_page_a_person(browser):
    assert json.loads(browser.get("/nothing", Accept="application/json").body)["status"] == 404
    assert "<h1>" in browser.get("/nothing").text or "There is nothing here." in browser.get("/nothing").text


def test_a_token_has_a_bound_of_its_own_from_wherever_it_is_used(house):
    token = house.token(AccessLevel.VIEWER, "read")
    with house.serving(calls_per_minute=20, public_url="https://orchard.example.org") as port:
        token.port = port
        answers = [
            token.get("/api/whoami", X_Forwarded_For=f"192.0.2.{number}").status for number in range(30)
        ]
    assert set(answers) == {200, 429}
    assert answers[0] == 200
