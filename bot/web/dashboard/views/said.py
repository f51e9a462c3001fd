"""What a control of a page says: names and texts. A browser may send anything. PURE."""

from __future__ import annotations

from typing import Any

MOST = 24  # fields
LONGEST = 20_000  # characters of one


def said_by(args: Any) -> dict[str, str]:
    """What of it can be used: `do`, which says what is wanted, and texts of a size that a person might type;
    nothing where it does not say what is wanted."""
    if not isinstance(args, dict) or len(args) > MOST or not isinstance(args.get("do"), str):
        return {}
    said = {
        name[:80]: value
        for name, value in args.items()
        if isinstance(name, str) and isinstance(value, str) and len(value) <= LONGEST
    }
    return said if "do" in said else {}
