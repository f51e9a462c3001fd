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
from core.worker.runners.node import NodeRunner
from core.worker.runners.nodecommand import NodeCommand, read_node_command, script_of, why_not
from core.worker.runners.pytest import PytestRunner

__all__ = ["Ended", "Place", "Plan", "Reading", "Runner", "detect"]

# How the runners that a test script names write a report.
_SCRIPTS = (
    ("vitest", "npx vitest run --reporter=junit --outputFile={junit}"),
    ("jest", "npx jest --ci --reporters=jest-junit"),
    ("mocha", "npx mocha --reporter mocha-junit-reporter --reporter-options mochaFile={junit}"),
)
# What tells that a project is written in something whose runner is not built in yet.
_OTHERS = (
    ("package.json", "npx jest --ci --reporters=jest-junit"),
    ("pom.xml", "mvn -q test"),
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
            return _node(node, project, reason="test_command is a plain `node --test`")
        if (folder / "Cargo.toml").is_file() and is_plain_cargo(project.test_command):
            return CargoRunner(
                reason="test_command is a plain `cargo test`", extra_test_paths=project.extra_test_paths
            )
        if (folder / "go.mod").is_file() and is_plain_go(project.test_command):
            return GoRunner(
                reason="test_command is a plain `go test`", extra_test_paths=project.extra_test_paths
            )
        return CommandRunner(invocation, extra_test_paths=project.extra_test_paths)
    if not _is_python(folder):
        if (found := _of_package(folder, project)) is not None:
            return found
        if (compiled := _compiled(folder, project)) is not None:
            return compiled
        for name, example in _OTHERS:
            if (folder / name).is_file():
                raise Unavailable(
                    f"No test runner found for {project.name}.",
                    why=f"It has a {name}, and only pytest is found without being told.",
                    hint=f"Set `test_command`, as in `{example}`; {{junit}} is the report's path.",
                )
    return _pytest(folder, project, environment, test_command=None)


def _compiled(folder: Path, project: ProjectSetup) -> Runner | None:
    """The runner of a language whose build tool's file is there."""
    if (folder / "Cargo.toml").is_file():
        return CargoRunner(reason="it has a Cargo.toml", extra_test_paths=project.extra_test_paths)
    if (folder / "go.mod").is_file():
        return GoRunner(reason="it has a go.mod", extra_test_paths=project.extra_test_paths)
    return None


def _of_package(folder: Path, project: ProjectSetup) -> NodeRunner | None:
    """`node --test`, when package.json says so. Raises Unavailable for a test script that does more."""
    package = folder / "package.json"
    script = script_of(package.read_bytes()) if package.is_file() else None
    if script is None:
        return None
    if node := read_node_command(script):
        return _node(node, project, reason=f"package.json's test script is `{script}`")
    if "--test" in script:
        raise Unavailable(
            f"No test runner found for {project.name}.",
            why=why_not(script),
            hint="Set `test_command`: `node --test` to be watched, or any command that writes {junit}.",
        )
    for program, example in _SCRIPTS:
        if program in script.split():
            raise Unavailable(
                f"No test runner found for {project.name}.",
                why=why_not(script),
                hint=f"Set `test_command`, as in `{example}`; {{junit}} is the report's path.",
            )
    return None


def _node(command: NodeCommand, project: ProjectSetup, *, reason: str) -> NodeRunner:
    return NodeRunner(
        command, reason=reason, folder=project.folder, extra_test_paths=project.extra_test_paths
    )


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


def _is_python(folder: Path) -> bool:
    if any((folder / name).is_file() for name in _PYTHON):
        return True
    nearby = [*folder.glob("*.py"), *folder.glob("*/*.py")]
    return bool(nearby)
