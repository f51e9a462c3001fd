"""A plain backup is signed: whoever can write to it, and lacks the key, cannot make another of it unseen.

An encrypted one needs none of that, since SQLCipher authenticates each page. The signature stands behind the
file's last page, where SQLite does not look: so a backup stays one file, that every SQLite opens.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import BinaryIO

from core.security.keys import Key, Purpose

_BEGINS = b"\norchard backup 1\n"
_MAC_BYTES = 32
_BYTES = len(_BEGINS) + _MAC_BYTES


def sign_file(path: Path, key: Key) -> None:
    """Once, when nobody writes to it any more."""
    with path.open("r+b") as file:
        mac = _mac(file, file.seek(0, os.SEEK_END), key)
        file.seek(0, os.SEEK_END)
        file.write(_BEGINS + mac)
        file.flush()
        os.fsync(file.fileno())


def strip_signature(path: Path, key: Key) -> bool:
    """Takes it off, and says whether it was there and right. What has none, or another, stays as it is."""
    with path.open("r+b") as file:
        length = file.seek(0, os.SEEK_END) - _BYTES
        if length < 0:
            return False
        file.seek(length)
        end = file.read(_BYTES)
        if not end.startswith(_BEGINS) or not hmac.compare_digest(
            end[len(_BEGINS) :], _mac(file, length, key)
        ):
            return False
        file.truncate(length)
    return True


def _mac(file: BinaryIO, length: int, key: Key) -> bytes:
    """Over the first `length` bytes: HMAC-SHA-256 of their SHA-256."""
    file.seek(0)
    digest, left = hashlib.sha256(), length
    while left and (part := file.read(min(left, 1 << 20))):
        digest.update(part)
        left -= len(part)
    return hmac.digest(key.derived(Purpose.BACKUP), digest.digest(), "sha256")
