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
        if (own_user := options.pop("preexec_fn", None)) is not None:
            options.pop("executable")
            args = [*_as_program(own_user), *args]
        args = [sys.executable, "-I", "-S", _RELAY, str(_FOLDER), *map(os.fspath, args)]
    _plain_init(self, args, *rest, **options)


def _is_noted(argv: list[str]) -> bool:
    return Path(argv[0]).name in ("git", "bwrap")


def _as_program(own_user: Any) -> list[str]:
    """What Orchard does between fork and exec takes a script a program."""
    from core.isolation import own_user as module
    from core.isolation.bytecode import compiled

    python = [os.path.realpath(sys.executable), "-I", "-S", str(compiled(Path(module.__file__)))]
    return [*python, str(own_user.uid), own_user.place, str(os.getpid()), *own_user.sources, "--"]


if _FOLDER:
    subprocess.Popen.__init__ = _init  # type: ignore[method-assign]
