"""jest and vitest: whole runners, started by Orchard itself, with tests in processes of their own."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from core.worker.environment import Environment
from core.worker.probe import FOLDER
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digests_of
from core.worker.runners.driver import watched
from core.worker.runners.jscommand import JsCommand
from core.worker.runners.jsconfig import is_config_name, js_package_digest, named_files, without_end
from core.worker.runners.jssession import read_js_session
from core.worker.runners.testpaths import is_test_path

_PATTERNS = ("*.snap", "test.[cm][jt]s", "test.[jt]s", "test.[jt]sx", "spec.[jt]s")
_PROGRAMS = {"jest": "orchard_jest.cjs", "vitest": "orchard_vitest.mjs"}


class JsRunner:
    """`reason` says in words why the project is run so; `named` are the files that its configuration loads,
    from the repository's top and without their endings.
    """

    def __init__(
        self,
        command: JsCommand,
        *,
        reason: str,
        folder: str = ".",
        named: frozenset[str] = frozenset(),
        extra_test_paths: Sequence[str] = (),
    ) -> None:
        self._command = command
        self._extra = tuple(extra_test_paths)
        self._named = named | {
            without_end(posixpath.normpath(posixpath.join(folder, path))) for path in command.loaded
        }
        self.reason = reason

    @staticmethod
    def named_by_configuration(
        folder: Path, project_folder: str, loaded: Sequence[str] = ()
    ) -> frozenset[str]:
        """Reads the configuration in a project's folder, and the files of it that the command names; small
        files, once a job.
        """
        found: set[str] = set()
        named = [
            folder / path for path in loaded if (folder / path).resolve().is_relative_to(folder.resolve())
        ]
        for path in sorted({*(path for path in folder.iterdir() if is_config_name(path.name)), *named}):
            if path.is_file():
                place = posixpath.join(project_folder, path.parent.relative_to(folder).as_posix())
                found |= named_files(path.read_text(errors="replace"), posixpath.normpath(place))
        return frozenset(found)

    @property
    def name(self) -> str:
        return self._command.tool

    @property
    def command(self) -> tuple[str, ...]:
        return (self._command.text,)

    def is_test_path(self, path: str) -> bool:
        return is_test_path(path, patterns=_PATTERNS, extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        return is_config_name(PurePosixPath(path).name) or without_end(path) in self._named

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        return digests_of(files, {"package.json": js_package_digest})

    def plan(self, place: Place, environment: Environment) -> Plan:
        told = {
            "cache": str(place.cache),
            "report": str(place.report),
            "options": dict(self._command.options),
            "filters": list(self._command.filters),
            "select": [str(place.checkout / path) for path in place.select],
        }
        variables = {
            **environment.variables_at(place.checkout),
            **dict(self._command.variables),
            "CI": "1",  # so that no snapshot is ever written
            "FORCE_COLOR": "0",
            "NO_COLOR": "1",
        }
        argv = ("node", *self._command.node_options, str(FOLDER / _PROGRAMS[self.name]))
        return watched(argv, variables, told, prefix="canary ")

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_js_session(
            ended, plan.secret, tool=self.name, cwd=str(place.cwd), checkout=str(place.checkout)
        )
