"""Whose a page is while it is open: rights that go, sockets that name others, controls that ask."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from pathlib import Path

import pytest

import bot.web
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.views.controls import ACTIONS
from core.domain.access import AccessLevel
from core.domain.alert import AlertFact, Severity
from core.domain.approval import ApprovalState
from core.errors import NotAllowed
from core.orchestrator.commands import Commands
from core.security.access import RULES, Action, Scope
from core.security.passwords import Passwords
from core.security.requests import ACTION_OF
from core.security.users import Users
from core.store import alerts

TEMPLATES = Path(bot.web.__file__).parent / "templates/dashboard"
USERS = ("create_user", "set_level", "disable", "enable", "grant_project_access")
IN_THE_GUILD = {"choose", "dismiss", "open", "press", "rooms", "submit"}


@pytest.fixture(scope="module")
def owner(house):
    return house.operator()


@pytest.fixture
def alert(house):
    def make(project, rule="rights"):
        def begin(tx):
            made = alerts.begin(
                tx,
                rule=rule,
                project=project,
                severity=Severity.WARNING,
                summary=f"Seen of {project or 'the machine'}.",
                hint="Look.",
                value=9.0,
                count=1,
                worst="",
                routes=(),
            )
            return alerts.move(tx, made, AlertFact.BREACHED, by="orchard")

        return house.do(house.runtime.store.write(begin))

    return make


def live(house):
    return house.app.web.application.state.door.live


def row(users, name):
    """Of that user, in the table of all that other tests made, too; "" where it does not show them yet."""
    rows = users.parts["users"].split("<tr ")
    return next((one for one in rows if one.startswith(f'data-key="{name}"')), "")


async def grant(house, name, level):
    await Users(house.runtime.store, Passwords()).grant_project_access(name, "shop", level)


async def test_who_lost_a_project_is_shown_nothing_more_of_it(house, opened):
    browser = await asyncio.to_thread(
        partial(house.logged_in, None, shop=AccessLevel.VIEWER, bank=AccessLevel.VIEWER)
    )
    name = (await asyncio.to_thread(browser.get, "/api/whoami")).json["name"].removeprefix("user:")
    async with opened(browser, "/projects/shop") as page, opened(browser, "/") as overview:
        went: list[str] = []
        page.socket.on("open", lambda data: (went.append(data["path"]), page.news.set()))
        await asyncio.to_thread(house.do, live(house).look_at_rights())
        assert went == []
        await asyncio.to_thread(house.do, grant(house, name, None))
        await asyncio.to_thread(house.do, live(house).look_at_rights())
        await page.until(lambda: went == ["/projects/shop"])
        sent = page.patches
        add = house.runtime.commands.add_story
        story = await asyncio.to_thread(house.do, add("shop", "Hidden from now on", actor="cli"))
        house.loop.call_soon_threadsafe(live(house).nudge, "overview")
        await overview.until(lambda: "row shop" not in overview.parts)
        assert page.patches == sent
        assert "Hidden from now on" not in page.shown
    refused = await asyncio.to_thread(browser.get, f"/projects/shop/stories/{story.id}")
    assert refused.status == 403


async def test_levels_are_given_and_taken_on_the_page_and_count_at_once(house, owner, opened):
    browser = await asyncio.to_thread(partial(house.logged_in, None, shop=AccessLevel.VIEWER))
    name = (await asyncio.to_thread(browser.get, "/api/whoami")).json["name"].removeprefix("user:")
    async with (
        opened(owner, "/users") as users,
        opened(browser, "/") as overview,
        opened(browser, "/projects/shop") as page,
    ):
        went: list[str] = []
        page.socket.on("open", lambda data: (went.append(data["path"]), page.news.set()))
        said = {"do": "grant", "user": name, "project": "bank", "level": "viewer"}
        await users.do(**said)
        await users.until(lambda: any("Say that it is meant" in code for code in users.javascript))
        assert "row bank" not in overview.parts
        await users.do(**said, sure="yes")
        await overview.until(lambda: "row bank" in overview.parts)
        await users.until(lambda: "bank: viewer" in row(users, name))
        await users.do(**(said | {"project": "shop", "level": "none"}), sure="yes")
        await page.until(lambda: went == ["/projects/shop"])
        await overview.until(lambda: "row shop" not in overview.parts)
    rows = (await asyncio.to_thread(owner.call, "GET", "/audit?limit=500")).json
    told = {(row["kind"], row["project"]) for row in rows if row["subject"].removeprefix("user:") == name}
    assert told >= {("access_granted", "bank"), ("access_revoked", "shop")}


async def test_who_may_not_give_levels_gives_none(house, opened):
    admin = await asyncio.to_thread(house.operator, AccessLevel.ADMIN)
    name = await asyncio.to_thread(house.person)
    async with opened(admin, "/users") as users:
        said = {"do": "grant", "user": name, "project": "shop", "level": "owner", "sure": "yes"}
        await users.do(**said)
        await users.until(lambda: any("it is above yours" in code for code in users.javascript))
        await users.until(lambda: row(users, name))
        assert "shop: owner" not in row(users, name)


async def test_a_socket_speaks_for_its_own_page_alone(house, owner, opened, question):
    asked = await asyncio.to_thread(question, "shop")
    stranger = await asyncio.to_thread(partial(house.logged_in, None, bank=AccessLevel.VIEWER))
    async with opened(owner, "/questions") as page, opened(stranger, "/questions") as other:
        await page.until(lambda: asked.id in page.parts)
        said = json.dumps({"do": "answer", "id": asked.id, "answer": "approve", "reason": ""})
        for number, element in page.elements.items():
            for listener in element.get("events", []):
                forged = {"id": int(number), "client_id": page.client_id, "args": [said]}
                await other.socket.emit("event", forged | {"listener_id": listener["listener_id"]})
        for said in (None, 7, [], {}, {"client_id": []}, {"client_id": other.client_id, "id": {}, "args": 1}):
            await other.socket.emit("event", said)
        await other.socket.emit("log", {"client_id": other.client_id, "level": "error", "message": "\x1b[2J"})
        await other.do(do="search", text="shop")  # in the order in which it was said
        await other.until(lambda: any("free()" in code for code in other.javascript))
    kept = await asyncio.to_thread(house.do, house.runtime.commands.approval(asked.id))
    assert kept.state is ApprovalState.PENDING


def test_what_no_file_has_makes_no_page_for_strangers(house, owner):
    assert owner.get("/").status == 200
    import nicegui

    before = set(nicegui.Client.instances)
    for path in ("/_nicegui/x", "/_nicegui/9.9/none.js", "/_nicegui/%2e%2e/projects/shop"):
        answer = house.browser().get(path)
        assert (answer.status, answer.body) == (404, b"Not found")
    assert set(nicegui.Client.instances) <= before


def test_alerts_of_the_machine_and_others_rules_are_for_who_sees_everything(house, owner, look, alert):
    made, own, others = alert(None), alert("shop"), alert("bank")
    everything = look(owner, "/alerts")
    assert all(one.id in everything.shown for one in (made, own, others))
    page = look(house.logged_in(None, shop=AccessLevel.CONTRIBUTOR), "/alerts")
    assert own.id in page.shown
    assert made.id not in page.shown
    assert others.id not in page.shown
    assert "bank" not in page.shown


async def test_every_control_asks_before_it_does_anything(house, owner, opened, question, alert, monkeypatch):
    """Whatever the templates can say is said to whatever on a page hears it."""
    asked, told = await asyncio.to_thread(question, "shop"), await asyncio.to_thread(alert, "shop", "walk")
    name = await asyncio.to_thread(house.person)
    text = "".join(path.read_text() for path in TEMPLATES.rglob("*.html"))
    verbs = {*re.findall(r'data-do="(\w+)"', text), "disable", "enable", *ACTIONS} - IN_THE_GUILD
    assert len(verbs) >= 11
    said = {"id": asked.id, "answer": "approve", "alert": told.id, "hours": "1", "user": name}
    said |= {"project": "shop", "sure": "yes"}
    said |= {"level": "owner", "username": "eve", "email": "eve@example.org", "password": "x" * 20}
    done, wanted, refuse = [], [], True
    real = Viewer.admit

    def recorder(called):
        async def record(*_args, **_more):
            done.append(called)
            raise NotAllowed("It is only a walk.")

        return record

    async def admit(self, action, project=None):
        wanted.append(action)
        if refuse:
            raise NotAllowed("No.")
        return await real(self, action, project)

    changing = [name for name, action in ACTION_OF.items() if RULES[action].scope is not Scope.READ]
    reading = {"audit_latest", "audit_page", "users", "secret_names"}  # of operators
    for method in set(changing) - reading:
        monkeypatch.setattr(Commands, method, recorder(method))
    for method in USERS:
        monkeypatch.setattr(Users, method, recorder(method))
    monkeypatch.setattr(Viewer, "admit", admit)

    async def walk():
        for path in ("/", "/questions", "/projects/shop", f"/projects/shop/stories/{asked.story_id}",
                     "/dependencies", "/resources", "/alerts", "/insights", "/audit", "/users"):  # fmt: skip
            async with opened(owner, path) as page:
                sent = 0
                for number, element in page.elements.items():
                    for listener in (one for one in element.get("events", []) if one["type"] == "do"):
                        for verb in sorted(verbs):
                            message = {"id": int(number), "client_id": page.client_id}
                            message |= {"args": [json.dumps({"do": verb, **said})]}
                            message |= {"listener_id": listener["listener_id"]}
                            await page.socket.emit("event", message)
                            sent += 1
                await page.until(lambda: sum("free()" in code for code in page.javascript) >= sent)  # noqa: B023

    await walk()
    assert done == []
    assert {*wanted} == {
        Action.ANSWER_APPROVAL,
        Action.OPTIMIZE_RESOURCES,
        Action.ANSWER_ALERT,
        Action.SEE_AUDIT,
        Action.CREATE_USER,
        Action.SET_LEVEL,
        Action.DISABLE_USER,
        Action.GRANT_PROJECT_ACCESS,
        *ACTIONS.values(),
    }
    refuse = False
    await walk()  # and it reaches what it says that it would
    expected = {"answer_approval", "acknowledge_alert", "silence_alert", "unsilence_alert", "optimize"}
    expected |= {"steer_story", "stop_story", "start_project", "plan_sprint"}
    assert {*done} >= expected | {*USERS}
