"""Which Orchard this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def program_version() -> str:
    """ "unknown" where it runs from its source folder."""
    try:
        return version("orchard")
    except PackageNotFoundError:
        return "unknown"
