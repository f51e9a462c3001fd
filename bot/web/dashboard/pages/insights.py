"""What all projects' gates add up to."""

from __future__ import annotations

from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import Parts, barred, heading, show
from core.domain.insights import Insights
from core.security.access import EVERY_PROJECT, Action


def parts(figures: Insights, viewer: Viewer) -> Parts:
    if not viewer.may(Action.SEE_INSIGHTS):
        return {"insights": barred()}
    projects = [one for one in figures.projects if viewer.sees(one.project)]
    whole = viewer.sees(EVERY_PROJECT)
    return {"insights": drawn("insights", figures=figures, projects=projects, whole=whole)}


async def build(viewer: Viewer) -> None:
    heading("Insights")
    view = View(name="insights", look=viewer.house.runtime.commands.insights, seconds=30)
    await show(viewer, view, lambda figures: parts(figures, viewer))
