"""Makes every git and bwrap that this process and its children start go through `relay.py`, which notes it.

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
    if isinstance(args, (list, tuple)) and args and Path(os.fspath(args[0])).name in ("git", "bwrap"):
        args = [sys.executable, "-I", "-S", _RELAY, str(_FOLDER), *map(os.fspath, args)]
    _plain_init(self, args, *rest, **options)


if _FOLDER:
    subprocess.Popen.__init__ = _init  # type: ignore[method-assign]
