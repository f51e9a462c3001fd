"""How long environments took to be made, from the notes that stand beside them."""

from __future__ import annotations

import json
import math
import os
from datetime import datetime
from pathlib import Path

from core.domain.counting import Rise


class Builds:
    """`folder`: below it one a project, below that one an environment with its `ready.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[tuple[str, str]] | None = None

    def read(self, now: datetime) -> tuple[Rise, ...]:
        """Those made since the last look; what was there at the first was made by an earlier run. Blocking: a
        look into one folder a project."""
        known = set() if self._known is None else self._known
        found = []
        for project in _folders(self._folder):
            for environment in _folders(Path(project.path)):
                key = (project.name, environment.name)
                seconds = None if key in known else _seconds(Path(environment.path) / "ready.json")
                if seconds is not None:
                    known.add(key)
                    labels = (("project", project.name),)
                    found.append(Rise(metric="build_duration", labels=labels, at=now, value=seconds))
        first, self._known = self._known is None, known
        return () if first else tuple(found)


def _folders(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _seconds(path: Path) -> float | None:
    try:
        value = json.loads(path.read_text())["seconds"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # it is still being made
    return float(value) if isinstance(value, int | float) and 0 <= value < math.inf else None
