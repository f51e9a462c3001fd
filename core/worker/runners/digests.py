"""PURE: digests of the files that configure a runner."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

Digest = Callable[[bytes], str]


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digests_of(files: Mapping[str, bytes], by_name: Mapping[str, Digest] | None = None) -> dict[str, str]:
    """By path: of the whole file, or by `by_name` of the part that counts in files of that name."""
    own = by_name or {}
    return {path: own.get(PurePosixPath(path).name, digest_of)(content) for path, content in files.items()}
