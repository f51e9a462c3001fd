"""The live feed over real sockets: who hears what, from where on, and what becomes of who behaves badly."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from bot.web.feed import hub as hub_module
from core.domain.access import AccessLevel
from core.domain.event import EventKind
from core.domain.metric import Sample, labels_of
from core.errors import Unavailable
from core.store import news
from tests.waiting import wait_until

SECONDS = 45


class Ear:
    """A client of the feed; `next` reads frames until one fits."""

    def __init__(self, house, path="/", **headers):
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        self._line = connect(
            f"ws://127.0.0.1:{house.port}{path}",
            additional_headers=said,
            open_timeout=SECONDS,
            compression=None,
            max_size=None,
        )

    def __enter__(self):
        self.socket = self._line.__enter__()
        return self

    def __exit__(self, *error):
        self._line.__exit__(*error)

    def read(self):
        return json.loads(self.socket.recv(timeout=SECONDS))

    def next(self, kind):
        while (found := self.read())["type"] != kind:
            pass
        return found

    def say(self, **words):
        self.socket.send(json.dumps(words))

    def ends(self):
        """The code with which it is closed."""
        try:
            while True:
                self.socket.recv(timeout=SECONDS)
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else None


def cookies(browser):
    return {
        "Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()),
        "Origin": browser.origin,
    }


def emit(house, *projects, kind=EventKind.STORY_EDITED, **data):
    """One event each, in one transaction: their seqs."""

    def write(tx):
        return [tx.emit(kind, project=project, actor="user:ann", data=data).seq for project in projects]

    return house.do(house.runtime.store.write(write))


def last(house):
    return house.do(house.runtime.store.read(news.last_seq))


def publish(house, value, project="shop", metric="project_cpu"):
    sample = Sample(
        metric=metric,
        value=value,
        at=house.runtime.clock.now(),
        source="cgroup",
        labels=labels_of(metric, project=project) if project else (),
    )

    async def put():
        house.runtime.monitoring.readings.publish([sample])

    house.do(put())


def events_of(ear, count):
    return [ear.next("event")["data"]["seq"] for _ in range(count)]


@pytest.mark.parametrize("path", ["/", "/ws"])
def test_this_machine_listens_without_a_login_and_hears_no_texts(house, path):
    with Ear(house, path + "?kind=event") as ear:
        assert ear.read()["data"] == {"projects": None, "kinds": ["event"], "texts": False}
        (seq,) = emit(house, "shop", fields=["a secret plan"])
        told = ear.read()
        assert (told["type"], told["cursor"]) == ("event", seq)
        assert told["data"].keys() == {"seq", "kind", "at", "project", "story"}
        assert told["data"]["kind"] == "story_edited"


def test_whoever_logged_in_hears_all_of_it(house):
    with Ear(house, "/?kind=event", **cookies(house.logged_in())) as ear:
        assert ear.next("hello")["data"]["texts"] is True
        emit(house, "shop", fields=["title"])
        said = ear.next("event")["data"]
        assert (said["actor"], said["data"]) == ("user:ann", {"fields": ["title"]})


def test_a_token_hears_its_projects_alone(house):
    token = house.token(AccessLevel.VIEWER, "read", only=("bank",))
    with Ear(house, "/?kind=event", Authorization=token.headers["Authorization"]) as ear:
        ear.next("hello")
        seqs = emit(house, "shop", "bank", None, "bank")
        assert events_of(ear, 2) == [seqs[1], seqs[3]]


def test_somebody_of_one_project_sees_no_others_metrics_and_not_the_machines(house):
    publish(house, 1.5), publish(house, 2.5, "bank"), publish(house, 0.5, "", "machine_cpu")
    with Ear(house, **cookies(house.logged_in(None, bank=AccessLevel.VIEWER))) as ear:
        first = ear.next("metric_update")["data"]
        assert first["full"] is True
        assert {one["project"] for one in first["samples"]} == {"bank"}
        publish(house, 9.5), publish(house, 8.5, "bank")
        (told,) = ear.next("metric_update")["data"]["samples"]
        assert (told["value"], told["unit"], told["source"]) == (8.5, "cores", "cgroup")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer nothing"}, 401),
        ({"X_Forwarded_For": "192.0.2.7"}, 401),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
def test_others_are_refused_before_a_socket_is_opened_and_fill_no_log(house, headers, status, caplog):
    caplog.set_level("INFO", "bot.web.sockets")
    with pytest.raises(InvalidStatus) as refused, Ear(house, **headers):
        pass
    assert refused.value.response.status_code == status
    with Ear(house) as ear:
        ear.next("hello")
    assert [record for record in caplog.records if record.name == "bot.web.sockets"] == []


def test_nobody_without_a_level_listens_from_outside(house):
    nobody = house.logged_in(None)
    with pytest.raises(InvalidStatus) as refused, Ear(house, **cookies(nobody)):
        pass
    assert refused.value.response.status_code == 403
    assert b"level" in refused.value.response.body


def test_a_token_that_may_not_read_hears_nothing(house):
    token = house.token(AccessLevel.OWNER, "work")
    with pytest.raises(InvalidStatus) as refused, Ear(house, Authorization=token.headers["Authorization"]):
        pass
    assert b"lacks the scope read" in refused.value.response.body


@pytest.mark.parametrize(
    "query", ["since=-1", "since=x", "kind=nothing", "colour=red", "since=1&since=2", "%ff"]
)
def test_a_wish_that_cannot_be_met_is_refused_with_the_reason(house, query):
    with pytest.raises(InvalidStatus) as refused, Ear(house, f"/?{query}"):
        pass
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body)["why"]


def test_after_a_drop_it_goes_on_from_the_cursor_without_gap_or_double(house):
    with Ear(house, "/?kind=event&project=shop") as ear:
        begun = ear.next("hello")["cursor"]
        first = emit(house, *["shop"] * 3)
        assert events_of(ear, 3) == first
    missed = [emit(house, "shop", "bank")[0] for _ in range(250)]  # more than a page
    with Ear(house, f"/?kind=event&project=shop&since={first[-1]}") as ear:
        live = emit(house, "shop")
        assert events_of(ear, 251) == missed + live
    with Ear(house, f"/?kind=event&project=shop&since={begun}") as ear:
        assert events_of(ear, 254) == first + missed + live


def test_joining_under_fire_misses_nothing(house):
    """Events come all the while; what is read from the store and what comes live fit together."""
    since = last(house)
    seqs, ears = [], []
    with ExitStack() as stack:
        for _ in range(20):
            seqs += emit(house, *["shop"] * 15)
            ears.append(stack.enter_context(Ear(house, f"/?kind=story_edited&since={since}")))
        seqs += emit(house, *["shop"] * 15)
        for ear in ears:
            assert events_of(ear, len(seqs)) == seqs


def test_a_cursor_of_another_store_begins_at_the_end_of_this_one(house):
    with Ear(house, "/?kind=event&since=999999999999") as ear:
        assert ear.next("hello")["cursor"] == last(house)
        assert events_of(ear, 0) == []
        assert emit(house, "shop") == events_of(ear, 1)


def test_who_knows_of_more_than_was_offered_yet_goes_on_from_there(house, monkeypatch):
    """Such as by the API: the feed looks into the store a moment later than others."""
    monkeypatch.setattr("bot.web.feed.hub._RETRY_SECONDS", 0.05)
    real = hub_module._page

    def away(conn, *, after):
        if after > before:
            return real(conn, after=after)
        raise Unavailable("The store cannot be read.", why="The disk is full.")

    with Ear(house, "/?kind=event") as first:
        first.next("hello")
        before = last(house)
        monkeypatch.setattr("bot.web.feed.hub._page", away)
        known, *others = emit(house, "shop", "shop", "bank")
        with Ear(house, f"/?kind=event&since={known}") as ear:
            assert ear.next("hello")["cursor"] == known
            monkeypatch.setattr("bot.web.feed.hub._page", real)
            others += emit(house, "shop")
            assert events_of(ear, 3) == others


def test_another_wish_changes_what_comes(house):
    with Ear(house, "/?kind=event&project=shop") as ear:
        ear.next("hello")
        ear.say(type="subscribe", projects=["bank"], kinds=["story_merged"])
        assert ear.next("hello")["data"]["kinds"] == ["story_merged"]
        emit(house, "shop", "bank")
        merged = emit(house, "shop", "bank", kind=EventKind.STORY_MERGED)
        assert events_of(ear, 1) == merged[1:]
        ear.say(type="subscribe", kinds=["story_merged"], since=merged[0] - 1)
        ear.next("hello")
        assert events_of(ear, 2) == merged


def test_an_alert_is_an_update_of_its_own(house):
    alert = {"id": "alert_1", "rule": "cpu", "project": "shop", "state": "firing", "by": "", "hint": "look"}
    with Ear(house, "/?kind=alert_update") as open_ear, Ear(house, **cookies(house.logged_in())) as ear:
        open_ear.next("hello"), ear.next("hello")
        emit(house, "shop", kind=EventKind.ALERT_CHANGED, **alert)
        assert ear.next("alert_update")["data"] == alert
        assert open_ear.next("alert_update")["data"].keys() == alert.keys() - {"by", "hint"}


def test_metrics_come_as_they_are_and_then_as_they_change(house):
    publish(house, 3.25)
    with Ear(house, "/?kind=project_cpu&project=shop") as ear:
        assert [one["value"] for one in ear.next("metric_update")["data"]["samples"]] == [3.25]
        publish(house, 3.25), publish(house, 1, "bank"), publish(house, 4.5)
        told = ear.next("metric_update")["data"]
        assert (told["full"], [one["value"] for one in told["samples"]]) == (False, [4.5])


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(house):
    with Ear(house, "/?kind=event") as ear:
        ear.next("hello")
        for text in ("{", "[]", '{"type": "dance"}', '{"type": "subscribe", "kinds": [1]}', '{"a": NaN}'):
            ear.socket.send(text)
            assert ear.next("error")["data"]["slug"] == "invalid_input"
        assert emit(house, "shop") == events_of(ear, 1)


@pytest.mark.parametrize(
    ("sent", "codes"),
    [
        (b"\x00\x01", {1003}),
        ("x" * 20_000, {1009}),
        ("x" * 100_000, {1009, None}),  # what was not read resets the connection, perhaps before the code is
        (["{"] * 60, {1008}),
    ],
    ids=["binary", "long", "huge", "often"],
)
def test_who_sends_what_is_not_understood_is_let_go(house, sent, codes):
    with Ear(house) as ear:
        for one in sent if isinstance(sent, list) else [sent]:
            try:
                ear.socket.send(one)
            except ConnectionClosed:
                break
        assert ear.ends() in codes


def _upgraded(house, path="/", receive_bytes=4096):
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(SECONDS)
    line.connect(("127.0.0.1", house.port))
    said = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    line.sendall(said.encode())
    answered = b""
    while not answered.endswith(b"\r\n\r\n"):
        answered += line.recv(1)
    return line


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 64,
        b"\x81\x05hello",  # not masked
        b"\x81\x82\x00\x00\x00\x00\xc3\x28",  # no UTF-8
        b"\x81\xff" + struct.pack("!Q", 2**62) + b"\x00" * 8,
        b"\x80\x80\x00\x00\x00\x00",  # goes on with what never began
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["ones", "unmasked", "no utf-8", "endless", "continued", "http"],
)
def test_broken_frames_close_their_own_socket_alone(house, garbage, caplog):
    with Ear(house, "/?kind=event") as ear, _upgraded(house) as line:
        ear.next("hello")
        line.sendall(garbage)
        try:
            while line.recv(65536):
                pass
        except ConnectionError:
            pass
        assert emit(house, "shop") == events_of(ear, 1)
    assert [record for record in caplog.records if record.exc_info] == []


def hub_of(house):
    return house.app.web.application.state.feed


def test_one_who_never_reads_slows_nobody_is_told_what_it_missed_and_can_ask_for_it(house):
    hub = hub_of(house)
    before = last(house)
    with _upgraded(house, "/?kind=event") as lazy, Ear(house, "/?kind=event") as ear:
        ear.next("hello")
        seqs = []
        deadline = time.monotonic() + SECONDS
        while not hub.slow:
            assert time.monotonic() < deadline
            made = emit(house, *["shop"] * 100)
            assert events_of(ear, 100) == made
            seqs += made
        got = _texts_of(lazy, until="summary")
    summary = got[-1]
    heard = [one["data"]["seq"] for one in got if one["type"] == "event"]
    assert heard == seqs[: len(heard)]
    assert summary["data"]["since"] == heard[-1]
    assert summary["cursor"] == seqs[-1]
    assert summary["data"]["skipped"]["event"] == len(seqs) - len(heard)
    with Ear(house, f"/?kind=event&since={summary['data']['since']}") as again:
        assert events_of(again, len(seqs) - len(heard)) == seqs[len(heard) :]
    assert before < heard[0]


def _texts_of(line, until):
    """The texts of a server's frames, up to the first of that type."""
    stream, found = line.makefile("rb"), []
    while not found or found[-1]["type"] != until:
        first, size = stream.read(2)
        if size == 126:
            (size,) = struct.unpack("!H", stream.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", stream.read(8))
        payload = stream.read(size)
        if first & 0x0F == 1:
            found.append(json.loads(payload))
    return found


def test_one_who_takes_nothing_at_all_is_dropped(house, monkeypatch):
    monkeypatch.setattr("bot.web.feed.hub.STALLED_SECONDS", 0.2)
    monkeypatch.setattr("bot.web.feed.hub.TICK_SECONDS", 0.05)
    hub = hub_of(house)
    wait_until(lambda: hub.count == 0, "others are still there")
    dropped = hub.dropped
    with _upgraded(house, "/?kind=event"):
        wait_until(lambda: hub.count == 1, "it did not come in")
        deadline = time.monotonic() + SECONDS
        while hub.count:
            assert time.monotonic() < deadline
            emit(house, *["shop"] * 200)
    assert hub.dropped == dropped + 1


@pytest.fixture
def attentive(monkeypatch):
    """It looks at logins at once."""
    monkeypatch.setattr("bot.web.feed.hub.TICK_SECONDS", 0.05)
    monkeypatch.setattr("bot.web.feed.hub._LOGIN_SECONDS", 0.05)


def test_a_session_that_ends_closes_its_sockets(house, attentive):
    browser = house.logged_in()
    with Ear(house, **cookies(browser)) as ear:
        ear.next("hello")
        browser.post("/logout", csrf=browser.get("/account").csrf)
        assert ear.ends() == 4401


def test_whoever_loses_a_project_hears_no_more_of_it(house, attentive):
    from core.security.passwords import Passwords
    from core.security.users import Users

    name = house.person(None, bank=AccessLevel.VIEWER, shop=AccessLevel.VIEWER)
    browser = house.browser()
    browser.log_in(name)
    users = Users(house.runtime.store, Passwords())
    with Ear(house, "/?kind=event", **cookies(browser)) as ear:
        ear.next("hello")
        house.do(users.grant_project_access(name, "shop", None))
        ear.next("hello")
        seqs = emit(house, "shop", "bank")
        assert events_of(ear, 1) == seqs[1:]
        house.do(users.grant_project_access(name, "bank", None))
        assert ear.ends() == 4403


def test_what_is_lost_while_it_catches_up_is_lost_at_once_and_nothing_comes_twice(
    house, attentive, monkeypatch
):
    from core.security.passwords import Passwords
    from core.security.users import Users

    name = house.person(None, bank=AccessLevel.VIEWER, shop=AccessLevel.VIEWER)
    browser = house.browser()
    browser.log_in(name)
    with Ear(house, "/?kind=event") as other:
        other.next("hello")
        since, seqs = last(house), emit(house, "bank", "shop", "bank")
        assert events_of(other, 3) == seqs
    hub, full = hub_of(house), asyncio.Semaphore(0)
    monkeypatch.setattr(hub, "_reading", full)  # many others catch up
    with Ear(house, f"/?kind=event&since={since}", **cookies(browser)) as ear:
        ear.next("hello")
        house.do(Users(house.runtime.store, Passwords()).grant_project_access(name, "shop", None))
        wait_until(lambda: any(one.wished for one in tuple(hub._listeners)), "it was not seen")
        house.loop.call_soon_threadsafe(full.release)
        assert ear.read()["type"] == "hello"
        assert events_of(ear, 2) == [seqs[0], seqs[2]]
        assert emit(house, "bank") == events_of(ear, 1)


def test_a_revoked_token_hears_no_more(house, attentive):
    owner = house.logged_in(AccessLevel.OWNER)
    made = owner.call("POST", "/tokens", {"name": "ear", "scopes": ["read"]}).json
    with Ear(house, Authorization=f"Bearer {made['token']}") as ear:
        ear.next("hello")
        assert owner.call("DELETE", f"/tokens/{made['id']}").status == 204
        assert ear.ends() == 4401


def test_more_than_can_be_served_are_told_to_come_later(house, monkeypatch):
    monkeypatch.setattr("bot.web.feed.hub.MOST_LISTENERS", 1)
    wait_until(lambda: hub_of(house).count == 0, "others are still there")
    with Ear(house) as ear:
        ear.next("hello")
        with pytest.raises(InvalidStatus) as refused, Ear(house):
            pass
        assert refused.value.response.status_code == 503


def test_without_listeners_nothing_is_read(house, monkeypatch):
    wait_until(lambda: hub_of(house).count == 0, "others are still there")
    emit(house, "shop")  # the hub notices that nobody is there
    asked = []
    real = type(house.runtime.store).read

    async def read(self, query):
        asked.append(query)
        return await real(self, query)

    wait_until(lambda: hub_of(house)._tip is None, "it does not rest")
    monkeypatch.setattr(type(house.runtime.store), "read", read)
    emit(house, *["shop"] * 3)
    assert [one for one in asked if "feed" in getattr(getattr(one, "func", one), "__module__", "")] == []


def test_thousands_that_say_nothing_keep_nobody_out(house, monkeypatch):
    monkeypatch.setattr("bot.web.connection.MOST_WAITING", 50)
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", house.port), timeout=SECONDS))
            for _ in range(300)
        ]
        assert house.browser().get("/healthz", Accept="*/*").status == 200
        with Ear(house, "/?kind=event") as ear:
            ear.next("hello")
            assert emit(house, "shop") == events_of(ear, 1)
        with suppress(ConnectionError):
            assert silent[0].recv(1) == b""


def test_sockets_that_are_only_opened_do_not_outlive_their_peers(house):
    hub = hub_of(house)
    wait_until(lambda: hub.count == 0, "others are still there")
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(_upgraded(house))
        wait_until(lambda: hub.count == 50, "they did not come in")
    wait_until(lambda: hub.count == 0, "they are still there")


def test_while_the_store_is_away_metrics_go_on_and_nothing_is_missed_afterwards(house, monkeypatch):
    monkeypatch.setattr("bot.web.feed.hub._RETRY_SECONDS", 0.05)
    real, asked = hub_module._page, []

    def away(conn, *, after):
        asked.append(after)
        raise Unavailable("The store cannot be read.", why="The disk is full.")

    with Ear(house, "/?project=shop&kind=event&kind=project_cpu") as ear:
        ear.next("hello")
        monkeypatch.setattr("bot.web.feed.hub._page", away)
        seqs = emit(house, "shop", "shop")
        wait_until(lambda: len(asked) > 1, "it did not look again")
        publish(house, 77.5)
        while ear.next("metric_update")["data"]["samples"][-1]["value"] != 77.5:
            pass  # what there was before
        monkeypatch.setattr("bot.web.feed.hub._page", real)
        seqs += emit(house, "shop")
        assert events_of(ear, 3) == seqs
