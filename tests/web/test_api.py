"""The API as programs and sessions use it, and `GET /status`."""

from __future__ import annotations

import json

import pytest

from core.domain.access import AccessLevel
from core.domain.approval import Approval


def test_who_shows_nothing_is_told_how_to_be_let_in(browser):
    answer = browser.get("/api/whoami")
    assert answer.status == 401
    assert answer.json["slug"] == "not_logged_in"
    assert "token" in answer.json["hint"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("said", ["Bearer wrong", "Bearer", "Basic cm9vdDpyb290", "Bearer é", ""])
def test_a_token_that_is_not_good_gets_no_further_whatever_cookie_is_beside_it(house, said):
    one = house.logged_in()
    one.headers = {"Authorization": said.encode().decode("latin-1")}
    assert one.get("/api/whoami").status == 401


def test_whoami_says_what_one_is(house):
    session = house.logged_in(AccessLevel.VIEWER, shop=AccessLevel.MAINTAINER).call("GET", "/whoami").json
    assert (session["face"], session["level"]) == ("web", "viewer")
    assert session["projects"] == {"shop": "maintainer"}
    token = house.token(AccessLevel.ADMIN, "read", only=("bank",)).call("GET", "/whoami").json
    assert (token["face"], token["scopes"], token["only"]) == ("api", ["read"], ["bank"])


def test_a_session_changes_nothing_through_the_api_by_its_cookie_alone(house):
    one = house.logged_in()
    said = json.dumps({"name": "x", "scopes": ["read"]}).encode()
    kind = {"Content-Type": "application/json"}
    refused = one.ask("POST", "/api/tokens", said, kind)
    assert refused.status == 403
    assert "form token" in refused.json["message"]
    assert one.ask("POST", "/api/tokens", said, {**kind, "X-CSRF-Token": "0" * 64}).status == 403
    assert one.call("POST", "/tokens", {"name": "x", "scopes": ["read"]}).status == 201


def test_a_token_makes_no_token_and_sees_no_session(house):
    token = house.token(AccessLevel.OWNER, "read", "work", "decide", "manage")
    assert token.call("GET", "/sessions").status == 403
    assert token.call("POST", "/tokens", {"name": "x", "scopes": ["read"]}).status == 403


def test_users_are_made_and_given_levels_by_an_operator(house, operator):
    said = {"username": "newcomer", "email": "new@example.org", "password": "plums and greengages"}
    made = operator.call("POST", "/users", said)
    assert (made.status, made.json["level"]) == (201, None)
    assert "password" not in made.text
    assert operator.call("PUT", "/users/newcomer/level", {"level": "viewer"}).json["level"] == "viewer"
    granted = operator.call("PUT", "/projects/shop/grants/newcomer", {"level": "contributor"})
    assert granted.json["projects"] == {"shop": "contributor"}
    assert operator.call("PUT", "/projects/shop/grants/newcomer", {"level": None}).json["projects"] == {}
    assert operator.call("PUT", "/users/newcomer/level", {"level": "king"}).status == 400
    assert operator.call("PUT", "/projects/nowhere/grants/newcomer", {"level": "viewer"}).status == 404
    assert operator.call("POST", "/users/newcomer/disable").json["disabled"]
    assert house.browser().log_in("newcomer", "plums and greengages").status == 403
    assert not operator.call("POST", "/users/newcomer/enable").json["disabled"]
    assert "newcomer" in [each["username"] for each in operator.call("GET", "/users").json]


def test_nobody_lifts_another_above_themselves(house):
    admin = house.operator(AccessLevel.ADMIN)
    name = house.person()
    assert admin.call("PUT", f"/users/{name}/level", {"level": "owner"}).status == 403
    assert admin.call("PUT", "/users/root/level", {"level": "viewer"}).status == 403


def test_a_maintainer_grants_in_their_project_and_in_no_other(house):
    maintainer = house.operator(None, shop=AccessLevel.MAINTAINER)
    name = house.person()
    assert maintainer.call("PUT", f"/projects/shop/grants/{name}", {"level": "contributor"}).status == 200
    assert maintainer.call("PUT", f"/projects/bank/grants/{name}", {"level": "viewer"}).status == 403
    assert maintainer.call("GET", "/users").status == 403


def test_secrets_are_set_named_and_removed_and_never_shown(operator):
    value = "s3cr3t-value-of-the-shop"
    made = operator.call("PUT", "/projects/shop/secrets/PAYMENT_KEY", {"value": value})
    assert (made.status, made.json["name"], made.json["version"]) == (200, "PAYMENT_KEY", 1)
    listed = operator.call("GET", "/projects/shop/secrets")
    [own] = [each for each in listed.json if each["name"] == "PAYMENT_KEY"]
    assert own["set_by"].startswith("user:")
    assert value not in made.text + listed.text + operator.call("GET", "/audit/export").text
    assert operator.call("PUT", "/projects/shop/secrets/NOT-A-NAME", {"value": value}).status in (400, 404)
    assert operator.call("DELETE", "/projects/shop/secrets/PAYMENT_KEY").status == 204
    assert operator.call("DELETE", "/projects/shop/secrets/PAYMENT_KEY").status == 404
    assert operator.call("PUT", "/projects/nowhere/secrets/A_KEY", {"value": value}).status == 404


def test_the_audit_log_is_verified_and_exported_which_it_says(operator):
    verdict = operator.call("GET", "/audit/verify").json
    assert verdict["sound"]
    exported = operator.call("GET", "/audit/export")
    rows = [json.loads(line) for line in exported.text.splitlines()]
    assert len(rows) >= verdict["rows"]
    assert exported.headers["Content-Disposition"].startswith("attachment")
    assert '"audit_exported"' in operator.call("GET", "/audit/export").text


def test_what_was_refused_stands_in_the_audit_log(house, operator):
    one = house.logged_in()
    assert one.call("GET", "/users").status == 403
    name = one.call("GET", "/whoami").json["name"]
    rows = operator.call("GET", "/audit/export").text.splitlines()
    assert any("access_denied" in row and name in row for row in rows)


def test_the_isolation_of_a_project_is_shown(operator):
    found = operator.call("GET", "/projects/shop/isolation?role=qa")
    assert (found.status, found.json["project"], found.json["role"]) == (200, "shop", "qa"), found.text
    assert found.json["argv"]
    assert operator.call("GET", "/projects/shop/isolation?role=king").status == 400
    assert operator.call("GET", "/projects/nowhere/isolation").status == 404


def test_projects_and_questions_are_those_that_one_sees(house):
    one = house.logged_in(None, shop=AccessLevel.VIEWER)
    assert [each["project"]["name"] for each in one.call("GET", "/projects").json] == ["shop"]
    assert one.call("GET", "/projects/shop").json["project"]["name"] == "shop"
    assert one.call("GET", "/projects/SHOP").status == 200
    assert one.call("GET", "/projects/bank").status == 403
    status = one.get("/status", Accept="*/*", X_Forwarded_For="192.0.2.1")
    assert [each["project"]["name"] for each in status.json["projects"]] == ["shop"]
    assert "bank" not in status.text
    narrow = house.token(AccessLevel.OWNER, "read", only=("bank",))
    assert [each["project"]["name"] for each in narrow.call("GET", "/projects").json] == ["bank"]
    assert narrow.call("GET", "/projects/shop").status == 403


class TestStatus:
    def test_it_is_open_on_this_machine(self, browser):
        found = browser.get("/status", Accept="*/*").json
        assert found["running"]
        assert {each["project"]["name"] for each in found["projects"]} == {"shop", "bank"}
        assert found["web"] == browser.origin

    @pytest.mark.parametrize(
        "header",
        ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto"],
    )
    def test_what_came_through_a_proxy_needs_a_login(self, browser, header):
        assert browser.ask("GET", "/status", headers={header: "x", "Accept": "*/*"}).status == 401

    def test_so_does_everything_where_orchard_is_public(self, house):
        with house.serving(port=0, trusted_hosts=("orchard.example.org",)) as port:
            browser = house.browser()
            browser.port = port
            assert browser.get("/status", Accept="*/*").status == 200
            browser.host = f"orchard.example.org:{port}"
            assert browser.get("/status", Accept="*/*").status == 401

    def test_who_only_looks_does_not_see_what_agents_ask_for(self, house, question, browser):
        asked = question("bank")
        seen = {one["id"]: one for one in browser.get("/status", Accept="*/*").json["pending_approvals"]}
        assert seen[asked.id]["question"] == "May it?"
        assert seen[asked.id]["detail"] == ""
        reader = house.token(AccessLevel.VIEWER, "read").get("/status", Via="x").json["pending_approvals"]
        assert {one["id"]: one["detail"] for one in reader}[asked.id] == "+1"

    def test_a_token_reads_it(self, house):
        assert house.token(AccessLevel.VIEWER, "read").get("/status", Via="x").status == 200
        assert house.token(AccessLevel.VIEWER, "work").get("/status", Via="x").status == 403


def test_the_api_is_described(browser):
    described = browser.get("/api/openapi.json").json
    assert described["openapi"].startswith("3.")
    assert {"/api/whoami", "/api/users", "/status", "/api/approvals/{approval_id}"} <= set(described["paths"])
    assert "/login" not in described["paths"]


def test_what_is_not_json_is_not_taken(house):
    one = house.logged_in()
    csrf = one.call("GET", "/whoami").json["csrf"]
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        said = b'{"name": "x", "scopes": ["read"]}'
        headers = {"Content-Type": kind, "X-CSRF-Token": csrf}
        assert one.ask("POST", "/api/tokens", said, headers).status == 400
    nested = b"[" * 100_000
    assert (
        one.ask(
            "POST", "/api/tokens", nested, {"Content-Type": "application/json", "X-CSRF-Token": csrf}
        ).status
        == 400
    )


def test_a_question_is_answered_by_who_may_and_hidden_from_the_rest(house, question):
    asked: Approval = question("shop")
    stranger = house.logged_in(None, bank=AccessLevel.OWNER)
    assert asked.id not in stranger.call("GET", "/approvals").text
    hidden = stranger.call("POST", f"/approvals/{asked.id}", {"approve": True})
    missing = stranger.call("POST", "/approvals/approval_none", {"approve": True})
    assert hidden.status == missing.status == 404
    assert hidden.text.replace(asked.id, "approval_none") == missing.text
    viewer = house.logged_in(None, shop=AccessLevel.VIEWER)
    assert [each["id"] for each in viewer.call("GET", "/approvals").json] == [asked.id]
    assert viewer.call("POST", f"/approvals/{asked.id}", {"approve": True}).status == 403
    maintainer = house.token(AccessLevel.MAINTAINER, "decide", "read")
    answered = maintainer.call("POST", f"/approvals/{asked.id}", {"approve": True})
    assert (answered.status, answered.json["state"]) == (200, "approved")
    assert maintainer.call("POST", f"/approvals/{asked.id}", {"approve": True}).status in (403, 409)
