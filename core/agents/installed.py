"""What `orchard agents install` has put into Orchard's own folder, one agent a folder.

    <folder>/<agent>/installed.json   names the whole installation; renamed into place last of all
    <folder>/<agent>/<random>/        the programs: `node_modules`, or a virtual environment

A folder that no `installed.json` names is what an interrupted installation left, or the one before.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RECORD = "installed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """`versions`: of each package that was asked for, as it was resolved; `python` or `node` beside them."""

    name: str
    folder: Path  # absolute
    versions: Mapping[str, str]
    at: str  # ISO 8601, UTC

    @property
    def programs(self) -> tuple[Path, ...]:
        """Folders of its programs, those of npm first."""
        return (self.folder / "node_modules" / ".bin", self.folder / "venv" / "bin")

    def which(self, program: str) -> str | None:
        """The absolute path of one of its programs."""
        return shutil.which(program, path=":".join(map(str, self.programs)))


def agents_folder(state_path: Path) -> Path:
    """Where agents are installed."""
    return state_path / "agents"


def installed_agent(folder: Path, name: str) -> Installed | None:
    """The agent as it was installed below `folder`; None when it is not, or not whole."""
    place = folder / name
    try:
        record = json.loads((place / RECORD).read_text("utf-8"))
        found = Installed(
            name=name,
            folder=(place / record["folder"]).resolve(),  # as a sandbox has it: without links on the way
            versions={str(key): str(value) for key, value in record["versions"].items()},
            at=str(record["at"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found if found.folder.is_dir() else None
