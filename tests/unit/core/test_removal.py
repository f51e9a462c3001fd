from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from core.removal import discard_tree, remove_tree, temporary_folder


def dig(top: Path, levels: int, name: str = "d") -> None:
    """As a program does that goes down as it makes them."""
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_the_deepest_folder_goes_and_what_links_lead_to_stays(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    dig(tmp_path / "deep", 1100)  # deeper than Python's stack
    (tmp_path / "deep" / "d" / "link").symlink_to(kept)
    (tmp_path / "deep" / "loop").symlink_to(tmp_path / "deep")
    (tmp_path / "deep" / "d" / "d").chmod(0o500)
    try:
        remove_tree(tmp_path / "deep")
        assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    finally:  # left behind, it would end every later run of pytest, which removes old folders itself
        subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)
    assert (kept / "file").exists()


def test_a_temporary_folder_is_left_without_a_word(tmp_path: Path) -> None:
    with temporary_folder("run-", tmp_path) as folder:
        dig(folder / "deep", 40, "x" * 200)  # longer than a path may be
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("discard", [remove_tree, discard_tree])
def test_a_link_goes_and_nothing_is_no_error(tmp_path: Path, discard) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    discard(tmp_path / "link")
    discard(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.timeout(10)
def test_a_pipe_that_nobody_writes_into_goes_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    remove_tree(tmp_path / "pipe")
    remove_tree(tmp_path / "never there")
    assert list(tmp_path.iterdir()) == []
