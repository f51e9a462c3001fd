"""pytest, also for unittest-style suites."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

from core.worker.environment import Environment
from core.worker.probe import FOLDER
from core.worker.runners import pytestconfig
from core.worker.runners.contract import Ended, Place, Plan, Reading, Secret
from core.worker.runners.invocation import Invocation
from core.worker.runners.pytestconfig import PytestSettings
from core.worker.runners.session import read_session
from core.worker.runners.testpaths import is_test_path

_CHANNEL = "ORCHARD_PROBE"
_CONFIG_FILES = (
    "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg",
)  # fmt: skip


class PytestRunner:
    """Runs pytest with Orchard's plugin (core/worker/probe) in the project's own interpreter.

    `invocation` is a `test_command` that runs pytest, None for the plain `python -m pytest`.
    """

    name = "pytest"

    def __init__(
        self,
        invocation: Invocation | None,
        *,
        python: Path,
        settings: PytestSettings | None = None,
        extra_test_paths: Sequence[str] = (),
    ) -> None:
        self._invocation = invocation
        self._python = python
        self._settings = settings or PytestSettings()
        self._extra = tuple(extra_test_paths)

    @staticmethod
    def settings_of(folder: Path) -> PytestSettings:
        """Reads the project's own configuration; small files, once a job."""
        files = {name: (folder / name).read_bytes() for name in _CONFIG_FILES if (folder / name).is_file()}
        return pytestconfig.read_settings(files)

    @property
    def command(self) -> tuple[str, ...]:
        return (self._invocation.text,) if self._invocation else ("python", "-m", "pytest")

    def is_test_path(self, path: str) -> bool:
        return is_test_path(path, patterns=self._settings.patterns, extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        return pytestconfig.is_pytest_config(path) or path in _named_files(self._invocation)

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        roots = ["", "src", "lib"]
        if folder not in ("", "."):
            roots += [folder, f"{folder}/src", f"{folder}/lib"]
        return pytestconfig.config_digests(paths, files, roots)

    def plan(self, place: Place, environment: Environment) -> Plan:
        secret = Secret(
            failing=f"test_{secrets.token_hex(8)}",
            passing=f"test_{secrets.token_hex(8)}",
            key=secrets.token_bytes(32),
        )
        variables = environment.variables_at(place.checkout)
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
        settings = {
            "failing": secret.failing,
            "passing": secret.passing,
            "key": secret.key.hex(),
            "root": str(place.checkout),
            "select": list(place.select),
            "report": str(place.report),
            "output_limit": place.output_limit_bytes,
        }
        ours = self._arguments(place)
        if self._invocation is None or self._invocation.direct:
            return self._direct(place, variables, settings, ours, secret)
        return self._through(self._invocation, place, variables, settings, ours, secret)

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_session(ended, plan.secret, folder=place.folder)

    def _arguments(self, place: Place) -> list[str]:
        """Ours come last and so win over the project's own options."""
        return [
            "--continue-on-collection-errors",
            "--maxfail=0",
            "--color=no",
            f"--junitxml={place.report}",
            "--junitprefix=",
            "-o",
            "junit_family=xunit1",
            "-o",
            "junit_logging=no",
            "-o",
            f"cache_dir={place.cache}",
            "-p",
            "orchard_probe",
        ]

    def _direct(
        self,
        place: Place,
        variables: dict[str, str],
        settings: Mapping[str, object],
        ours: list[str],
        secret: Secret,
    ) -> Plan:
        """Pytest started by ourselves, before anything of the checkout is on Python's path."""
        invocation = self._invocation
        theirs = self._filled(invocation.arguments, place) if invocation else []
        # At the interpreter's start a PYTHONPATH into the checkout would import its sitecustomize.py.
        python_path = [path for path in variables.pop("PYTHONPATH", "").split(":") if path]
        source = place.cwd / "src"
        if source.is_dir() and str(source) not in python_path:
            python_path.append(str(source))
        told = {
            **settings,
            "arguments": [*theirs, *self._guard(place, theirs), *ours],
            "shown": theirs,
            "python_path": python_path,
            "cwd_on_path": invocation.as_module if invocation else True,
        }
        return Plan(
            argv=(str(self._python), str(FOLDER / "orchard_start.py")),
            variables={**variables, **(dict(invocation.variables) if invocation else {})},
            stdin=json.dumps(told).encode(),
            read_only=(FOLDER,),
            files={_empty_configuration(place): "[pytest]\n"},
            channel=_CHANNEL,
            secret=secret,
        )

    def _through(
        self,
        invocation: Invocation,
        place: Place,
        variables: dict[str, str],
        settings: Mapping[str, object],
        ours: list[str],
        secret: Secret,
    ) -> Plan:
        """Pytest started by another program: the plugin comes by the environment."""
        variables |= dict(invocation.variables)
        theirs = variables.get("PYTEST_ADDOPTS", "")
        variables["PYTEST_ADDOPTS"] = f"{theirs} {shlex.join([*self._guard(place), *ours])}".strip()
        paths = [path for path in variables.get("PYTHONPATH", "").split(":") if path]
        variables["PYTHONPATH"] = ":".join([*paths, str(FOLDER)])
        return Plan(
            argv=tuple(self._filled(invocation.words, place)),
            variables=variables,
            stdin=json.dumps({**settings, "addopts": theirs}).encode(),
            read_only=(FOLDER,),
            files={_empty_configuration(place): "[pytest]\n"},
            channel=_CHANNEL,
            secret=secret,
        )

    def _filled(self, words: Iterable[str], place: Place) -> list[str]:
        return [
            word.replace("{junit}", str(place.report)).replace("{python}", str(self._python))
            for word in words
        ]

    def _guard(self, place: Place, arguments: Sequence[str] = ()) -> list[str]:
        """Keeps pytest from finding a configuration above the checkout when the project has none."""
        if any(
            word in ("-c", "--rootdir") or word.startswith(("--config-file", "--rootdir="))
            for word in arguments
        ):
            return []
        named = [place.cwd / word.partition("::")[0] for word in arguments if not word.startswith("-")]
        looked = [
            _upward(start, place) for start in ([path for path in named if path.exists()] or [place.cwd])
        ]
        if any(self.settings_of(folder).configured for folders in looked for folder in folders):
            return []
        root = next(
            (
                folder
                for folder in looked[0]
                if (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()
            ),
            place.cwd,
        )
        return ["-c", str(_empty_configuration(place)), "--rootdir", str(root)]


def _empty_configuration(place: Place) -> Path:
    return place.cache / "pytest.ini"


def _upward(start: Path, place: Place) -> list[Path]:
    """The folder and those around it, up to the checkout's top."""
    folders = [start, *start.parents]
    return [folder for folder in folders if folder.is_dir() and folder.is_relative_to(place.checkout)]


def _named_files(invocation: Invocation | None) -> frozenset[str]:
    """A file that the test command names with -c configures pytest too."""
    if invocation is None:
        return frozenset()
    named = set()
    for word, after in pairwise((*invocation.arguments, "")):
        if word in ("-c", "--config-file"):
            named.add(str(PurePosixPath(after)))
        elif word.startswith("--config-file="):
            named.add(word.partition("=")[2])
    return frozenset(named)
