"""Text files below one folder, read and written for an agent that asks us to do it.

The agent can plant symlinks and swap folders while we write, and we are outside its sandbox. So a
path is walked folder by folder without following any link, and a file is replaced, never written
through.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath

from core.errors import InvalidInput, NotAllowed, NotFound

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ_LIMIT_BYTES = 16 << 20


def relative_to(root: Path, path: str) -> str:
    """`path` relative to `root`, with `/`; NotAllowed when it is outside. By name: no link is followed."""
    if not path or "\0" in path:
        raise InvalidInput("A file's path is empty or holds a NUL.")
    absolute = PurePath(os.path.normpath(root / path))
    for base in (PurePath(os.path.normpath(root)), PurePath(os.path.realpath(root))):
        if absolute != base and absolute.is_relative_to(base):
            return absolute.relative_to(base).as_posix()
    raise NotAllowed(f"{path} is outside {root}.", hint="Use a path inside the worktree.")


def write_text(root: Path, relative: str, text: str, *, mode: int | None = None) -> None:
    """Write a file below `root`, making its folders. NotAllowed for a link on the way or a non-file."""
    with _parent(root, relative, make=True) as (folder, name):
        kept = _regular_mode(folder, name, relative)
        temporary = f".{name[:100]}.{secrets.token_hex(6)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(temporary, flags, 0o600 if mode is not None else 0o666, dir_fd=folder)
        try:
            with os.fdopen(file, "w", encoding="utf-8", newline="", errors="surrogateescape") as stream:
                stream.write(text)
                if mode is not None or kept is not None:
                    os.fchmod(stream.fileno(), mode if mode is not None else kept or 0o644)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise


def read_text(root: Path, relative: str) -> str:
    """A file's text; NotFound, or NotAllowed for a link, a non-file or more than READ_LIMIT_BYTES."""
    with _parent(root, relative, make=False) as (folder, name):
        if _regular_mode(folder, name, relative) is None:
            raise NotFound(f"There is no file {relative}.")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as stream:
            content = stream.read(READ_LIMIT_BYTES + 1)
    if len(content) > READ_LIMIT_BYTES:
        raise NotAllowed(f"{relative} is larger than {READ_LIMIT_BYTES >> 20} MiB.")
    return content.decode("utf-8", errors="replace")


def _regular_mode(folder: int, name: str, relative: str) -> int | None:
    """The permission bits of a regular file, None where there is nothing yet."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise NotAllowed(f"{relative} is a link or no regular file.")
    return stat.S_IMODE(found.st_mode)


@contextmanager
def _parent(root: Path, relative: str, *, make: bool) -> Iterator[tuple[int, str]]:
    *folders, name = PurePath(relative).parts or ("",)
    if not name or name == ".." or ".." in folders or PurePath(relative).is_absolute():
        raise NotAllowed(f"{relative} is not a path inside the folder.")
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            try:
                deeper = os.open(part, _FOLDER, dir_fd=here)
            except FileNotFoundError as missing:
                raise NotFound(f"There is no folder {part} on the way to {relative}.") from missing
            except (NotADirectoryError, OSError) as link:
                raise NotAllowed(f"{part} on the way to {relative} is a link or no folder.") from link
            os.close(here)
            here = deeper
        yield here, name
    finally:
        os.close(here)
