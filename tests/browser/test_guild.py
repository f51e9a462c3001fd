"""The local guild in a real browser: somebody comes in by a link and works as if in Discord."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from core.domain.access import AccessLevel
from tests.browser.grounds import PHONE, PHONE_WIDTH, Grounds
from tests.integration.discord.house import User, honest

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def robin(orchard: Grounds) -> str:
    """Came in by a link, without a page: each that is drawn costs seconds."""
    name = orchard.create("robin", AccessLevel.OWNER)
    context, _ = orchard.context()
    path = _link(orchard, name)
    shown = context.request.get(path).text()
    [csrf] = re.findall(r'name="csrf" value="([0-9a-f]+)"', shown)
    form = {"csrf": csrf, "link": path.partition("=")[2]}
    entered = context.request.post("/enter", form=form, headers={"Origin": orchard.url("").rstrip("/")})
    assert entered.url == orchard.url("/guild")
    orchard.people[name] = context.storage_state()
    orchard.close_contexts()
    return name


def _link(orchard: Grounds, name: str) -> str:
    assert orchard.app.web is not None
    entries = orchard.app.web.application.state.house.entries
    return f"/enter?link={orchard.do(entries.make(name, timedelta(minutes=5)))}"


@pytest.fixture
def alice(orchard: Grounds) -> User:
    return orchard.do(orchard.house.moves_in("alice", "shop"))


def test_by_a_link_to_a_command_that_keys_complete(orchard: Grounds, axe: Callable[..., list[str]]) -> None:
    """As the demo prints one. The page has no serious finding, by day and by night."""
    link = _link(orchard, orchard.create("ann", AccessLevel.OWNER))
    context, _ = orchard.context(color_scheme="light")
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_text("as ann")).to_be_visible()
    page.get_by_role("button", name="Go in").click()
    expect(page).to_have_url(orchard.url("/guild"))
    expect(page.get_by_role("heading", name="#general")).to_be_visible()
    line = page.get_by_role("combobox")
    line.press_sequentially("/project_l")
    offers = page.get_by_role("listbox").get_by_role("option")
    expect(offers.first).to_contain_text("/project_list")
    expect(line).to_have_attribute("aria-expanded", "true")
    line.press("Tab")
    expect(line).to_have_value("/project_list ")
    line.press("Enter")
    expect(page.locator(".post").last).to_contain_text("ann used /project_list")
    expect(line).to_have_value("")
    line.fill("/nothing of the kind")
    line.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("There is no command /nothing")
    expect(line).to_have_value("/nothing of the kind")
    line.fill("<b>plain words</b>")
    line.press("Enter")
    expect(page.locator(".post").last).to_contain_text("<b>plain words</b>")
    _has_no_serious_finding(orchard, page, axe, "wide")


def test_a_question_is_rejected_by_a_form_and_approved_by_a_button(
    orchard: Grounds, robin: str, alice: User
) -> None:
    page = orchard.page(robin, "/guild")
    room = page.get_by_role("navigation", name="Channels").get_by_role("button", name="proj-shop")
    expect(room).to_be_visible()  # it came while nobody loaded the page anew
    room.click()
    expect(page.get_by_role("heading", name="#proj-shop")).to_be_visible()
    orchard.house.play({"Sell cherries": honest("cherry")})
    [story] = orchard.do(alice.begins("Sell cherries"))
    asks = page.locator(".post").filter(
        has_text=f"Merge {story}", has_not_text="Sprint 1"
    )  # whose board says it, too
    expect(asks.get_by_role("button", name="Approve")).to_be_visible()
    orchard.photograph(page, "guild-question")
    asks.get_by_role("button", name="Reject").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_role("heading", name="Reject")).to_be_visible()
    form.get_by_role("button", name="Cancel").click()
    expect(form).to_have_count(0)
    asks.get_by_role("button", name="Approve").click()
    expect(asks.get_by_role("button")).to_have_count(0)
    expect(asks).to_contain_text("Approved by @robin")
    page.locator(".post").get_by_role("button", name="Sell cherries").first.click()
    expect(page.get_by_role("heading", name=f"{story} Sell cherries")).to_be_visible()
    expect(page.locator(".posts")).to_contain_text("commit passed")
    page.reload()
    expect(page.get_by_role("heading", name=f"{story} Sell cherries")).to_be_visible()


def test_the_guild_fits_a_phone_and_is_used_by_touch(
    orchard: Grounds, robin: str, axe: Callable[..., list[str]]
) -> None:
    page = orchard.page(robin, "/guild", color_scheme="light", **PHONE)
    page.get_by_role("button", name="Channels").tap()
    expect(page.get_by_role("button", name="general")).to_be_visible()
    page.get_by_role("button", name="general").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_WIDTH
    page.get_by_role("combobox").fill("/project_l")
    page.get_by_role("option").first.tap()
    expect(page.get_by_role("combobox")).to_have_value("/project_list ")
    page.get_by_role("button", name="Send").tap()
    expect(page.locator(".post").last).to_contain_text("robin used /project_list")
    _has_no_serious_finding(orchard, page, axe, "phone")


def _has_no_serious_finding(orchard: Grounds, page: Page, axe: Callable[..., list[str]], width: str) -> None:
    expect(page.get_by_role("combobox")).to_have_value("")  # what was sent before has left it
    page.get_by_role("button", name="All commands").click()
    expect(page.get_by_role("option").first).to_be_visible()
    orchard.photograph(page, f"guild-{width}-light")
    found = axe(page)
    page.emulate_media(color_scheme="dark")  # the same page in other colours
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    orchard.photograph(page, f"guild-{width}-dark")
    found += [f"dark: {one}" for one in axe(page, "color-contrast")]
    assert not found, "\n".join(found)
