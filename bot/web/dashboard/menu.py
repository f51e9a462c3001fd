"""What the menu and the search offer, to each viewer what they may see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.web.dashboard import signs
from bot.web.dashboard.live import View
from core.domain.alert import AlertState, Severity
from core.ids import project_of
from core.orchestrator.commands import Commands
from core.orchestrator.views import StoryTitle
from core.security.access import EVERY_PROJECT, RULES

if TYPE_CHECKING:
    from bot.web.dashboard.page import Page, Viewer

_MOST_FOUND = 40  # stories that a search shows
_OPEN = (AlertState.FIRING,)


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuProject:
    name: str
    sign: str
    word: str
    questions: int
    here: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    projects: tuple[MenuProject, ...]
    alerts: tuple[tuple[str | None, Severity], ...]  # those that nobody has answered: of which project


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    title: str
    path: str
    icon: str
    key: str
    here: bool
    count: int = 0
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    title: str
    path: str
    about: str
    icon: str = ""
    sign: str = ""


def menu_view(commands: Commands) -> View[Menu]:
    async def look() -> Menu:
        views = await commands.projects()
        alerts = await commands.alerts(limit=200)
        return Menu(
            projects=tuple(
                MenuProject(
                    name=view.project.name,
                    sign=signs.of_project(view)[0],
                    word=signs.of_project(view)[1],
                    questions=view.pending_approvals,
                )
                for view in views
            ),
            alerts=tuple((alert.project, alert.severity) for alert in alerts if alert.state in _OPEN),
        )

    return View(name="menu", look=look, seconds=10)


def shown_projects(menu: Menu, sees: Callable[[str], bool], here: str) -> tuple[MenuProject, ...]:
    return tuple(
        MenuProject(
            name=one.name,
            sign=one.sign,
            word=one.word,
            questions=one.questions,
            here=here == f"/projects/{one.name}" or here.startswith(f"/projects/{one.name}/"),
        )
        for one in menu.projects
        if sees(one.name)
    )


def entries(menu: Menu, pages: Iterable[Page], viewer: Viewer, here: str) -> tuple[Entry, ...]:
    """The pages that have an icon and may be opened; those about what needs a person say how much."""
    found = []
    for page in pages:
        if not page.icon or "{" in page.path:
            continue
        if page.module == "guild" and viewer.house.guild is None:
            continue
        if not (page.each or RULES[page.action].in_project or viewer.may(page.action)):
            continue
        count, tone = _count(menu, page, viewer)
        found.append(
            Entry(
                title=page.title,
                path=page.path,
                icon=page.icon,
                key=page.key,
                here=page.path == here,
                count=count,
                tone=tone,
            )
        )
    return tuple(found)


def _count(menu: Menu, page: Page, viewer: Viewer) -> tuple[int, str]:
    if page.module == "questions":
        return sum(one.questions for one in menu.projects if viewer.sees(one.name)), "ask"
    if page.module == "alerts":
        seen = [grave for project, grave in menu.alerts if viewer.sees(project or EVERY_PROJECT)]
        return len(seen), "bad" if Severity.CRITICAL in seen else "ask"
    return 0, ""


def choices(
    menu: Menu, pages: Iterable[Page], viewer: Viewer, text: str, titles: Sequence[StoryTitle]
) -> tuple[Choice, ...]:
    """Pages and projects, and the stories whose number or title has each of the words."""
    found = [
        Choice(title=one.title, path=one.path, about="page", icon=one.icon)
        for one in entries(menu, pages, viewer, "")
    ]
    found += [
        Choice(title=one.name, path=f"/projects/{one.name}", about=one.word, sign=one.sign)
        for one in menu.projects
        if viewer.sees(one.name)
    ]
    words = text.lower().split()
    stories = 0
    for story in titles:
        project = project_of(story.id)
        said = f"{story.id} {story.title}".lower()
        if stories < _MOST_FOUND and all(word in said for word in words) and viewer.sees(project):
            stories += 1
            found.append(
                Choice(
                    title=f"{story.id}  {story.title}",
                    path=f"/projects/{project}/stories/{story.id}",
                    about=story.status.value,
                    sign=signs.STORY[story.status],
                )
            )
    return tuple(found)
