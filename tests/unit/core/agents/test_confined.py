from __future__ import annotations

import itertools
import os
import threading
import time
from contextlib import suppress

import pytest

from core.agents import confined
from core.errors import InvalidInput, NotAllowed, NotFound


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "worktree"
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    return folder


@pytest.mark.parametrize(("path", "relative"), [("a/b.py", "a/b.py"), ("./a/../b", "b"), ("{root}/a", "a")])
def test_paths_inside_become_relative(root, path, relative):
    assert confined.relative_to(root, path.format(root=root)) == relative


@pytest.mark.parametrize(
    "path", ["../outside/kept", "/etc/passwd", "a/../../outside", ".", "{root}", "{root}x/a"]
)
def test_paths_outside_are_refused(root, path):
    with pytest.raises(NotAllowed):
        confined.relative_to(root, path.format(root=root))


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_no_path_at_all_is_refused(root, path):
    with pytest.raises(InvalidInput):
        confined.relative_to(root, path)


def test_a_worktree_behind_a_link_is_itself(root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)

    assert confined.relative_to(link, str(root / "a")) == "a"
    assert confined.relative_to(link, str(link / "a")) == "a"


def test_writing_makes_folders_and_keeps_the_mode(root):
    confined.write_text(root, "a/b.sh", "one\n")
    (root / "a/b.sh").chmod(0o755)

    confined.write_text(root, "a/b.sh", "two\r\n")

    assert (root / "a/b.sh").read_bytes() == b"two\r\n"
    assert (root / "a/b.sh").stat().st_mode & 0o777 == 0o755
    assert list((root / "a").iterdir()) == [root / "a/b.sh"]


@pytest.mark.parametrize("plant", ["folder", "file", "dangling", "fifo", "hard"])
def test_planted_links_and_pipes_lead_nowhere(root, tmp_path, plant):
    outside = tmp_path / "outside"
    target = {"folder": "x/kept"}.get(plant, "x")
    if plant == "folder":
        (root / "x").symlink_to(outside)
    elif plant == "fifo":
        os.mkfifo(root / "x")
    elif plant == "hard":
        os.link(outside / "kept", root / "x")
    else:
        (root / "x").symlink_to(outside / ("kept" if plant == "file" else "new"))

    if plant == "hard":
        confined.write_text(root, target, "changed")  # replaced, never written through
    else:
        with pytest.raises(NotAllowed):
            confined.write_text(root, target, "changed")
        with pytest.raises(NotAllowed):
            confined.read_text(root, target)

    assert (outside / "kept").read_text() == "kept"
    assert list(outside.iterdir()) == [outside / "kept"]


@pytest.mark.parametrize("path", ["../outside/kept", "a/../../outside/kept", "/etc/passwd", "", "..", "."])
def test_a_relative_path_is_checked_again(root, path):
    with pytest.raises(NotAllowed):
        confined.write_text(root, path, "x")


def test_what_is_not_there_is_said(root):
    with pytest.raises(NotFound):
        confined.read_text(root, "a")
    with pytest.raises(NotFound):
        confined.read_text(root, "a/b")


def test_a_file_that_is_too_large_is_not_read(root):
    with (root / "big").open("wb") as file:
        file.truncate(confined.READ_LIMIT_BYTES + 1)

    with pytest.raises(NotAllowed):
        confined.read_text(root, "big")


def test_a_folder_swapped_for_a_link_meanwhile_does_not_help(root, tmp_path):
    """Race: something puts a link in the place of the folder `a` again and again while we write to a/kept."""
    outside, stop, seen = tmp_path / "outside", threading.Event(), set()

    def swap():
        for number in itertools.count():
            if stop.is_set():
                return
            with suppress(OSError):
                (root / "a").rename(root / f"old-{number}")
            with suppress(OSError):
                (root / "a").symlink_to(outside)
            with suppress(OSError):
                (root / "a").unlink()

    swapper = threading.Thread(target=swap)
    swapper.start()
    deadline = time.monotonic() + 20
    try:
        while seen != {"written", "refused"} and time.monotonic() < deadline:
            try:
                confined.write_text(root, "a/kept", "changed")
                seen.add("written")
            except NotAllowed:
                seen.add("refused")
            except (NotFound, OSError):
                continue
    finally:
        stop.set()
        swapper.join()

    assert seen == {"written", "refused"}
    assert (outside / "kept").read_text() == "kept"
