"""The dashboard in a real browser: who comes in, and how; what happens shows by itself to all who look.

One Orchard serves them all: each test has people, stories or projects of its own where it changes something.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect

from core.domain.access import AccessLevel
from tests.browser.grounds import PHONE, PHONE_WIDTH, Grounds
from tests.integration.discord.house import User, honest

PATHS = (
    "/",
    "/questions",
    "/projects/shop",
    "/projects/shop/charts",
    "/projects/shop/settings",
    "/projects/shop/stories/shop-1",
    "/dependencies",
    "/resources",
    "/alerts",
    "/insights",
    "/audit",
    "/users",
)

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def people(orchard: Grounds) -> dict[str, pyotp.TOTP]:
    """`owner` with a second factor, `viewer` without, who each log in once for all tests."""
    factors = {}
    for name, level in (("owner", AccessLevel.OWNER), ("viewer", AccessLevel.VIEWER)):
        orchard.create(name, level)
        page = _stranger(orchard)
        orchard.enter(page, name)
        expect(page).not_to_have_url(re.compile("/login$"))
        if level is AccessLevel.OWNER:
            factors[name] = orchard.enrol(page)
            expect(page.get_by_role("heading", level=1)).to_contain_text("account", ignore_case=True)
            orchard.photograph(page, "account")
        orchard.keep(name, page)
    orchard.close_contexts()
    return factors


def _stranger(orchard: Grounds, *expected: str, **more: Any) -> Page:
    """A browser of somebody who is not logged in; `expected`: parts of what it may complain of."""
    context, watch = orchard.context(**more)
    watch.expected += expected
    return context.new_page()


@pytest.fixture
def alice(orchard: Grounds) -> User:
    """In Discord."""
    return orchard.do(orchard.house.moves_in("alice", "shop"))


@pytest.fixture
def bob(orchard: Grounds) -> User:
    """Likewise, of another project."""
    return orchard.do(orchard.house.moves_in("bob", "bank"))


@pytest.mark.usefixtures("people")
def test_a_story_goes_through_its_phases_live_and_its_question_is_settled_everywhere(
    orchard: Grounds, alice: User
) -> None:
    board, theirs = orchard.page("owner", "/projects/shop"), orchard.page("viewer")
    expect(board.get_by_role("heading", name="shop")).to_be_visible()
    expect(theirs.get_by_role("heading", name="Overview")).to_be_visible()
    orchard.do(alice.begins("Sell apples"))
    row = theirs.get_by_role("row").filter(has_text="shop")
    expect(row.get_by_text("Sell apples").first).to_be_visible()
    card = board.get_by_role("link", name="Sell apples").first
    expect(card).to_be_visible()
    card.click()
    theirs.goto("/projects/shop/stories/shop-1")
    for page in (board, theirs):
        expect(page.get_by_role("heading", name="Sell apples")).to_be_visible()
    for phase, named in (("test_red", "red test"), ("code_green", "green code")):
        for page in (board, theirs):
            expect(page.locator("[aria-current=step]")).to_contain_text(named)
            said = page.get_by_role("list", name="Transcript").get_by_text(f"About apple: {phase}.")
            expect(said.first).to_be_visible()
        orchard.photograph(board, f"story-{phase}")
        expect(theirs.locator(".controls")).to_have_count(0)  # they may only look
        board.locator(".controls summary").get_by_text("Tell the agent").click()
        field = board.get_by_label("What the agent should know or do")
        field.fill("Go on.")
        field.press("Tab")
        board.keyboard.press("Enter")
        expect(board.get_by_text("The agent is told.").first).to_be_visible()

    # It asks: the whole change is there for who may answer, and for who may only look.
    asked = orchard.do(alice.sees("shop-1", button="Approve"))
    for page in (board, theirs):
        question = page.locator("section.question")
        expect(question.get_by_text("apple.txt").first).to_be_visible()
    expect(theirs.locator("section.question").get_by_role("button")).to_have_count(0)
    orchard.photograph(board, "story-question")
    board.locator("section.question").get_by_role("button", name="Approve").click()
    for page in (board, theirs):
        expect(page.locator("section.question")).to_contain_text("approved by")
        expect(page.locator("section.question").get_by_role("button")).to_have_count(0)
    settled = orchard.do(alice.again(asked, "Approved"))
    assert settled.labels == []
    for page in (board, theirs):
        expect(page.locator("main").get_by_text("done", exact=True).first).to_be_visible()
    orchard.photograph(theirs, "story-done")


@pytest.mark.usefixtures("people")
def test_what_is_answered_in_discord_leaves_every_open_page(orchard: Grounds, bob: User) -> None:
    mine, theirs = orchard.page("owner", "/questions"), orchard.page("viewer")
    expect(mine.get_by_role("heading", name="Questions")).to_be_visible()
    expect(mine.locator("section.question")).to_have_count(0)
    orchard.house.play({"Sell plums": honest("plum")})
    [story] = orchard.do(bob.begins("Sell plums"))
    asked = orchard.do(bob.sees(story, button="Approve"))
    expect(mine.locator("section.question")).to_contain_text(story)
    expect(theirs.get_by_role("heading", name="Waiting for an answer")).to_be_visible()
    orchard.do(bob.changes(asked, "Approve", "**Approved** by"))
    expect(mine.locator("section.question")).to_have_count(0)
    expect(theirs.get_by_role("heading", name="Waiting for an answer")).to_have_count(0)


@pytest.mark.usefixtures("people")
def test_a_page_that_lost_the_network_shows_what_is_true_when_it_is_back(orchard: Grounds) -> None:
    context, watch = orchard.context("owner")
    watch.expected += ["WebSocket", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "ERR_SOCKET"]
    page = context.new_page()
    page.goto(orchard.url(port=orchard.wire.port))
    row = page.get_by_role("row").filter(has_text="park")
    expect(row.get_by_text("nothing to do").first).to_be_visible()
    page.evaluate("window.same = true")
    orchard.do(orchard.wire.lose())
    orchard.do(orchard.runtime.commands.stop_project("park", actor="cli"))
    orchard.do(orchard.wire.regain())
    expect(row.get_by_text("paused").first).to_be_visible()
    assert page.evaluate("window.same"), "it was loaded anew"
    orchard.do(orchard.runtime.commands.start_project("park", actor="cli"))
    expect(row.get_by_text("nothing to do").first).to_be_visible()


@pytest.mark.usefixtures("people")
def test_the_keyboard_is_enough(orchard: Grounds) -> None:
    page = orchard.page("viewer")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    _press_at_once(page, "g", "p")  # a moment apart they are two keys, not one way
    expect(page).to_have_url(re.compile("/dependencies$"))
    expect(page.get_by_role("heading", name="Dependencies")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("dialog", name="Search")).to_be_visible()
    # Both before the browser draws again: the field that was closed has the focus still.
    _press_at_once(page, "Escape", "?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("park")
    expect(page.locator("#palette .chosen")).to_contain_text("park")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/projects/park$"))


def _press_at_once(page: Page, *keys: str) -> None:
    """However busy the machine is between two keys."""
    page.evaluate(
        """keys => { for (const key of keys)
            document.activeElement.dispatchEvent(
                new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true })) }""",
        list(keys),
    )


@pytest.mark.usefixtures("people")
def test_on_a_phone_the_menu_opens_and_closes(orchard: Grounds) -> None:
    page = orchard.page("viewer", **PHONE)
    link = page.get_by_role("link", name="Alerts")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(link).not_to_be_in_viewport()
    page.locator("[data-menu]").tap()
    expect(link).to_be_in_viewport()
    link.tap()
    expect(page.get_by_role("heading", name="Alerts", level=1)).to_be_visible()


@pytest.mark.usefixtures("people")
def test_no_page_has_a_serious_finding_or_is_wider_than_a_phone(
    orchard: Grounds, axe: Callable[..., list[str]]
) -> None:
    """Light on a wide screen, then dark on a narrow one: the page follows without being loaded again."""
    page = orchard.page("owner", color_scheme="light")
    found = []
    for path in PATHS:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(path)
        expect(page.locator("main h1")).to_be_visible()
        name = path.strip("/").replace("/", "-") or "overview"
        orchard.photograph(page, f"{name}-light")
        found += [f"{path}: {finding}" for finding in axe(page)]
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
        orchard.photograph(page, f"{name}-phone-dark")
        found += [
            f"{path}: {finding}" for finding in axe(page, "color-contrast", "scrollable-region-focusable")
        ]
        if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
            found.append(f"{path}: wider than a phone")
    assert not found, "\n".join(dict.fromkeys(found))


def test_who_has_a_second_factor_needs_it_to_come_in(orchard: Grounds, people: dict[str, pyotp.TOTP]) -> None:
    page = _stranger(orchard, "403")  # of the wrong code
    orchard.enter(page, "owner")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_be_visible()
    orchard.photograph(page, "second-factor")
    page.goto("/")
    expect(page).to_have_url(re.compile("/login"))  # the password alone opens nothing
    # The code of now was used to set it up, and none counts twice: the next one.
    page.get_by_label("Code").fill(people["owner"].at(_now(orchard), counter_offset=1))
    page.get_by_role("button", name="Go on").click()
    expect(page).not_to_have_url(re.compile("/login"))
    page.goto("/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def _now(orchard: Grounds) -> float:
    return orchard.runtime.clock.now().timestamp()


def test_a_wrong_password_is_told_and_a_stranger_sees_no_page(orchard: Grounds) -> None:
    orchard.create("bea")
    page = _stranger(orchard, "401", "403")
    page.goto("/")
    expect(page).to_have_url(re.compile("/login"))
    orchard.enter(page, "bea", "not the password")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_role("heading", name="Overview")).to_have_count(0)


def test_the_pages_of_the_login_have_no_serious_finding_on_a_phone_and_who_logs_out_is_out(
    orchard: Grounds, axe: Callable[..., list[str]]
) -> None:
    """Light, then dark: the same page in other colours."""
    orchard.create("cleo")
    # A socket is closed to who is not logged in any more.
    page = _stranger(orchard, "WebSocket", color_scheme="light", **PHONE)
    other = page.context.new_page()
    page.goto("/login")
    found = _findings(page, axe)
    orchard.enter(page, "cleo")
    expect(page).not_to_have_url(re.compile("/login"))
    for path in ("/login/enrol", "/account"):
        page.goto(path)
        found += _findings(page, axe)
        orchard.photograph(page, f"{path.strip('/').replace('/', '-')}-phone")
    assert not found, "\n".join(found)
    other.goto("/")
    expect(other.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"))
    other.reload()
    expect(other).to_have_url(re.compile("/login"))


def _findings(page: Page, axe: Callable[..., list[str]]) -> list[str]:
    page.emulate_media(color_scheme="light")
    found = axe(page)
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {one}" for one in axe(page, "color-contrast")]
    wide = not page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return [f"{page.url}: {one}" for one in found] + ([f"{page.url} is wider than a phone"] if wide else [])
