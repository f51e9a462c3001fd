"""How long people's and agents' texts may be, and how they are cleaned. PURE."""

from __future__ import annotations

TITLE_CHARACTERS = 200
TEXT_CHARACTERS = 20_000
CRITERION_CHARACTERS = 1000
CRITERIA = 50
LABEL_CHARACTERS = 50
LABELS = 20
LINK_CHARACTERS = 2000
LINKS = 20
NEEDS = 50
LARGEST_ESTIMATE = 1000


def cleaned(text: str) -> str:
    """Without control characters and marks of direction, but with its lines and tabs; stripped."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line if line.isprintable() else _plain(line) for line in lines).strip()


def _plain(line: str) -> str:
    return "".join(c for c in line if c == "\t" or c.isprintable())


def shown(names: tuple[str, ...] | list[str], most: int = 10) -> str:
    """`a, b and 3 more`."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"
