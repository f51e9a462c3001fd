from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.removal import remove_tree
from core.walking import walk


def test_it_sees_what_os_walk_sees(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "skipped" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "b" / "gone").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    ours = seen(walk(tmp_path))
    assert ours == seen(os.walk(tmp_path))
    assert str(tmp_path / "a" / "skipped") not in ours


def seen(walking: Iterator[tuple[str, list[str], list[str]]]) -> dict[str, tuple[list[str], list[str]]]:
    found = {}
    for here, folders, files in walking:
        found[here] = (sorted(folders), sorted(files))
        folders[:] = [name for name in folders if name != "skipped"]
    return found


def test_it_is_not_bound_by_the_depth_of_the_stack(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert sum(1 for _ in walk(tmp_path)) == 1101
    finally:
        remove_tree(tmp_path / "d")  # which pytest's own clean-up cannot
