"""How the machine is shared between projects, by what limits are held, and sharing it anew."""

from __future__ import annotations

from bot.web.dashboard.fragments import Fragments, Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import Parts, act, barred, heading, show
from bot.web.dashboard.views import resources as shown
from core.ids import project_of
from core.orchestrator.resource_views import ResourcesView
from core.security.access import EVERY_PROJECT, Action

_NAME = "resources"


def parts(view: ResourcesView, viewer: Viewer) -> Parts:
    if not viewer.may(Action.SEE_RESOURCES):
        return {"resources": barred()}
    everything = viewer.sees(EVERY_PROJECT)
    html = drawn(
        "resources",
        view=view,
        total=shown.totals(view) if everything else (),
        problems=(*view.problems, *filter(None, (view.pressure,))) if everything else (),
        projects=shown.rows(view, viewer.sees),
        columns=shown.columns(),
        locks=shown.locks(view, lambda story: viewer.sees(project_of(story))),
        may_share=viewer.may(Action.OPTIMIZE_RESOURCES),
    )
    return {"resources": html}


async def build(viewer: Viewer) -> None:
    heading("Resources")
    commands = viewer.house.runtime.commands

    async def does(said: Said) -> None:
        async def share() -> str:
            visitor = await viewer.admit(Action.OPTIMIZE_RESOURCES)
            told = await commands.optimize(dry_run=said["do"] != "share", actor=visitor.asker.name)
            changes.show({"told": drawn("resources_shared", told=told)})
            return "Shared anew." if not told.dry_run else "Nothing was changed."

        await act(share)
        viewer.live.nudge(_NAME)

    changes = Fragments({})
    view = View(name=_NAME, look=commands.resources, seconds=3)
    await show(viewer, view, lambda picture: parts(picture, viewer), does=does)
