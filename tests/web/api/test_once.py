"""A repeated POST is answered again, not done again; also after a crash."""

from __future__ import annotations

import threading

import pytest

from bot.web.once import OnceKeeper
from core.domain.access import AccessLevel
from core.security.keys import Key
from core.store import answers, stories

TITLE = {"title": "Pay by card"}


@pytest.fixture(scope="module")
def worker(house):
    return house.token(AccessLevel.MAINTAINER, "read", "work", "decide", "manage")


def post(browser, key, path, said):
    browser.headers["Idempotency-Key"] = key
    try:
        return browser.call("POST", path, said)
    finally:
        del browser.headers["Idempotency-Key"]


def count(house):
    return len(house.do(house.runtime.store.read(lambda conn: stories.of_project(conn, "shop"))))


def test_the_same_request_is_done_once_and_answered_alike(house, worker):
    before = count(house)
    first, again = (post(worker, "a-key", "/projects/shop/tasks", TITLE) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["Location"] == first.headers["Location"]
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (
        None,
        "true",
    )
    assert count(house) == before + 1


def test_another_request_with_the_key_is_refused_and_not_done(house, worker):
    post(worker, "b-key", "/projects/shop/tasks", TITLE)
    before = count(house)
    for path, said in (("/projects/shop/tasks", {"title": "Other"}), ("/projects/bank/tasks", TITLE)):
        refused = post(worker, "b-key", path, said)
        assert (refused.status, refused.json["slug"]) == (422, "key_reused")
    assert count(house) == before


def test_a_key_is_its_callers_own(house, worker):
    other = house.token(AccessLevel.MAINTAINER, "read", "work")
    mine, theirs = (post(one, "c-key", "/projects/shop/tasks", TITLE).json["id"] for one in (worker, other))
    assert mine != theirs


def test_what_was_refused_leaves_its_key_free(house, worker):
    assert post(worker, "d-key", "/projects/shop/tasks", {"title": ""}).status == 400
    assert post(worker, "d-key", "/projects/nowhere/tasks", TITLE).status in (403, 404)
    assert post(worker, "d-key", "/projects/shop/tasks", TITLE).status == 201


def test_an_answer_is_not_given_again_to_who_may_no_longer_ask(house):
    one = house.token(AccessLevel.MAINTAINER, "read", "work")
    assert post(one, "e-key", "/projects/shop/tasks", TITLE).status == 201
    name = one.call("GET", "/whoami").json["name"].removeprefix("token:").partition("/")[0]
    assert house.operator().call("PUT", f"/users/{name}/level", {"level": "viewer"}).status == 200
    assert post(one, "e-key", "/projects/shop/tasks", TITLE).status == 403


@pytest.mark.parametrize("key", ["", "a key", "x" * 256, "é"])
def test_what_is_no_key_is_refused(worker, key):
    refused = post(worker, key.encode().decode("latin-1"), "/projects/shop/tasks", TITLE)
    assert (refused.status, refused.json["slug"]) == (400, "invalid_input")


def test_many_at_once_are_done_once(house, worker):
    before, found = count(house), []

    def ask():
        line = type(worker)(worker.port, headers={**worker.headers, "Idempotency-Key": "f-key"})
        found.append(line.call("POST", "/projects/shop/tasks", TITLE))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.status for one in found} <= {201, 409}
    assert len({one.body for one in found if one.status == 201}) == 1
    assert all(one.json["slug"] == "still_answering" for one in found if one.status == 409)
    assert count(house) == before + 1


def test_a_crash_between_the_change_and_its_answer_loses_neither(house, worker, monkeypatch):
    """The process dies after the change is durable: nothing after it happens, and all it knew is gone."""

    class Killed(BaseException):
        pass

    async def die(*_):
        raise Killed

    keeper = house.app.web.application.state.house.once
    before = count(house)
    with monkeypatch.context() as killed:
        killed.setattr(OnceKeeper, "done", die)
        with pytest.raises(Exception):  # noqa: B017, PT011 - the connection is just closed
            assert post(worker, "g-key", "/projects/shop/tasks", TITLE).status == 201
    assert count(house) == before + 1
    keeper.under_way.clear()
    again = post(worker, "g-key", "/projects/shop/tasks", TITLE)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert count(house) == before + 1
    newest = house.do(house.runtime.store.read(lambda conn: stories.of_project(conn, "shop")))
    assert again.json["id"] in {story.id for story in newest}


@pytest.mark.parametrize("what", ["token", "user"])
def test_a_crash_loses_neither_a_token_nor_a_user(house, monkeypatch, what):
    async def lost(*_):
        raise SystemError("killed")

    one = house.operator()
    path, said = "/tokens", {"name": "robot", "scopes": ["read"]}
    if what == "user":
        said = {"username": "peter", "email": "p@example.org", "password": "long enough, it is hoped"}
        path = "/users"
    with monkeypatch.context() as killed:
        killed.setattr(OnceKeeper, "done", lost)
        assert post(one, "l-key", path, said).status == 500
    house.app.web.application.state.house.once.under_way.clear()
    again = post(one, "l-key", path, said)
    assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
    if what == "user":
        assert again.json["username"] == "peter"
    else:
        assert [each["name"] for each in one.call("GET", "/tokens").json] == ["robot"]
        headers = {"Authorization": f"Bearer {again.json['token']}"}
        assert type(one)(one.port, headers=headers).call("GET", "/whoami").json["scopes"] == ["read"]


def test_a_crash_before_the_change_lets_it_be_done(house, worker):
    keeper = house.app.web.application.state.house.once
    post(worker, "h-key", "/projects/shop/tasks", TITLE)
    who = worker.call("GET", "/whoami").json["name"]
    house.do(
        house.runtime.store.write(
            lambda tx: (
                tx.conn.execute(
                    "UPDATE idempotency_keys SET status = NULL, body = NULL WHERE who = ? AND key = 'h-key'",
                    (who,),
                ).rowcount
            )
        )
    )
    assert (who, "h-key") not in keeper.under_way
    before = count(house)
    assert post(worker, "h-key", "/projects/shop/tasks", TITLE).status == 201
    assert count(house) == before + 1


def test_no_answer_and_no_request_can_be_read_in_the_store(house):
    one = house.logged_in(AccessLevel.VIEWER)
    made = post(one, "i-key", "/tokens", {"name": "ci", "scopes": ["read"]})
    assert made.status == 201
    assert post(one, "i-key", "/tokens", {"name": "ci", "scopes": ["read"]}).json == made.json
    rows = house.do(
        house.runtime.store.read(
            lambda conn: [tuple(row) for row in conn.execute("SELECT * FROM idempotency_keys")]
        )
    )
    assert rows
    assert made.json["token"] not in str(rows)


def test_old_keys_are_pruned(house, worker):
    post(worker, "j-key", "/projects/shop/tasks", TITLE)
    age = answers.KEPT.total_seconds() + 60

    def older(tx):
        tx.conn.execute(
            "UPDATE idempotency_keys SET at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?) WHERE key = 'j-key'",
            (f"-{age} seconds",),
        )

    house.do(house.runtime.store.write(older))
    again = post(worker, "j-key", "/projects/shop/tasks", TITLE)
    assert (again.status, again.headers.get("Idempotency-Replayed")) == (201, None)


def test_after_another_key_an_answer_is_not_made_up(house, worker):
    post(worker, "k-key", "/projects/shop/tasks", TITLE)
    keeper = house.app.web.application.state.house.once
    old, keeper.key = keeper.key, Key.new()
    try:
        refused = post(worker, "k-key", "/projects/shop/tasks", TITLE)
    finally:
        keeper.key = old
    assert (refused.status, refused.json["slug"]) == (422, "key_reused")
