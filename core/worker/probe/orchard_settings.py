"""What Orchard tells the test process, once, by standard input. Python 3.8 and newer, nothing else."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional  # noqa: UP035 - read by Python 3.8

FD = "ORCHARD_PROBE"  # environment: the number of the pipe to write to


def take() -> Optional[Dict[str, Any]]:  # noqa: UP006, UP045
    """The settings, with the pipe's number as "fd"; None in a process that is not the session's own.

    Leaves no trace: the variable is taken out, and standard input is empty from now on.
    """
    number = os.environ.pop(FD, None)
    if number is None:
        return None
    chunks = []
    while True:
        chunk = os.read(0, 1 << 16)
        if not chunk:
            break
        chunks.append(chunk)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    settings: Dict[str, Any] = json.loads(b"".join(chunks))  # noqa: UP006
    settings["fd"] = int(number)
    restored = settings.get("addopts")
    if restored is not None:
        # PYTEST_ADDOPTS was ours, for a command that starts pytest by itself; not for sessions inside of
        # tests.
        os.environ["PYTEST_ADDOPTS"] = restored
        if not restored:
            del os.environ["PYTEST_ADDOPTS"]
    return settings
