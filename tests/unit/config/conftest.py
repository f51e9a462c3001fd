from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.loader import Configuration, load
from config.problems import ConfigError


class Folder:
    """An Orchard's folder, to write settings into and load them from."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, text: str | bytes, name: str = "orch-config.yaml") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(
        self, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
    ) -> Configuration:
        return load(self.root, environ=environ or {}, overrides=overrides)

    def problems(self, environ: Mapping[str, str] | None = None, **more: Any) -> list[str]:
        """What is wrong, one line each, with paths relative to the folder."""
        with pytest.raises(ConfigError) as caught:
            self.load(environ, **more)
        return [str(problem).replace(f"{self.root}/", "") for problem in caught.value.problems]

    def broken(self) -> dict[str, list[str]]:
        """What is wrong with the projects that are left out, by name."""
        return {
            name: [str(problem).replace(f"{self.root}/", "") for problem in error.problems]
            for name, error in self.load().broken.items()
        }


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "orchard").mkdir()
    return Folder(tmp_path / "orchard")


@pytest.fixture
def refused(folder: Folder) -> Callable[[str], list[str]]:
    """Writes an orch-config.yaml and gives back what is wrong with it."""

    def check(text: str) -> list[str]:
        folder.write(text)
        return folder.problems()

    return check
