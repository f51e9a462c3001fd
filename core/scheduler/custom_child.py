"""Runs one strategy of the user's in a process of its own: a line of JSON in, a line of JSON out.

The parent may kill it at any moment, and it ends when the parent closes its end. Whatever the strategy prints
goes to stderr, so that it is no answer. A copy of this process that the strategy makes ends here.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.scheduler.strategy import SchedulingStrategy

_STARTING = frozenset(
    {"os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen"}
)


def load(path: str) -> SchedulingStrategy:
    """From "package.module:Class" or "package.module.Class". TypeError: it is no strategy."""
    module, name = split(path)
    found = getattr(importlib.import_module(module), name)
    if not (isinstance(found, type) and issubclass(found, SchedulingStrategy)):
        raise TypeError(f"{path} is no subclass of SchedulingStrategy")
    return found()


def split(path: str) -> tuple[str, str]:
    module, _, name = path.partition(":") if ":" in path else path.rpartition(".")
    return module, name


def files_of(path: str, folder: str) -> list[str]:
    """The strategy's own module, also where it cannot be imported, and what was imported from `folder`."""
    found = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    files = {file for file in found if file and folder and Path(folder) in Path(file).parents}
    with contextlib.suppress(Exception):
        spec = importlib.util.find_spec(split(path)[0])
        if spec is not None and spec.origin:
            files.add(spec.origin)
    return sorted(files)


def plain(allocation: Any) -> dict[str, dict[str, float]]:
    if not isinstance(allocation, Mapping):
        raise TypeError(f"returned {type(allocation).__name__}, not a mapping of projects to amounts")
    found = {}
    for project, amounts in allocation.items():
        if not isinstance(amounts, Mapping):
            raise TypeError(f"gave {project} {type(amounts).__name__}, not a mapping of resources to amounts")
        found[str(project)] = {str(name): float(amount) for name, amount in amounts.items()}
    return found


def main(path: str, folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # input() of the strategy's reads no question
    own = os.getpid()
    strategy: SchedulingStrategy | None = None
    for line in questions:
        try:
            question = json.loads(line)
            if strategy is None:
                strategy = load(path)
            answer: dict[str, Any] = {}
            if question is not None:  # else it is only to be ready
                answer["allocation"] = plain(strategy.calculate_allocation(*question))
        except BaseException as error:  # the user's code: whatever it raises is an answer
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        if os.getpid() != own:
            os._exit(0)
        if question is None:
            answer["files"] = files_of(path, folder)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def refuse_processes(event: str, _arguments: tuple[Any, ...]) -> None:
    """A courtesy, which says so at once. What finds a way round it is killed with the process."""
    if event in _STARTING:
        raise PermissionError(f"a strategy may start no process ({event})")


if __name__ == "__main__":
    sys.addaudithook(refuse_processes)
    main(sys.argv[1], sys.argv[2])
