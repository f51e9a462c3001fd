"""What Orchard writes into what it makes at GitHub, so that it knows it again. PURE.

    <!-- orchard:story shop-3 -->

A comment of HTML: people do not see it. It is believed only in what Orchard itself wrote, or where it is
looked for after a crash.
"""

from __future__ import annotations

import re
from typing import Final

STORY: Final = "story"  # an issue that a story was made into; a pull request's body names it likewise
PROGRESS: Final = "progress"  # a story's one comment
SPRINT: Final = "sprint"  # a milestone or a draft release

_MARKER = re.compile(r"<!--\s*orchard:([a-z_]{1,20})\s+([A-Za-z0-9._-]{1,80})\s*-->")


def marker(kind: str, name: str) -> str:
    made = f"<!-- orchard:{kind} {name} -->"
    if not _MARKER.fullmatch(made):
        raise ValueError(f"{kind} {name!r} cannot be marked")
    return made


def marked(text: str | None, kind: str, name: str) -> bool:
    """Whether the text has this very marker."""
    return any(found == (kind, name) for found in _MARKER.findall(text or ""))


def name_in(text: str | None, kind: str) -> str | None:
    """The first name of the kind."""
    return next((name for found, name in _MARKER.findall(text or "") if found == kind), None)


def issue_intent(story_id: str) -> str:
    """As `github_intents` says that an issue with the story's marker is about to be made."""
    return f"issue:{story_id}"
