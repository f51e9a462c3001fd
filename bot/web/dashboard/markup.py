"""HTML out of the dashboard's templates: whatever is filled in is escaped, and is Markup only then.

What would hide or turn round what somebody reads (invisible and right-to-left marks) is spelled out.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bot.web.dashboard import words
from core.domain.untrusted import visible

_UNUSUAL = re.compile(r"[^\t\n -~]")  # most lines have none, and a diff has thousands of them


def _seen(value: Any) -> Any:
    if not isinstance(value, str) or isinstance(value, Markup) or not _UNUSUAL.search(value):
        return value
    return visible(value)


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    finalize=_seen,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _coded(text: str) -> Markup:
    """With what stands between backticks as code."""
    parts = re.split(r"`([^`\n]+)`", visible(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts)
    )


_templates.filters |= {
    "coded": _coded,
    "day": _day,
    "duration": words.duration,
    "money": words.money,
    "percent": words.percent,
    "size": words.size,
    "tidy": words.tidy,
    "plural": words.plural,
}


def drawn(template: str, **values: Any) -> Markup:
    """`template`: its name in templates/dashboard, without ".html". Raises UndefinedError for a value that it
    asks for and is not given."""
    text = _templates.get_template(f"dashboard/{template}.html").render(values)
    return Markup(text.strip())  # noqa: S704 - autoescaped
