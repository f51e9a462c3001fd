"""Pages out of templates (everything that is filled in is escaped), and the few files beside them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import segno
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bot.web.problem import Problem

_HERE = Path(__file__).parent
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Exactly these are served, out of memory: no path of a request ever reaches the disk.
STATIC_FILES = ("orchard.css", "orchard.svg", "dashboard.css", "dashboard.js", "guild.css")


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


_templates = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
)
_templates.filters["day"] = _day
_EMPTY = {"user": "", "csrf": "", "problem": None, "note": ""}


def page(name: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response:
    text = _templates.get_template(f"{name}.html").render({**_EMPTY, **values})
    return HTMLResponse(text, status_code=status, headers=headers)


def problem_page(problem: Problem) -> Response:
    return page("error", status=problem.status, headers=dict(problem.headers), problem=problem)


def go(path: str) -> Response:
    """Elsewhere, by GET, whatever this was."""
    return RedirectResponse(path, status_code=303)


def wants_page(request: Request) -> bool:
    """Whether a person in a browser asked, rather than a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def picture_of(address: str) -> Markup:
    """The QR code of an address, as SVG without styles (which our policy for pages forbids)."""
    code = segno.make(address, error="m", micro=False)
    return Markup(code.svg_inline(scale=4, border=2, omitsize=True, svgclass=None, lineclass=None))  # noqa: S704


def static_files() -> dict[str, tuple[bytes, str]]:
    """By name: the bytes, the type."""
    found = {name: _HERE / "static" / name for name in STATIC_FILES}
    return {name: (path.read_bytes(), _KINDS[path.suffix]) for name, path in found.items()}
