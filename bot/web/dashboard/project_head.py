"""The head of a project's pages: its name, its state, its tabs."""

from __future__ import annotations

from bot.web.dashboard.markup import drawn
from bot.web.dashboard.shell import Parts, heading_parts
from bot.web.dashboard.views.overview import Row


def project_head(row: Row, here: str) -> Parts:
    """`here`: the path of the page that is open."""
    begin = f"/projects/{row.name}"
    tabs = (
        ("Board", begin),
        ("Charts", f"{begin}/charts"),
        ("Settings", f"{begin}/settings"),
    )
    crumbs = (("Overview", "/"),)
    return {
        **heading_parts(row.name, crumbs=crumbs, sign=row.sign, word=row.word),
        "tabs": drawn("tabs", project=row.name, tabs=tabs, here=here),
    }
