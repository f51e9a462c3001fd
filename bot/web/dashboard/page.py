"""Which pages the dashboard has, and who looks at one. NiceGUI is not imported here, only with the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.web.dashboard.live import Live
from bot.web.house import House
from bot.web.visitors import Visitor, admit
from core.security.access import RULES, Action, may, require
from core.security.logins import Missing, NotLoggedIn


class Viewer:
    """Whoever opened a page, with the rights that they have now; the page may stay open for days."""

    def __init__(self, house: House, live: Live, visitor: Visitor, parts: Mapping[str, str]) -> None:
        self.house = house
        self.live = live
        self.visitor = visitor
        self.parts = parts  # of the path: {"project": "shop"}

    @property
    def login_id(self) -> str:
        return self.visitor.own.login.id

    def sees(self, project: str) -> bool:
        return self.visitor.sees(project)

    def may(self, action: Action, project: str | None = None) -> bool:
        """To show or hide a control; what is done asks `admit`."""
        return may(action, self.visitor.asker, project).allowed

    async def refresh(self, *, active: bool = False) -> None:
        """Reads their rights anew. Raises NotLoggedIn when the session is over."""
        session = await self.house.logins.standing(self.login_id, active=active)
        if session.missing is not Missing.NOTHING:
            raise NotLoggedIn("You are not logged in any more.", hint="Log in.")
        self.visitor = replace(self.visitor, session=session, asker=session.asker)

    async def stay(self, page: Page) -> None:
        """Whether the page that they opened may be open still. Raises NotLoggedIn, NotAllowed."""
        await self.refresh()
        if not page.each:
            project = self.parts.get("project", "").strip().lower() if RULES[page.action].in_project else None
            require(page.action, self.visitor.asker, project)

    async def glance(self) -> None:
        """Before they are shown something that they ask for. Raises NotLoggedIn, TooManyTries."""
        await self.refresh(active=True)
        self.house.calls.call(self.visitor.asker.name, self.house.runtime.clock.monotonic())

    async def admit(self, action: Action, project: str | None = None) -> Visitor:
        """Before anything is done for them. Raises NotLoggedIn, NotAllowed, TooManyTries."""
        await self.glance()
        await admit(self.house, self.visitor, action, project)
        return self.visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`path` may name parts: /projects/{project}. `action`: what it takes to open it; of `each`: it leaves
    out what its viewer may not see. `module`: of bot.web.dashboard.pages, whose `build(viewer)` fills it
    inside of NiceGUI's page; it is imported with NiceGUI, when the first page is opened. `icon`: Material's
    name, "" for a page that is not in the menu; `key`: opens it after `g`."""

    path: str
    title: str
    action: Action
    module: str
    each: bool = False
    icon: str = ""
    key: str = ""


PAGES = (
    Page(
        path="/",
        title="Overview",
        action=Action.SEE_PROJECT,
        module="overview",
        each=True,
        icon="dashboard",
        key="o",
    ),
    Page(
        path="/questions",
        title="Questions",
        action=Action.ANSWER_APPROVAL,
        module="questions",
        each=True,
        icon="help",
        key="q",
    ),
    Page(path="/projects/{project}", title="Project", action=Action.SEE_PROJECT, module="project"),
    Page(path="/projects/{project}/charts", title="Charts", action=Action.SEE_PROJECT, module="charts"),
    Page(path="/projects/{project}/settings", title="Settings", action=Action.SEE_PROJECT, module="settings"),
    Page(
        path="/projects/{project}/stories/{story}", title="Story", action=Action.SEE_PROJECT, module="story"
    ),
    Page(
        path="/dependencies",
        title="Dependencies",
        action=Action.SEE_PROJECT,
        module="dependencies",
        each=True,
        icon="account_tree",
        key="p",
    ),
    Page(
        path="/resources",
        title="Resources",
        action=Action.SEE_RESOURCES,
        module="resources",
        icon="speed",
        key="r",
    ),
    Page(
        path="/alerts",
        title="Alerts",
        action=Action.SEE_ALERTS,
        module="alerts",
        each=True,
        icon="notifications",
        key="a",
    ),
    Page(
        path="/insights",
        title="Insights",
        action=Action.SEE_INSIGHTS,
        module="insights",
        icon="lightbulb",
        key="i",
    ),
    Page(
        path="/audit",
        title="Audit",
        action=Action.SEE_AUDIT,
        module="audit",
        icon="policy",
        key="l",
    ),
    Page(path="/users", title="Users", action=Action.SEE_USERS, module="users", icon="group", key="u"),
    Page(
        path="/guild",
        title="Local guild",
        action=Action.ENTER_GUILD,
        module="guild",
        icon="forum",
        key="d",
    ),
    Page(path="/guild/{room}", title="Local guild", action=Action.ENTER_GUILD, module="guild"),
)
"""In the menu's order."""
