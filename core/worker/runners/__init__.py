"""Finds the test runner of a project. Each runner is one small file behind the interface in `contract`."""

from __future__ import annotations

from pathlib import Path

from core.errors import Unavailable
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.runners.cargo import CargoRunner, is_plain_cargo
from core.worker.runners.command import CommandRunner
from core.worker.runners.contract import Ended, Place, Plan, Reading, Runner
from core.worker.runners.go import GoRunner, is_plain_go
from core.worker.runners.invocation import read_invocation
from core.worker.runners.jscommand import read_js_command
from core.worker.runners.jsdetect import detect_js, js_runner, node_runner
from core.worker.runners.nodecommand import read_node_command
from core.worker.runners.pytest import PytestRunner
from core.worker.runners.surefire import SurefireRunner, is_plain_maven
from core.worker.runners.unittests import (
    UnittestCommand,
    UnittestRunner,
    lacks_pytest,
    read_unittest_command,
    uses_unittest,
)

__all__ = ["Ended", "Place", "Plan", "Reading", "Runner", "detect"]

# What tells that a project is written in something whose runner is not built in yet.
_OTHERS = (
    ("package.json", "npm test -- --reporter=junit --output={junit}"),
    ("build.gradle", "gradle test"),
    ("build.gradle.kts", "gradle test"),
    ("Gemfile", "bundle exec rspec --format RspecJunitFormatter --out {junit}"),
    ("composer.json", "phpunit --log-junit {junit}"),
    ("mix.exs", "mix test"),
    ("CMakeLists.txt", "ctest --output-junit {junit}"),
)
_PYTHON = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "pytest.ini",
    "tox.ini",
    "requirements.txt",
    "Pipfile",
    "conftest.py",
)


def detect(folder: Path, project: ProjectSetup, environment: Environment) -> Runner:
    """The runner for the project in `folder` (a checkout's part that is the project).

    `test_command` decides when it is set. Otherwise pytest, also for unittest-style suites and for a project
    without any file yet. Raises Unavailable with a next step when there is none, InvalidInput for a
    `test_command` that cannot be read.
    """
    if project.test_command is not None and project.test_command.strip():
        invocation = read_invocation(project.test_command)
        if invocation.pytest:
            return _pytest(folder, project, environment, test_command=project.test_command)
        if node := read_node_command(project.test_command):
            return node_runner(node, project, reason="test_command is a plain `node --test`")
        if js := read_js_command(project.test_command):
            return js_runner(js, folder, project, reason=f"test_command is a plain call of {js.tool}")
        if environment.python is not None and (own := read_unittest_command(project.test_command)):
            return _unittest(own, project, environment.python, reason="test_command is unittest's discovery")
        if (folder / "Cargo.toml").is_file() and is_plain_cargo(project.test_command):
            return CargoRunner(
                reason="test_command is a plain `cargo test`", extra_test_paths=project.extra_test_paths
            )
        if (folder / "go.mod").is_file() and is_plain_go(project.test_command):
            return GoRunner(
                reason="test_command is a plain `go test`", extra_test_paths=project.extra_test_paths
            )
        if (folder / "pom.xml").is_file() and is_plain_maven(project.test_command):
            return SurefireRunner(
                reason="test_command is a plain `mvn test`", extra_test_paths=project.extra_test_paths
            )
        return CommandRunner(invocation, extra_test_paths=project.extra_test_paths)
    if not _asks_for_python(folder) and (found := detect_js(folder, project)) is not None:
        return found
    if not _is_python(folder):
        if (compiled := _compiled(folder, project)) is not None:
            return compiled
        for name, example in _OTHERS:
            if (folder / name).is_file():
                raise Unavailable(
                    f"No test runner found for {project.name}.",
                    why=f"It has a {name}, for which Orchard has no runner of its own.",
                    hint=f"Set `test_command`, as in `{example}`"
                    + ("; {junit} is the report's path." if "{junit}" in example else "."),
                )
    if environment.python is not None and lacks_pytest(environment) and uses_unittest(folder):
        reason = "its environment has no pytest, and its tests are unittest's"
        return _unittest(UnittestCommand(), project, environment.python, reason=reason)
    return _pytest(folder, project, environment, test_command=None)


def _unittest(command: UnittestCommand, project: ProjectSetup, python: Path, *, reason: str) -> Runner:
    return UnittestRunner(command, python=python, reason=reason, extra_test_paths=project.extra_test_paths)


def _compiled(folder: Path, project: ProjectSetup) -> Runner | None:
    """The runner of a language whose build tool's file is there."""
    if (folder / "Cargo.toml").is_file():
        return CargoRunner(reason="it has a Cargo.toml", extra_test_paths=project.extra_test_paths)
    if (folder / "go.mod").is_file():
        return GoRunner(reason="it has a go.mod", extra_test_paths=project.extra_test_paths)
    if (folder / "pom.xml").is_file():
        return SurefireRunner(reason="it has a pom.xml", extra_test_paths=project.extra_test_paths)
    return None


def _pytest(
    folder: Path, project: ProjectSetup, environment: Environment, *, test_command: str | None
) -> PytestRunner:
    if environment.python is None:
        raise Unavailable(
            f"No test runner found for {project.name}.",
            why="Its environment has no Python interpreter with pytest.",
            hint="Install pytest in the project's `.venv`, or set `setup_command` or `test_command`.",
        )
    invocation = read_invocation(test_command) if test_command is not None else None
    return PytestRunner(
        invocation,
        python=environment.python,
        settings=PytestRunner.settings_of(folder),
        extra_test_paths=project.extra_test_paths,
    )


def _asks_for_python(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PYTHON)


def _is_python(folder: Path) -> bool:
    if _asks_for_python(folder):
        return True
    nearby = [*folder.glob("*.py"), *folder.glob("*/*.py")]
    return bool(nearby)
