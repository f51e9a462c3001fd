"""What a project may be called: the name becomes a folder, a git branch and a Discord channel."""

from __future__ import annotations

import re
import unicodedata

from core.ids import PROJECT_NAME

_LONGEST = 40


def name_problem(name: str) -> str | None:
    """Why `name` cannot be a project's name, as a sentence, or None when it can."""
    if not name:
        return "is empty"
    if len(name) > _LONGEST:
        return f"has {len(name)} characters, more than {_LONGEST}"
    if not PROJECT_NAME.fullmatch(name):
        return "may hold only a-z, 0-9, '.', '_' and '-', and starts with a letter or digit"
    if ".." in name:
        return "may not hold '..', which git refuses in a branch name"
    return None


def suggest_name(text: str) -> str:
    """The nearest allowed name: `My Shop!` gives `my-shop`; `project` when nothing of the text is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9._-]+", "-", plain.lower())
    slug = re.sub(r"\.{2,}", ".", re.sub(r"-{2,}", "-", slug)).lstrip("._-")
    return slug[:_LONGEST].rstrip("._-") or "project"
