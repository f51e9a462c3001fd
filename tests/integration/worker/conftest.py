"""Real repositories, with everything in them that real repositories have."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.worker.git import Repository
from core.worker.worktree import Worktrees

_PERSON = {
    "GIT_AUTHOR_NAME": "Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True)
class Checkout:
    """A person's checkout, handled as a person would: with plain git."""

    path: Path

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.path,
            env={**os.environ, **_PERSON},
            capture_output=True,
            text=True,
            check=True,
            errors="surrogateescape",
        )
        return done.stdout.strip()

    def write(self, files: dict[str, str | bytes | None], *, at: Path | None = None) -> None:
        """Files by name; None removes one."""
        for name, content in files.items():
            path = (at or self.path) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content)

    def commit(self, files: dict[str, str | bytes | None], message: str = "change") -> str:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An initialised repository without a commit."""
    path = tmp_path / "project"
    path.mkdir()
    made = Checkout(path)
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir()
    return path


@pytest.fixture
def odd_files() -> dict[str, str | bytes | None]:
    """What real trees hold: names, types and bytes that are not plain text files."""
    return {
        "plain.txt": "one\ntwo\n",
        "crlf.txt": b"one\r\ntwo\r\n",
        "image.bin": bytes(range(256)),
        "dir/inner.py": "x = 1\n",
        "with space\tand tab\nand line.txt": "odd\n",
        "\u00fcml\u00e4ut \U0001f333.txt": "tree\n",
        "-dash": "looks like an option\n",
        ":(top)magic": "looks like a pathspec\n",
        os.fsdecode(b"not-\xff-unicode"): "bytes\n",
        ".gitattributes": "hidden.txt export-ignore\n*.sub export-subst\n",
        "hidden.txt": "must not be dropped\n",
        "version.sub": "$Format:%H$\n",
        ".gitignore": "ignored/\n*.pyc\n",
    }


@pytest.fixture
def odd_checkout(checkout: Checkout, odd_files: dict[str, str | bytes | None]) -> Checkout:
    """`odd_files`, an executable and two symlinks, committed."""
    checkout.write({**odd_files, "run.sh": "#!/bin/sh\necho run\n"})
    (checkout.path / "run.sh").chmod(0o755)
    (checkout.path / "link").symlink_to("plain.txt")
    (checkout.path / "dangling").symlink_to("/nonexistent/place")
    checkout.commit({}, "first")
    return checkout


@pytest.fixture
async def repository(odd_checkout: Checkout) -> Repository:
    return await Repository.open(odd_checkout.path)


@pytest.fixture
def worktrees(repository: Repository, state_path: Path) -> Worktrees:
    return Worktrees(repository, project="shop", state_path=state_path)


@pytest.fixture
def tree_of_folder() -> Callable[[Path], dict[str, tuple[str, bytes]]]:
    """What a folder holds: kind and content by relative name, `.git` left out."""

    def look(folder: Path) -> dict[str, tuple[str, bytes]]:
        found = {}
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            if name == ".git" or name.startswith(".git/"):
                continue
            if path.is_symlink():
                found[name] = ("link", os.fsencode(path.readlink()))
            elif path.is_file():
                found[name] = ("run" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
        return found

    return look
