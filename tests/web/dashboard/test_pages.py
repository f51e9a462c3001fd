"""What the pages show, to whom; how they follow; what their controls do."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.access import AccessLevel
from core.domain.approval import ApprovalState


@pytest.fixture(scope="module")
def owner(house):
    return house.operator()


@pytest.fixture(scope="module")
def of_shop(house):
    """A contributor of one project, who sees no other."""
    return house.logged_in(None, shop=AccessLevel.CONTRIBUTOR)


def add(house, project, title, **more):
    return house.do(house.runtime.commands.add_story(project, title, actor="cli", **more))


def test_the_overview_has_every_project_and_says_what_is_not_known(owner, look):
    page = look(owner, "/")
    assert {"row shop", "row bank"} <= set(page.parts)
    assert "no data" in page.parts["row shop"]
    assert 'aria-current="page"' in page.parts["side"]


def test_somebody_of_one_project_sees_that_one_alone(house, of_shop, look, question):
    question("bank")
    question("shop")
    for path in ("/", "/questions"):
        page = look(of_shop, path)
        assert "shop" in page.shown
        assert "bank" not in page.shown, path
    for path in ("/projects/bank", "/projects/bank/charts", "/projects/bank/settings"):
        assert of_shop.get(path).status == 403, path


def test_a_story_is_only_there_under_its_own_project(house, of_shop, owner, look):
    story = add(house, "bank", "Count the coins")
    for browser in (of_shop, owner):
        page = look(browser, f"/projects/shop/stories/{story.id}")
        assert "Count the coins" not in page.shown
        assert "has no story" in page.shown
    assert "Count the coins" in look(owner, f"/projects/bank/stories/{story.id}").shown


def test_what_people_write_is_text(house, owner, look):
    title = "<img src=x onerror=alert(1)> `${alert(3)}`"
    story = add(house, "shop", title, body="</script><script>alert(2)</script>")
    for path in (f"/projects/shop/stories/{story.id}", "/projects/shop"):
        page = look(owner, path)
        assert "&lt;img src=x" in page.shown
        assert "<img src=x" not in page.text
        assert "${alert(3)}" in page.shown  # to the browser a text, in no script
        assert "${alert" not in page.text
        assert "<script>alert" not in page.shown + page.text


@pytest.mark.parametrize(
    "path",
    [
        "/projects/shop/charts?range=week",
        "/projects/shop/charts?range=%3Cnonsense%3E",
        "/projects/shop/settings",
        "/questions",
    ],
)
def test_every_page_has_its_heading_and_no_trouble(owner, look, path):
    page = look(owner, path)
    assert "<h1>" in page.parts["heading"]
    assert "trouble" not in page.parts


def test_settings_say_the_file_and_the_line(house, owner, look):
    page = look(owner, "/projects/shop/settings")
    assert "orch-config.yaml:" in page.parts["project"]
    assert "at their default" in page.shown


def test_what_is_not_there_is_said_on_the_page(owner, look):
    for path in ("/projects/nowhere", "/projects/shop/stories/shop-99999"):
        page = look(owner, path)
        assert 'role="alert"' in page.parts["trouble"], path


async def test_a_page_is_sent_what_changed_and_nothing_else(house, owner, opened):
    async with opened(owner, "/projects/shop") as page:
        before = dict(page.parts)
        await asyncio.to_thread(add, house, "shop", "Appears by itself")
        await page.until(lambda: "Appears by itself" in page.parts["backlog"])
        same = ("runs", "over", "person", "tabs")
        assert [page.parts[key] for key in same] == [before[key] for key in same]
        sent = "".join(code for code in page.javascript if "Appears by itself" in code)
        assert "column-over" not in sent


async def test_an_answer_given_on_one_page_settles_another(house, owner, opened, question):
    asked = await asyncio.to_thread(question, "shop")
    story = f"/projects/shop/stories/{asked.story_id}"
    async with opened(owner, "/questions") as first, opened(owner, story) as second:
        await second.until(lambda: 'value="approve"' in second.parts.get(asked.id, ""))
        await first.until(lambda: asked.id in first.parts)
        await first.do(do="answer", id=asked.id, answer="approve", reason="")
        await first.until(lambda: asked.id not in first.parts)
        await second.until(lambda: "approved" in second.parts[asked.id])
        assert 'value="approve"' not in second.parts[asked.id]
        # Whoever pressed may be told a moment after everybody sees it.
        await first.until(
            lambda: any("orchard.notice" in code and "Approved" in code for code in first.javascript)
        )


async def test_a_rejection_without_a_reason_is_refused_with_words(house, owner, opened, question):
    asked = await asyncio.to_thread(question, "shop")
    async with opened(owner, "/questions") as page:
        await page.do(do="answer", id=asked.id, answer="reject", reason=" ")
        await page.until(lambda: any("notice" in code and "reason" in code for code in page.javascript))
        await page.until(lambda: asked.id in page.parts)
        await page.do(do="answer", id=asked.id, answer="reject", reason="It is too wide.")
        await page.until(lambda: asked.id not in page.parts)
    kept = await asyncio.to_thread(house.do, house.runtime.commands.approval(asked.id))
    assert (kept.state, kept.reason) == (ApprovalState.REJECTED, "It is too wide.")


async def test_who_may_not_answer_gets_no_form_and_no_way_around(house, owner, opened, question, look):
    viewer = await asyncio.to_thread(house.logged_in, None, shop=AccessLevel.VIEWER)
    asked = await asyncio.to_thread(question, "shop")
    other = await asyncio.to_thread(question, "bank")
    async with opened(viewer, "/questions") as page:
        await page.until(lambda: asked.id in page.parts)
        assert "data-do" not in page.parts[asked.id]
        for number, element in page.elements.items():  # as a browser that does not keep to the page
            for listener in element.get("events", []):
                for name in (asked.id, other.id):
                    said = f'{{"do": "answer", "id": "{name}", "answer": "approve"}}'
                    message = {"id": int(number), "client_id": page.client_id, "args": [said]}
                    await page.socket.emit("event", message | {"listener_id": listener["listener_id"]})
        await page.until(lambda: sum("notice" in code for code in page.javascript) >= 2)
        said = [code for code in page.javascript if "notice" in code]
        assert any("may not answer" in code for code in said)
        assert all("May it?" not in code for code in said)
    for one in (asked, other):
        kept = await asyncio.to_thread(house.do, house.runtime.commands.approval(one.id))
        assert kept.state is ApprovalState.PENDING


async def test_nonsense_from_a_browser_is_nothing(house, owner, opened, question):
    asked = await asyncio.to_thread(question, "shop")
    async with opened(owner, "/questions") as page:
        for said in ({"do": 7}, {"do": "answer"}, {"do": "answer", "id": "x" * 30_000, "answer": "approve"}):
            await page.do(**said)
        await page.until(lambda: asked.id in page.parts)
        await page.do(do="answer", id=asked.id, answer="approve")
        await page.until(lambda: asked.id not in page.parts)


async def test_the_search_finds_what_its_viewer_may_see(house, of_shop, opened):
    await asyncio.to_thread(add, house, "shop", "Find the zebra")
    await asyncio.to_thread(add, house, "bank", "Hide the zebra")
    async with opened(of_shop, "/") as page:
        await page.do(do="search", text="zebra")
        await page.until(lambda: "zebra" in page.parts["palette"])
        assert "Find the zebra" in page.parts["palette"]
        assert "Hide the zebra" not in page.parts["palette"]


async def test_an_ended_session_is_led_to_the_log_in_and_told_nothing_more(house, opened):
    browser = await asyncio.to_thread(house.operator, AccessLevel.OWNER)
    live = house.app.web.application.state.door.live
    async with opened(browser, "/projects/shop") as page:
        went: list[str] = []
        page.socket.on("open", lambda data: (went.append(data["path"]), page.news.set()))
        await asyncio.to_thread(browser.post, "/logout", csrf=browser.get("/account").csrf)
        await asyncio.to_thread(house.do, live.look_at_rights())
        await page.until(lambda: went == ["/login"])
        sent = page.patches
        await asyncio.to_thread(add, house, "shop", "Not for you any more")
        async with opened(await asyncio.to_thread(house.operator), "/projects/shop") as other:
            await other.until(lambda: "Not for you any more" in other.shown)
        assert page.patches == sent
