"""Removes folders that foreign programs filled: also where modes forbid it, and however deep they go.

What `shutil.rmtree` removes, it removes faster; deeper than Python's stack it raises RecursionError, and by
names longer than a path may be nothing is mended. So the deep is moved up, level by level, and removed there.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Whatever is there, links themselves and not what they lead to. Raises OSError for what stays."""

    def mend(function: Callable[..., object], name: str, _: object) -> None:
        with suppress(OSError):
            _let_in(str(Path(name).parent))
            _let_in(name)
        if function in (os.scandir, os.open, os.listdir):
            shutil.rmtree(name)
        else:
            function(name)

    if path.is_symlink() or not path.is_dir():  # rmtree would wait for whoever writes into a pipe
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path, onerror=mend)
    except (RecursionError, OSError):
        _flatten(path)
        path.rmdir()


def discard_tree(path: Path) -> None:
    """As `remove_tree`; what cannot be removed stays."""
    with suppress(OSError):
        remove_tree(path)


@contextmanager
def temporary_folder(prefix: str, above: Path | None = None) -> Iterator[Path]:
    """Made for the block, in the machine's own place where none is named. What cannot be removed stays."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=above))
    try:
        yield folder
    finally:
        discard_tree(folder)


def _let_in(folder: str, above: int | None = None) -> None:
    """Us, to a folder: never to what a link leads to that somebody puts in its place meanwhile."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        Path(f"/proc/self/fd/{fd}").chmod(0o700)
    finally:
        os.close(fd)


def _flatten(top: Path) -> None:
    """Empties it: each folder in it gives its own folders to `top`, and then goes. Never two levels deep."""
    _let_in(str(top))
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    here = os.open(top, flags)
    try:
        while names := _folders_left(here):
            for name in names:
                inside = os.open(name, flags, dir_fd=here)
                try:
                    for folder in _folders_left(inside):
                        given = f"orchard-{secrets.token_hex(8)}"
                        os.rename(folder, given, src_dir_fd=inside, dst_dir_fd=here)
                finally:
                    os.close(inside)
                os.rmdir(name, dir_fd=here)
    finally:
        os.close(here)


def _folders_left(parent: int) -> list[str]:
    """Once its files are gone; each may be entered and moved (which writes its `..`)."""
    with os.scandir(parent) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if is_folder:
            _let_in(name, parent)
        else:
            os.unlink(name, dir_fd=parent)
    return [name for name, is_folder in found if is_folder]
