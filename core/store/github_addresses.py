"""Where stories can be looked at on GitHub: their issues, their pull requests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from core.domain.github import Address

_FOUND = """
    SELECT story_id, 'issue' AS what, number, url FROM github_issues
    WHERE story_id IN (SELECT value FROM json_each(:ids)) AND url <> ''
    UNION ALL
    SELECT story_id, 'pull request', number, url FROM pulls
    WHERE story_id IN (SELECT value FROM json_each(:ids)) AND number IS NOT NULL AND url <> ''
    ORDER BY 1, 2
"""


def of_stories(conn: sqlite3.Connection, ids: Sequence[str]) -> Mapping[str, tuple[Address, ...]]:
    """By story, the issue first; a story that is nowhere there is left out."""
    found: dict[str, tuple[Address, ...]] = {}
    for row in conn.execute(_FOUND, {"ids": json.dumps(list(ids))}):
        one = Address(what=row["what"], number=row["number"], url=row["url"])
        found[row["story_id"]] = (*found.get(row["story_id"], ()), one)
    return found
