"""A turn's folder for temporary files, where its sandbox has no /tmp of its own.

Its path is short, since agents and tmux put sockets there (a socket's path takes 107 bytes), and the same
for each turn of a story: what a crash left behind is gone before the next turn, at the latest with the story.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Unavailable
from core.removal import remove_tree

logger = logging.getLogger(__name__)

TEMPORARY = ("TMPDIR", "TMP", "TEMP", "TMUX_TMPDIR", "XDG_RUNTIME_DIR")


@contextmanager
def scratch(state_path: Path, project: str, story: str) -> Iterator[Path]:
    """An empty folder that is the turn's alone, removed with all that is in it.

    Raises Unavailable when somebody else's file stands in its place.
    """
    folder = _place(state_path, project, story)
    _remove(folder)
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"There is no place for a turn's temporary files: {folder} cannot be made.",
            why=str(error),
            hint="Remove what stands there, or set TMPDIR for Orchard.",
        ) from error
    try:
        yield folder
    finally:
        _remove(folder)


def forget_scratch(state_path: Path, project: str, story: str) -> None:
    """Remove what a crash left of a story's turns."""
    _remove(_place(state_path, project, story))


def _place(state_path: Path, project: str, story: str) -> Path:
    told = f"{os.geteuid()}\0{state_path.resolve()}\0{project}\0{story}"
    name = hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"orchard-{name}"


def _remove(folder: Path) -> None:
    """Only what is ours: /tmp is everybody's."""
    try:
        found = folder.lstat()
        if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
            remove_tree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning("the temporary files in %s stay: %s", folder, error)
