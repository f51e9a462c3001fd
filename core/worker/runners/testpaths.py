"""PURE: which files belong to the tests."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from core.domain.globs import matches

_FOLDERS = frozenset({"tests", "test", "__tests__", "testdata", "__snapshots__", "__mocks__"})
_PATTERNS = ("test_*.py", "*_test.py", "conftest.py")
_OTHERS = (
    "*.test.*",
    "*.spec.*",
    "*_test.go",
    "*_test.rb",
    "*_spec.rb",
    "*Test.java",
    "*Tests.java",
    "*Test.kt",
)


def is_test_path(path: str, *, patterns: Sequence[str] = (), extra: Sequence[str] = ()) -> bool:
    """Whether a path (relative, with "/") is a test, or a fixture or support of tests.

    By folder (`tests/`, `test/`, ...), by the file's name, by `patterns` for names that the project
    configured, and by `extra`, globs over the whole path in which `**` and `*` cross folders.
    """
    parts = PurePosixPath(path).parts
    if not parts:
        return False
    if any(part in _FOLDERS for part in parts[:-1]):
        return True
    name = parts[-1]
    if any(fnmatchcase(name, pattern) for pattern in (*_PATTERNS, *_OTHERS, *patterns)):
        return True
    return any(matches(path, glob) for glob in extra)
