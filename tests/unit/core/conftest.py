from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Git = Callable[..., str]


@pytest.fixture
def git() -> Git:
    """Runs git in a folder, as a user without configuration."""

    def run(folder: Path, *arguments: str, when: str | None = None) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_NAME": "Ada" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "ada@example.org" for who in ("AUTHOR", "COMMITTER")},
            **({f"GIT_{who}_DATE": when for who in ("AUTHOR", "COMMITTER")} if when else {}),
        }
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    return run


@pytest.fixture
def make_repository(git: Git) -> Callable[..., Path]:
    """A repository with one commit: `make_repository(path, {"file": "text"}, branch="main")`."""

    def make(
        path: Path, files: dict[str, str] | None = None, *, branch: str = "main", when: str | None = None
    ) -> Path:
        path.mkdir(parents=True, exist_ok=True)
        git(path, "init", "-q", "-b", branch)
        for name, text in (files or {"shop.py": "x = 1\n", "test_shop.py": "def test_x(): pass\n"}).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        git(path, "add", "-A")
        git(path, "commit", "-q", "-m", "First commit", when=when)
        return path

    return make


@pytest.fixture
def repository(make_repository: Callable[..., Path], tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop")
