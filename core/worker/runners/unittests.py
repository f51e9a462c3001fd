"""`python -m unittest`, for projects whose environment has no pytest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from core.worker.environment import Environment, is_venv
from core.worker.probe import FOLDER
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digests_of
from core.worker.runners.driver import files_below, watched
from core.worker.runners.invocation import has_shell
from core.worker.runners.testpaths import is_test_path
from core.worker.runners.unittestsession import read_unittest

_CONFIGS = frozenset({"sitecustomize.py", "usercustomize.py", "setup.cfg", "tox.ini"})
_PLAIN = re.compile(r"(?:\{python\}|python3?(?:\.\d+)?)\s+-m\s+unittest(?P<rest>(?:\s+\S+)*)\s*")
_PYTEST_STYLE = 200  # files looked at to tell which style the tests are in


@dataclass(frozen=True, slots=True, kw_only=True)
class UnittestCommand:
    """Where tests are looked for, as unittest's own discovery would."""

    text: str = "python -m unittest"
    start: str = "."
    pattern: str = "test*.py"


def read_unittest_command(text: str) -> UnittestCommand | None:
    """None for what is no plain call of unittest's discovery."""
    found = _PLAIN.fullmatch(text.strip())
    if found is None or has_shell(text):
        return None
    start, pattern = ".", "test*.py"
    words = iter((found["rest"] or "").replace("'", "").replace('"', "").split())
    for word in words:
        if word in ("discover", "-v", "--verbose", "-b", "--buffer", "-f", "--failfast", "-q"):
            continue
        if word in ("-s", "--start-directory"):
            start = next(words, ".")
        elif word in ("-p", "--pattern"):
            pattern = next(words, pattern)
        elif word in ("-t", "--top-level-directory"):
            next(words, "")
        else:
            return None
    return UnittestCommand(text=text.strip(), start=start.rstrip("/") or ".", pattern=pattern)


class UnittestRunner:
    """`reason` says in words why the project is run so."""

    name = "unittest"

    def __init__(
        self, command: UnittestCommand, *, python: Path, reason: str, extra_test_paths: Sequence[str] = ()
    ) -> None:
        self._command = command
        self._python = python
        self._extra = tuple(extra_test_paths)
        self.reason = reason

    @property
    def command(self) -> tuple[str, ...]:
        return (self._command.text,)

    def is_test_path(self, path: str) -> bool:
        return is_test_path(path, patterns=(self._command.pattern,), extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        return PurePosixPath(path).name in _CONFIGS or path.endswith(".pth")

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        return digests_of(files)

    def plan(self, place: Place, environment: Environment) -> Plan:
        told = {"checkout": str(place.checkout), "files": list(self._files(place))}
        variables = {**environment.variables_at(place.checkout), "PYTHONDONTWRITEBYTECODE": "1"}
        argv = (str(self._python), str(FOLDER / "orchard_unittest.py"))
        return watched(argv, variables, told, prefix="canary_")

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_unittest(ended, plan.secret, folder=place.folder)

    def _files(self, place: Place) -> Iterator[str]:
        wanted = {str(place.checkout / path) for path in place.select}
        start = str(place.cwd / self._command.start) + "/"
        for path in files_below(place, (".py",)):
            named = fnmatchcase(PurePosixPath(path).name, self._command.pattern)
            if named and path.startswith(start) and (not wanted or path in wanted):
                yield path


def lacks_pytest(environment: Environment) -> bool:
    """Whether the environment is one of its own in which pytest is not installed."""
    if environment.python is None:
        return False
    venv = environment.python.parent.parent
    if not is_venv(venv):
        return False
    shared = (
        "include-system-site-packages = true" in (venv / "pyvenv.cfg").read_text(errors="replace").lower()
    )
    return not shared and not list(venv.glob("lib/python3*/site-packages/_pytest"))


def uses_unittest(folder: Path) -> bool:
    """Whether the tests in it are written for unittest."""
    files = sorted(folder.glob("**/test*.py"))[:_PYTEST_STYLE]
    found = [path.read_text(errors="replace") for path in files if path.is_file()]
    return any(re.search(r"^\s*(import|from)\s+unittest\b", text, re.MULTILINE) for text in found)
