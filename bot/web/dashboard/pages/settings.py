"""A project's settings as they are in force, and where each of them stands."""

from __future__ import annotations

from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.pages.project import row_now
from bot.web.dashboard.project_head import project_head
from bot.web.dashboard.shell import Parts, show
from bot.web.dashboard.views.overview import Row
from bot.web.dashboard.views.settings import Group, settings_of
from core.runtime import Runtime

Picture = tuple[Row, tuple[Group, ...]]


def settings_view(runtime: Runtime, name: str) -> View[Picture]:
    async def look() -> Picture:
        configuration = runtime.configuration()
        row = await row_now(runtime, name)
        settings = configuration.settings.projects.get(name)
        if settings is None:
            return row, ()
        later = configuration.not_in_force.get(name, ())
        return row, settings_of(settings, configuration.origins.get(name, {}), later)

    return View(name=f"settings {name}", look=look, seconds=10, wakes=lambda event: False)


async def build(viewer: Viewer) -> None:
    name = viewer.parts["project"].strip().lower()
    here = f"/projects/{name}/settings"

    def draw(picture: Picture) -> Parts:
        row, groups = picture
        parts = dict(project_head(row, here))
        if not groups:
            parts["none"] = drawn("none", title="Its settings cannot be used", text=row.why)
        for group in groups:
            if group.settings:
                parts[group.title] = drawn("settings_group", group=group)
        return parts

    await show(viewer, settings_view(viewer.house.runtime, name), draw)
