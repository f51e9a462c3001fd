"""Coming in by a one-time link, and the files of a guild that is not there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.web.cookies import SESSION
from core.domain.access import AccessLevel


@pytest.fixture
def link(house):
    """Of a new user."""

    def make(level: AccessLevel = AccessLevel.OWNER) -> tuple[str, str]:
        name = house.person(level)
        entries = house.app.web.application.state.house.entries
        return name, house.do(entries.make(name, timedelta(minutes=5)))

    return make


def test_a_link_shows_whom_it_lets_in_and_lets_them_in_once(house, link) -> None:
    name, token = link()
    browser, thief = house.browser(), house.browser()
    for _ in range(2):  # whoever only looks, such as a chat that draws a preview, does not use it up
        shown = browser.get(f"/enter?link={token}")
        assert (shown.status, SESSION in browser.cookies) == (200, False)
    assert name in shown.text
    came = browser.post("/enter", csrf=shown.csrf, link=token)
    assert (came.status, came.headers["Location"]) == (303, "/")
    assert browser.get("/api/whoami").json["name"] == f"user:{name}"
    assert thief.get(f"/enter?link={token}").status == 403
    back = browser.get(f"/enter?link={token}")  # whoever is in already is where the link led
    assert (back.status, back.headers["Location"]) == (303, "/")
    again = browser.post("/enter", csrf=shown.csrf, link=token)
    assert again.status == 403
    _, other = link()
    csrf = thief.get(f"/enter?link={other}").csrf
    assert "This link is over" in thief.post("/enter", csrf=csrf, link=token).text
    assert SESSION not in thief.cookies


def test_a_strangers_form_lets_nobody_in(house, link) -> None:
    """Or their page could have somebody work in a session that is not theirs."""
    _, token = link()
    browser = house.browser()
    assert browser.post("/enter", csrf="0" * 64, link=token).status == 403
    shown = browser.get(f"/enter?link={token}")
    browser.headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert browser.post("/enter", csrf=shown.csrf, link=token).status == 403
    browser.headers = {}
    assert browser.post("/enter", csrf=shown.csrf, link=token).status == 303


def test_a_session_of_before_is_over(house, link) -> None:
    _, token = link()
    browser = house.logged_in()
    old = dict(browser.cookies)
    browser.post("/enter", csrf=browser.get(f"/enter?link={token}").csrf, link=token)
    browser.cookies = old
    assert browser.get("/api/whoami").status == 401


@pytest.mark.parametrize("link_said", ["", "orce_made-up", "x" * 5000, "%00", "é"])
def test_what_is_no_link_is_told_so(house, link_said: str) -> None:
    from urllib.parse import quote

    refused = house.browser().get(f"/enter?link={quote(link_said)}")
    assert refused.status == 403
    assert "This link is over" in refused.text


def test_where_there_is_no_guild_there_are_no_files_of_it(house) -> None:
    assert house.logged_in().get("/guild/files/1/2/3").status == 404
    assert house.browser().get("/guild/files/1/2/3").status == 303
