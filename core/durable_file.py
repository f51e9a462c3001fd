"""Small files of this user's that are whole or not there, whatever is killed, and durable at once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def draft_of(path: Path) -> Path:
    """A name beside it that nobody else draws."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def write_new(path: Path, text: str) -> None:
    """With mode 0600. Raises OSError, such as FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_whole(path: Path, text: str) -> None:
    """The file holds this text from now on, and never none or half of one. Raises OSError."""
    draft = draft_of(path)
    try:
        write_new(draft, text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """What was renamed or linked in it is durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
