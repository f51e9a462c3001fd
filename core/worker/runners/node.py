"""`node --test`: node's own test runner, started by Orchard itself, one process a test file."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from core.worker.environment import Environment
from core.worker.probe import FOLDER
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digests_of
from core.worker.runners.driver import files_below, watched
from core.worker.runners.nodecommand import NodeCommand, is_node_test, package_digest
from core.worker.runners.nodesession import read_node_session
from core.worker.runners.testpaths import is_test_path

_CONFIGS = frozenset({"package.json", "node.config.json", ".npmrc", ".mocharc.json", "tsconfig.json"})
_PASSED_OVER = frozenset({"node_modules", ".git"})  # node itself looks into all others
_PATTERNS = tuple(
    f"{name}.{end}"
    for name in ("test", "test-*", "*-test", "*_test")
    for end in ("js", "mjs", "cjs", "ts", "mts", "cts")
)


class NodeRunner:
    """`reason` says in words why the project is run so."""

    name = "node"

    def __init__(
        self, command: NodeCommand, *, reason: str, folder: str = ".", extra_test_paths: Sequence[str] = ()
    ) -> None:
        self._command = command
        self._extra = tuple(extra_test_paths)
        self._folder = folder
        self.reason = reason

    @property
    def command(self) -> tuple[str, ...]:
        return (self._command.text,)

    def is_test_path(self, path: str) -> bool:
        if is_test_path(path, patterns=_PATTERNS, extra=self._extra):
            return True
        own = self._own(path)
        return bool(self._command.named) and own is not None and is_node_test(own, self._command.named)

    def is_runner_config(self, path: str) -> bool:
        return PurePosixPath(path).name in _CONFIGS or self._own(path) in self._command.loaded

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        return digests_of(files, {"package.json": package_digest})

    def plan(self, place: Place, environment: Environment) -> Plan:
        told = {
            "cache": str(place.cache),
            "folder": str(FOLDER),
            "options": " ".join(self._command.options),
            "files": self._files(place),
        }
        variables = {**environment.variables_at(place.checkout), "FORCE_COLOR": "0"}
        return watched(("node", str(FOLDER / "orchard_node.mjs")), variables, told, prefix="canary ")

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_node_session(ended, plan.secret, cwd=str(place.cwd), checkout=str(place.checkout))

    def _own(self, path: str) -> str | None:
        """Relative to the project's folder; None for what lies outside of it."""
        if self._folder in ("", "."):
            return path
        prefix = f"{self._folder}/"
        return path.removeprefix(prefix) if path.startswith(prefix) else None

    def _files(self, place: Place) -> list[str]:
        """Absolute and sorted: the same order in each run."""
        wanted = {str(place.checkout / path) for path in place.select}
        return [
            path
            for path in files_below(place, ("",), passed_over=_PASSED_OVER)
            if is_node_test(posixpath.relpath(path, place.cwd), self._command.named)
            and (not wanted or path in wanted)
        ]
