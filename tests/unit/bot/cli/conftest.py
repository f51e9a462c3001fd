from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from bot.cli.session import open_session
from bot.cli.shell import Shell

Shown = Callable[..., str]


@pytest.fixture
def shown() -> Shown:
    """What a renderable looks like in a terminal of 80 columns, without colours."""

    def show(renderable: RenderableType, width: int = 80) -> str:
        terminal = Console(
            file=io.StringIO(), width=width, force_terminal=True, color_system=None, markup=False
        )
        terminal.print(renderable)
        assert isinstance(terminal.file, io.StringIO)
        return terminal.file.getvalue()

    return show


@pytest.fixture
def checkout() -> Callable[[Path], Path]:
    """Makes a git checkout with one commit and a test."""

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "test_it.py").write_text("def test_it(): pass\n")
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "First"]):
            subprocess.run(["git", *words], cwd=folder, check=True, env={"PATH": os.environ["PATH"]})
        return folder

    return make


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(partial(open_session, tmp_path))


@pytest.fixture
def say(shell: Shell, shown: Shown) -> Callable[[str], Awaitable[str]]:
    """What the shell answers to a line, in a wide terminal."""

    async def answer(line: str) -> str:
        return shown(await shell.answer(line), width=200)

    return answer
