"""All projects at a glance: state, what runs, why it waits, share against entitlement, health, cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import Parts, heading, show
from bot.web.dashboard.views.overview import Meter, Overview, Row, overview
from bot.web.dashboard.words import tidy
from core.runtime import Runtime
from core.security.access import EVERY_PROJECT

# Of what is shown of the machine; of its processors that is the load, with what others run on it.
_LABELS = {"agents": "Agents", "cpu": "Load", "memory_mb": "Memory"}


def overview_view(runtime: Runtime) -> View[Overview]:
    commands = runtime.commands

    async def look() -> Overview:
        readings = runtime.monitoring.readings.latest("project_health")
        return overview(
            await commands.projects(),
            await commands.stories(at_work=True),
            await commands.approvals(),
            await commands.resources(),
            await commands.budgets(),
            {sample.project: sample.value for sample in readings if sample.project is not None},
            {name: str(error) for name, error in runtime.configuration().broken.items()},
        )

    return View(name="overview", look=look, seconds=3)


def seen(picture: Overview, viewer: Viewer) -> Overview:
    """Without what is of projects that the viewer may not see."""
    return replace(
        picture,
        rows=tuple(row for row in picture.rows if viewer.sees(row.name)),
        questions=tuple(one for one in picture.questions if viewer.sees(one.project)),
        meters=picture.meters if viewer.sees(EVERY_PROJECT) else (),
        troubles=tuple(one for one in picture.troubles if viewer.sees(one[0])),
    )


class Drawing:
    """Each row is drawn once, for all pages that show it."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Row, Markup]] = {}

    def row(self, row: Row) -> Markup:
        known = self._rows.get(row.name)
        if known is None or known[0] != row:
            known = self._rows[row.name] = (row, drawn("overview_row", row=row))
        return known[1]


_drawing = Drawing()


def facts(picture: Overview) -> Parts:
    rows = picture.rows
    today = [row.cost.today for row in rows if row.cost.today is not None]
    html = drawn(
        "overview_facts",
        running=sum(row.running for row in rows),
        waiting=sum(row.waiting for row in rows),
        blocked=sum(row.blocked for row in rows),
        meters=[_meter(one) for one in picture.meters if one.label in _LABELS],
        today=sum(today) if today else None,
    )
    parts = {
        f"trouble {name}": drawn("trouble", message=f"{name} cannot be used.", why=why, hint="")
        for name, why in picture.troubles
    }
    if picture.pressure:
        parts["pressure"] = drawn("trouble", message="No new starts now.", why=picture.pressure, hint="")
    parts["facts"] = html
    if picture.questions:
        parts["questions"] = drawn("overview_questions", questions=picture.questions)
    return parts


def _meter(one: Meter) -> dict[str, Any]:
    scale, unit = (1024, " GB") if one.label == "memory_mb" else (1, "")
    more = " processors" if one.label == "cpu" else unit
    share = one.used / one.limit if one.used is not None and one.limit else None
    return {
        "label": _LABELS[one.label],
        "used": one.used,
        "said": "" if one.used is None else f"{tidy(round(one.used / scale, 1))}{unit}",
        "of": "" if one.limit is None else f"{tidy(round(one.limit / scale, 1))}{more}",
        "share": share,
    }


def rows(picture: Overview) -> Parts:
    if not picture.rows:
        return {"none": drawn("overview_none")}
    return {"head": drawn("overview_head"), **{f"row {row.name}": _drawing.row(row) for row in picture.rows}}


async def build(viewer: Viewer) -> None:
    heading("Overview")
    view = overview_view(viewer.house.runtime)
    await show(viewer, view, lambda picture: facts(seen(picture, viewer)))
    table = await show(viewer, view, lambda picture: rows(seen(picture, viewer)))
    table.classes("rows").props('role="table" aria-label="Projects"')
