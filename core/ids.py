"""Names of rows. Stories read well to people (`shop-3`); everything else is a short random id."""

from __future__ import annotations

import re
import secrets

PROJECT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_STORY_ID = re.compile(r"(?P<project>[a-z0-9][a-z0-9._-]{0,39})-(?P<number>[1-9][0-9]{0,8})")


def new_id(kind: str) -> str:
    """A random id such as `approval_5f1c09a2b7d4`: 48 bits, safe in a button's custom id and a file name."""
    return f"{kind}_{secrets.token_hex(6)}"


def story_id(project: str, number: int) -> str:
    return f"{project}-{number}"


def epic_id(project: str, number: int) -> str:
    """No story's id has this form."""
    return f"{project}-e{number}"


def project_of(name: str) -> str:
    """`shop`, of the story `shop-3`, the epic `shop-e1` and the turn `shop-3.7`; "" of what has no dash.

    A project's name may have dashes and dots of its own; a number has no dash.
    """
    return name.rpartition("-")[0]


def branch_of(story: str) -> str:
    """The git branch on which a story's work is kept."""
    return f"orchard/{story}"


def parse_story_id(text: str) -> tuple[str, int] | None:
    """`shop-3` as `("shop", 3)`, or None when the text is no story id."""
    match = _STORY_ID.fullmatch(text.strip())
    return (match["project"], int(match["number"])) if match else None
