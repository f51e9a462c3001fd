"""Compiles Orchard and its tests as Python and pytest do, so that the processes of a test run need not, each
for itself: a fresh checkout's tests take pytest seven seconds of processor time in each of its workers.

    python -m tests.compiled     does nothing where nothing has changed
"""

from __future__ import annotations

import compileall
import multiprocessing
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import distributions
from importlib.util import cache_from_source
from pathlib import Path
from types import SimpleNamespace

from _pytest.assertion import rewrite  # it offers this to nobody; the lock file says which pytest it is

_ROOT = Path(__file__).resolve().parents[1]
_PROGRAMS = ("bot", "cogs", "config", "core")
_REWRITTEN = ("conftest.py", "test_*.py")


def is_rewritten(path: Path) -> bool:
    """Whether pytest explains the asserts of it."""
    return any(fnmatch(path.name, pattern) for pattern in _REWRITTEN)


def plugins() -> Iterator[Path]:
    """What came with pytest's plugins, of which pytest explains the asserts, too."""
    for found in distributions():
        if any(entry.group == "pytest11" for entry in found.entry_points):
            paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
            yield from (path for path in paths if path.suffix == ".py" and path.is_file())


def rewrite_asserts(path: Path) -> None:
    pyc = Path(cache_from_source(path)).with_name(path.stem + rewrite.PYC_TAIL)
    if rewrite._read_pyc(path, pyc) is None:
        pyc.parent.mkdir(exist_ok=True)
        digest, code = rewrite._rewrite_test(path, None)  # type: ignore[arg-type] # only for options that we have not
        rewrite._write_pyc(SimpleNamespace(trace=print), code, digest, pyc)  # type: ignore[arg-type]


def main() -> None:
    tests = sorted((_ROOT / "tests").rglob("*.py"))
    for folder in _PROGRAMS:
        compileall.compile_dir(_ROOT / folder, quiet=1, workers=0)
    for path in tests:
        if not is_rewritten(path):
            compileall.compile_file(path, quiet=1)
    with multiprocessing.Pool() as pool:
        pool.map(rewrite_asserts, [*filter(is_rewritten, tests), *plugins()], chunksize=8)


if __name__ == "__main__":
    main()
