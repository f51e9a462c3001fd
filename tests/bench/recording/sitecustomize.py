"""Makes every git and sandbox that this process and its children start go through `relay.py`, which notes it.

On PYTHONPATH while a run is recorded, and only then. ORCHARD_BENCH_RECORD is the folder for the records.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_FOLDER = os.environ.get("ORCHARD_BENCH_RECORD")
_RELAY = str(Path(__file__).with_name("relay.py"))
_plain_init = subprocess.Popen.__init__


def _init(self: Any, args: Any, *rest: Any, **options: Any) -> None:
    if isinstance(args, (list, tuple)) and args and _is_noted([os.fspath(word) for word in args]):
        args = [sys.executable, "-I", "-S", _RELAY, str(_FOLDER), *map(os.fspath, args)]
    _plain_init(self, args, *rest, **options)


def _is_noted(argv: list[str]) -> bool:
    """Of a sandbox, what makes the project's own user may come before bubblewrap."""
    return Path(argv[0]).name == "git" or any(Path(word).name == "bwrap" for word in argv)


if _FOLDER:
    subprocess.Popen.__init__ = _init  # type: ignore[method-assign]
