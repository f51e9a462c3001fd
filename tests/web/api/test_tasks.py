"""Tasks by the API: listed in pages, added once, changed only as they were seen, and of their own project."""

from __future__ import annotations

import re

import pytest

from core.domain.access import AccessLevel


@pytest.fixture(scope="module")
def maintainer(house):
    return house.token(AccessLevel.MAINTAINER, "read", "work", "decide", "manage")


@pytest.fixture
def added(maintainer):
    def add(title="Pay by card", project="shop", **more):
        made = maintainer.call("POST", f"/projects/{project}/tasks", {"title": title, **more})
        assert made.status == 201, made.text
        return made

    return add


def path_of(answer):
    return answer.headers["Location"].removeprefix("/api")


def with_headers(browser, method, path, said=None, **headers):
    browser.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    try:
        return browser.call(method, path, said)
    finally:
        for name in headers:
            del browser.headers[name.replace("_", "-")]


def test_what_is_added_is_there_as_it_was_said(maintainer, added):
    made = added("Refunds", acceptance_criteria=["Money comes back."], priority="high", estimate=3)
    assert made.json["status"] == "backlog"
    seen = maintainer.call("GET", path_of(made)).json
    assert {name: seen[name] for name in ("title", "priority", "estimate", "acceptance_criteria")} == {
        "title": "Refunds",
        "priority": "high",
        "estimate": 3,
        "acceptance_criteria": ["Money comes back."],
    }
    assert (seen["gates"], seen["phase"]) == ([], None)
    assert seen["added_by"].startswith("token:")
    assert maintainer.call("GET", f"{path_of(made)}/why").json["status"] == "backlog"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"title": ""},
        {"title": "   "},
        {"title": "x" * 201},
        {"title": "x", "priority": "urgent"},
        {"title": "x", "estimate": -1},
        {"title": "x", "estimate": "3"},
        {"title": "x", "unknown": 1},
        {"title": "x", "needs": ["shop-999999"]},
        {"title": "x", "links": ["javascript:alert(1)"]},
    ],
)
def test_what_cannot_be_a_task_is_refused_with_the_reason_and_adds_nothing(maintainer, said):
    before = maintainer.call("GET", "/projects/shop/tasks?limit=500").json
    refused = maintainer.call("POST", "/projects/shop/tasks", said)
    assert refused.status in (400, 404), refused.text
    assert refused.json["message"]
    assert maintainer.call("GET", "/projects/shop/tasks?limit=500").json == before


def test_pages_hold_everything_once_whatever_their_size(maintainer, added):
    for number in range(7):
        added(f"Task {number}", project="bank")
    every = [one["id"] for one in maintainer.call("GET", "/projects/bank/tasks?limit=500").json]
    for limit in (1, 3, 500):
        found, path = [], f"/projects/bank/tasks?limit={limit}&state=backlog"
        while path:
            page = maintainer.call("GET", path)
            assert 0 < len(page.json) <= limit
            found += [one["id"] for one in page.json]
            link = re.fullmatch(r'</api(.+)>; rel="next"', page.headers.get("Link", ""))
            path = link and link[1]
            assert path is None or "state=backlog" in path
        assert found == every


@pytest.mark.parametrize("cursor", ["x", "0", "YWJj", "%F0", "LTE", "MQ==", "9" * 300])
def test_what_is_no_cursor_is_refused(maintainer, cursor):
    refused = maintainer.call("GET", f"/projects/shop/tasks?cursor={cursor}")
    assert (refused.status, refused.json["slug"]) == (400, "invalid_input")


def test_a_task_of_another_project_is_not_found_under_this_one(maintainer, added):
    place = path_of(added(project="bank"))
    assert maintainer.call("GET", place.replace("/projects/bank/", "/projects/shop/")).status == 404
    assert maintainer.call("DELETE", place.replace("/projects/bank/", "/projects/shop/")).status == 404
    assert maintainer.call("GET", place).json["status"] == "backlog"


def test_only_what_one_sees_can_be_waited_for(house, maintainer, added):
    hidden, own = added("Buy the island", project="bank").json["id"], added().json["id"]
    of_shop = house.logged_in(None, shop=AccessLevel.CONTRIBUTOR)
    for needed in (hidden, "bank-99999"):  # whether it is there or not
        for method, path in (("POST", "/projects/shop/tasks"), ("PATCH", f"/projects/shop/tasks/{own}")):
            refused = of_shop.call(method, path, {"title": "Wait", "needs": [own, f" {needed.upper()}"]})
            assert refused.status == 403, refused.text
            assert "island" not in refused.text
            assert hidden not in refused.text
    assert of_shop.call("POST", "/projects/shop/tasks", {"title": "Wait", "needs": [own]}).status == 201
    assert maintainer.call("PATCH", f"/projects/shop/tasks/{own}", {"needs": [hidden]}).status == 200
    worker = house.token(AccessLevel.CONTRIBUTOR, "work")
    assert worker.call("POST", "/projects/shop/tasks", {"title": "Wait", "needs": [own]}).status == 201


def test_nothing_has_changed_for_who_has_it_already(maintainer, added):
    place = path_of(added())
    first = maintainer.call("GET", place)
    again = with_headers(maintainer, "GET", place, If_None_Match=f'"other", {first.headers["ETag"]}')
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert maintainer.call("PATCH", place, {"title": "Pay by phone"}).status == 200
    third = with_headers(maintainer, "GET", place, If_None_Match=first.headers["ETag"])
    assert (third.status, third.json["title"]) == (200, "Pay by phone")


def test_a_change_is_made_only_of_what_was_seen(maintainer, added):
    place = path_of(added())
    seen = maintainer.call("GET", place).headers["ETag"]
    changed = with_headers(maintainer, "PATCH", place, {"title": "Mine"}, If_Match=seen)
    assert (changed.status, changed.json["title"]) == (200, "Mine")
    late = with_headers(maintainer, "PATCH", place, {"title": "Theirs"}, If_Match=seen)
    assert (late.status, late.json["slug"]) == (412, "changed")
    assert maintainer.call("GET", place).json["title"] == "Mine"
    assert maintainer.call("GET", place).headers["ETag"] == changed.headers["ETag"]
    assert with_headers(maintainer, "DELETE", place, If_Match=seen).status == 412
    assert with_headers(maintainer, "DELETE", place, If_Match="bad").status == 400
    gone = with_headers(maintainer, "DELETE", f"{place}?reason=no", If_Match=changed.headers["ETag"])
    assert (gone.status, gone.json["status"]) == (200, "removed")


def test_an_estimate_is_taken_away_by_null_and_left_alone_by_silence(maintainer, added):
    place = path_of(added(estimate=5))
    assert maintainer.call("PATCH", place, {"title": "Same"}).json["estimate"] == 5
    assert maintainer.call("PATCH", place, {"estimate": None}).json["estimate"] is None
    assert maintainer.call("PATCH", place, {}).status == 400


def test_its_rank_is_set(maintainer, added):
    place = path_of(added())
    ranked = maintainer.call("PUT", f"{place}/rank", {"priority": "critical", "place": "top"})
    assert (ranked.status, ranked.json["priority"]) == (200, "critical")
    assert maintainer.call("PUT", f"{place}/rank", {"place": "somewhere"}).status == 400


def test_what_its_state_forbids_is_said_with_the_reason(maintainer, added):
    place = path_of(added())
    for verb, said in (("stop", None), ("abort", {"reason": "x"}), ("steer", {"text": "x"}), ("skip", {})):
        refused = maintainer.call("POST", f"{place}/{verb}", said)
        assert refused.status in (403, 409), (verb, refused.text)
        assert refused.json["message"]


def test_a_viewer_and_a_reading_token_change_nothing(house, added):
    place = path_of(added())
    for one in (house.logged_in(AccessLevel.VIEWER), house.token(AccessLevel.OWNER, "read")):
        assert one.call("GET", place).status == 200
        assert one.call("POST", "/projects/shop/tasks", {"title": "x"}).status == 403
        assert one.call("PATCH", place, {"title": "x"}).status == 403
        assert one.call("DELETE", place).status == 403
    assert house.logged_in(None, bank=AccessLevel.OWNER).call("GET", place).status == 403
