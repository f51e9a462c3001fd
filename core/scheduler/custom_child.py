"""Runs one strategy of the user's in a process of its own: a line of JSON in, a line of JSON out.

The parent may kill it at any moment, and it ends itself when the parent has gone or does not kill it in time.
Whatever the strategy prints goes to stderr, so that it is no answer.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

from core.scheduler.strategy import SchedulingStrategy

_MEMORY_BYTES = 1 << 30


def load(path: str) -> SchedulingStrategy:
    """From "package.module:Class" or "package.module.Class". TypeError: it is no strategy."""
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, SchedulingStrategy)):
        raise TypeError(f"{path} is no subclass of SchedulingStrategy")
    return found()


def plain(allocation: Any) -> dict[str, dict[str, float]]:
    if not isinstance(allocation, Mapping):
        raise TypeError(f"returned {type(allocation).__name__}, not a mapping of projects to amounts")
    found = {}
    for project, amounts in allocation.items():
        if not isinstance(amounts, Mapping):
            raise TypeError(f"gave {project} {type(amounts).__name__}, not a mapping of resources to amounts")
        found[str(project)] = {str(name): float(amount) for name, amount in amounts.items()}
    return found


def main(path: str, limit_seconds: float) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > _MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    strategy: SchedulingStrategy | None = None
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, 4.0 * limit_seconds + 20.0)  # should nobody be left to kill it
        try:
            question = json.loads(line)
            if strategy is None:
                strategy = load(path)
            if question is None:  # only to be ready
                answer: dict[str, Any] = {}
            else:
                answer = {"allocation": plain(strategy.calculate_allocation(*question))}
        except BaseException as error:  # the user's code: whatever it raises is an answer
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
