"""Logging in and out as a browser does, and the account's pages."""

from __future__ import annotations

import re
import time

import pyotp
import pytest

from core.domain.access import AccessLevel

PASSWORD = "an orchard in late autumn"
NEXT = 30  # seconds: a code counts once, that of the next step is taken, too


def _codes(page):
    return re.findall(r"<li>([^<\s]+)</li>", page.text)


def test_a_password_opens_a_session_whose_cookie_only_the_server_reads(house, browser):
    name = house.person()
    answer = browser.log_in(name)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    given = [one for one in answer.headers.get_all("Set-Cookie") if one.startswith("orchard=")]
    assert len(given) == 1
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(given[0].split("; "))
    assert f"{name}@example.org" in browser.get("/account").text
    assert browser.get("/login").headers["Location"] == "/"


def test_a_wrong_password_and_a_wrong_name_get_the_same_words(house, browser):
    name = house.person()
    wrong, unknown = browser.log_in(name, "not this one"), browser.log_in("nobody", "not this one")
    assert wrong.status == unknown.status == 403
    strip = re.compile(r"[0-9a-f]{64}")
    assert strip.sub("", wrong.text) == strip.sub("", unknown.text)
    assert "The name or the password is wrong." in wrong.text
    assert "orchard" not in browser.cookies


def test_what_is_typed_is_escaped(browser):
    answer = browser.log_in("<script>alert(1)</script>", "x")
    assert "<script" not in answer.text


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
def test_a_login_form_that_is_not_ours_is_refused(house, browser, csrf):
    browser.get("/login")
    answer = browser.post("/login", csrf=csrf, name=house.person(), password=PASSWORD)
    assert answer.status == 403
    assert "This form is too old." in answer.text
    assert "orchard" not in browser.cookies


def test_a_login_forms_token_is_of_one_browser(house, browser):
    stolen = house.browser().get("/login").csrf
    browser.get("/login")
    assert browser.post("/login", csrf=stolen, name="root", password=PASSWORD).status == 403


def test_a_session_that_was_planted_is_not_gone_on_with(house, browser):
    planted = house.logged_in()
    browser.cookies |= planted.cookies
    form = house.browser()
    csrf = form.get("/login").csrf
    browser.cookies |= form.cookies
    assert browser.post("/login", csrf=csrf, name=house.person(), password=PASSWORD).status == 303
    assert browser.cookies["orchard"] != planted.cookies["orchard"]
    assert planted.get("/account").headers["Location"] == "/login"


def test_forms_of_a_session_need_its_own_token(house):
    one, other = house.logged_in(), house.logged_in()
    theirs = other.get("/account").csrf
    for csrf in ("", theirs, "0" * 64):
        assert one.post("/logout", csrf=csrf).status == 403
        assert one.post("/account/sessions", csrf=csrf, id="others").status == 403
        assert one.post("/account/tokens", csrf=csrf, name="x", days="3").status == 403
        assert one.post("/login/enrol", csrf=csrf).status == 403
    assert one.get("/account").status == 200


def test_a_form_in_another_shape_changes_nothing(house):
    one = house.logged_in()
    csrf = one.get("/account").csrf
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
        said = f"csrf={csrf}&id=others".encode()
        assert one.ask("POST", "/account/sessions", said, {"Content-Type": kind}).status == 400


def test_who_logs_out_is_out(house):
    one = house.logged_in()
    cookie = dict(one.cookies)
    assert one.post("/logout", csrf=one.get("/account").csrf).headers["Location"] == "/login"
    assert "orchard" not in one.cookies
    one.cookies = cookie
    assert one.get("/account").headers["Location"] == "/login"


def test_a_second_factor_is_set_up_asked_for_and_replaces_the_session(house, browser):
    name = house.person(AccessLevel.OWNER)
    browser.log_in(name)
    before = browser.cookies["orchard"]
    shown = browser.post("/login/enrol", csrf=browser.get("/login/enrol").csrf)
    assert "<svg" in shown.text
    totp = pyotp.TOTP(re.search(r'<pre class="wrap">([A-Z2-7]+)</pre>', shown.text)[1])
    wrong = browser.post("/login/enrol/confirm", csrf=shown.csrf, code="000000")
    assert "or begin anew" in wrong.text  # there are no recovery codes yet
    assert wrong.status == 403
    done = browser.post("/login/enrol/confirm", csrf=shown.csrf, code=totp.now())
    codes = _codes(done)
    assert len(codes) == 10
    assert browser.cookies["orchard"] != before
    again = house.browser()
    assert again.log_in(name).headers["Location"] == "/login/code"
    half = again.cookies["orchard"]
    assert again.get("/account").headers["Location"] == "/login/code"
    refused = again.call("GET", "/sessions")
    assert (refused.status, refused.json["slug"]) == (401, "not_logged_in")
    assert again.post("/login/code", csrf=again.get("/login/code").csrf, code="000000").status == 403
    passed = again.post(
        "/login/code", csrf=again.get("/login/code").csrf, code=totp.at(int(time.time()) + NEXT)
    )
    assert (passed.status, passed.headers["Location"]) == (303, "/")
    assert again.cookies["orchard"] != half
    assert again.call("GET", "/users").status == 200
    third = house.browser()
    third.log_in(name)
    by_recovery = {"csrf": third.get("/login/code").csrf, "code": codes[0]}
    assert third.post("/login/code", **by_recovery).status == 303
    fourth = house.browser()
    fourth.log_in(name)
    assert fourth.post("/login/code", csrf=fourth.get("/login/code").csrf, code=codes[0]).status == 403


def test_somebody_with_half_a_session_cannot_give_themselves_a_second_factor(house):
    name = house.person()
    first = house.browser()
    first.log_in(name)
    first.enrol()
    thief = house.browser()
    thief.log_in(name)
    assert thief.get("/login/enrol").headers["Location"] == "/login/code"
    csrf = thief.get("/login/code").csrf
    assert "have a second factor already" in thief.post("/login/enrol", csrf=csrf).text
    for path, fields in (
        ("/account/second-factor", {"do": "remove", "code": "000000"}),
        ("/account/password", {"old": PASSWORD, "new": "x" * 20, "again": "x" * 20}),
        ("/account/tokens", {"name": "x", "days": "3", "scope-read": "on"}),
        ("/account/sessions", {"id": "others"}),
    ):
        assert thief.post(path, csrf=csrf, **fields).headers["Location"] == "/login/code"


def test_where_everybody_needs_one_it_comes_before_everything(house, monkeypatch):
    configuration = house.runtime.configuration()
    asking = configuration.settings.global_.security.model_copy(update={"require_2fa": True})
    monkeypatch.setitem(configuration.settings.global_.__dict__, "security", asking)
    with house.serving() as port:
        browser = house.browser()
        browser.port = port
        assert browser.log_in(house.person()).headers["Location"] == "/login/enrol"
        assert browser.get("/account").headers["Location"] == "/login/enrol"
        assert browser.call("GET", "/sessions").status == 401
        _, done = browser.enrol()
        assert len(_codes(done)) == 10
        page = browser.get("/account")
        assert page.status == 200
        assert "Switch it off" not in page.text


def test_a_second_factor_is_switched_off_with_a_code_of_it(house):
    one = house.logged_in()
    totp, _ = one.enrol()
    csrf = one.get("/account").csrf
    assert one.post("/account/second-factor", csrf=csrf, do="remove", code="000000").status == 403
    code = totp.at(int(time.time()) + NEXT)
    assert one.post("/account/second-factor", csrf=csrf, do="remove", code=code).status == 303
    assert "Set it up" in one.get("/account").text


def test_a_new_password_ends_all_other_sessions(house):
    name = house.person()
    one, other = house.browser(), house.browser()
    one.log_in(name)
    other.log_in(name)
    fresh = "quinces, pears and medlars"
    fields = {"csrf": one.get("/account").csrf, "old": PASSWORD, "new": fresh}
    assert "not the same twice" in one.post("/account/password", **fields, again="else").text
    assert (
        "present password is wrong"
        in one.post("/account/password", **{**fields, "old": "x"}, again=fresh).text
    )
    assert "Your password is changed" in one.post("/account/password", **fields, again=fresh).text
    assert one.get("/account").status == 200
    assert other.get("/account").headers["Location"] == "/login"
    assert house.browser().log_in(name).status == 403
    assert house.browser().log_in(name, fresh).status == 303


def test_own_sessions_are_listed_and_ended_but_nobody_elses(house):
    name = house.person()
    one, other = house.browser(), house.browser()
    one.log_in(name)
    other.log_in(name)
    ids = [each["id"] for each in other.call("GET", "/sessions").json if each["this"]]
    stranger = house.logged_in()
    assert (
        "There is no such session."
        in stranger.post("/account/sessions", csrf=stranger.get("/account").csrf, id=ids[0]).text
    )
    assert one.post("/account/sessions", csrf=one.get("/account").csrf, id=ids[0]).status == 303
    assert other.get("/account").headers["Location"] == "/login"
    assert one.get("/account").status == 200


def test_a_token_is_made_shown_once_used_and_revoked(house):
    one = house.logged_in()
    made = one.post(
        "/account/tokens",
        **{"csrf": one.get("/account").csrf, "name": "my <ci>", "days": "3", "scope-read": "on"},
    )
    token = re.search(r'<pre class="wrap">([^<]+)</pre>', made.text)[1]
    assert "my &lt;ci&gt;" in made.text
    program = house.browser()
    program.headers = {"Authorization": f"Bearer {token}"}
    assert program.call("GET", "/whoami").json["scopes"] == ["read"]
    page = one.get("/account")
    assert token not in page.text
    token_id = one.call("GET", "/tokens").json[0]["id"]
    assert one.post("/account/tokens/revoke", csrf=page.csrf, id=token_id).status == 303
    assert program.call("GET", "/whoami").status == 401


def test_a_token_that_cannot_be_is_told_why(house):
    one = house.logged_in()
    csrf = one.get("/account").csrf
    assert "needs a scope" in one.post("/account/tokens", csrf=csrf, name="x", days="3").text
    tick = {"scope-read": "on", "csrf": csrf, "name": "x"}
    assert "cannot last" in one.post("/account/tokens", **tick, days="9999999").text
    assert one.post("/account/tokens", **tick, days="3", projects="nowhere").status == 404


def test_what_happened_stands_in_the_audit_log(house, operator):
    name = house.person()
    browser = house.browser()
    browser.log_in(name, "wrong")
    browser.log_in(name)
    log = operator.call("GET", "/audit/export").text
    about = [line for line in log.splitlines() if f"user:{name}" in line]
    assert any("login.refused" in line or "login_failed" in line for line in about)
    assert any('"login.made"' in line for line in about)
    assert PASSWORD not in log
