"""Which stories wait for which, also across projects."""

from __future__ import annotations

from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import heading, show
from bot.web.dashboard.views.graph import graph_of


async def build(viewer: Viewer) -> None:
    heading("Dependencies")
    view = View(name="dependencies", look=viewer.house.runtime.commands.needs_graph, seconds=10)
    await show(viewer, view, lambda graph: {"graph": drawn("graph", graph=graph_of(graph, viewer.sees))})
