"""What a project's tests would be run with, and what of it is missing or too old."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from core.doctor.finding import Finding, State, fault
from core.errors import OrchardError
from core.isolation.launch import run
from core.isolation.plan import Level, Machine, Sandbox, plan_launch
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.runners import Runner
from core.worker.runners.invocation import read_invocation

_PROBE_SECONDS = 30.0
_OLDEST_PYTEST = 7
_OLDEST_IN_MODULES = {"jest": 28, "vitest": 3}
# Prints pytest's version, or the reason why there is none, as the last line.
_PYTEST_VERSION = """\
try:
    import pytest
    print("pytest", pytest.__version__)
except ImportError as error:
    print("no pytest:", error)
"""


async def examine_runner(
    runner: Runner, environment: Environment, setup: ProjectSetup, machine: Machine, *, made: bool
) -> list[Finding]:
    """`made`: whether the environment is there, or stands in for one that is not made yet."""
    programs = _programs(runner, environment, setup)
    findings = [_runner(runner, setup), *programs]
    if not made or any(finding.state is State.MISSING for finding in programs):
        return findings
    if runner.name in _OLDEST_IN_MODULES:
        findings.append(_installed_in_modules(runner, environment))
    if runner.name == "pytest" and _is_direct(setup):
        findings.append(await _pytest(environment, setup, machine))
    return findings


def _runner(runner: Runner, setup: ProjectSetup) -> Finding:
    command = " ".join(runner.command)
    if runner.name == "command":
        return Finding(
            topic="tests",
            state=State.NOTE,
            found=f"test_command `{command}` is judged by its exit code only: no test is known by its name",
            mend="Let it write a JUnit report where {junit} stands in test_command.",
        )
    if runner.name == "junit":
        found = f"test_command `{command}`, judged by the JUnit report that it writes"
    elif reason := getattr(runner, "reason", ""):
        shown = "node --test" if runner.name == "node" else runner.name
        found = f"{shown}: `{command}`, since {reason}"
    elif setup.test_command:
        found = f"pytest, as test_command says: `{command}`"
    else:
        found = f"pytest: `{command}`, since no test_command is set and no file says another language"
    return Finding(topic="tests", state=State.OK, found=found)


# What a runner's tests are built and run with, and where to get it.
_PROGRAMS = {
    "node": (("node",), "Install Node.js 20 or newer where all users see it, as in /usr/local."),
    "jest": (("node",), "Install Node.js 20 or newer where all users see it, as in /usr/local."),
    "vitest": (("node",), "Install Node.js 20 or newer where all users see it, as in /usr/local."),
    "cargo": (("cargo",), "Install Rust with rustup, or a package of your system (Debian: cargo)."),
    "go": (("go",), "Install Go (Debian: golang-go)."),
    "surefire": (("mvn", "javac"), "Install Maven and a JDK (Debian: maven and default-jdk-headless)."),
}


def _programs(runner: Runner, environment: Environment, setup: ProjectSetup) -> list[Finding]:
    """Where each is, as the tests would find it."""
    programs, mend = _PROGRAMS.get(runner.name, ((), ""))
    path = environment.variables_at(setup.path)["PATH"]
    found = {program: shutil.which(program, path=path) for program in programs}
    if absent := [program for program, place in found.items() if place is None]:
        said = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not found on the tests' PATH"
        return [Finding(topic="tests", state=State.MISSING, found=said, mend=mend)]
    said = ", ".join(str(place) for place in found.values())
    return [Finding(topic="tests", state=State.OK, found=f"run with {said}")] if found else []


def _installed_in_modules(runner: Runner, environment: Environment) -> Finding:
    oldest = _OLDEST_IN_MODULES[runner.name]
    for modules, _ in environment.modules:
        if version := _version_in(modules / runner.name / "package.json"):
            found = f"{runner.name} {version} in {modules}"
            major = version.partition(".")[0]
            if major.isdigit() and int(major) >= oldest:
                return Finding(topic="tests", state=State.OK, found=found)
            old = f"{found} is too old: {oldest} or newer is needed"
            mend = f"Raise {runner.name} in package.json and install it, or set 'test_command'."
            return Finding(topic="tests", state=State.MISSING, found=old, mend=mend)
    where = " or ".join(str(modules) for modules, _ in environment.modules)
    why = f"it is not in {where}" if where else "there is no node_modules"
    return Finding(
        topic="tests",
        state=State.MISSING,
        found=f"{runner.name} is not installed: {why}",
        mend="Run npm install in the checkout, commit a lock file, or set 'setup_command'.",
    )


def _version_in(package: Path) -> str:
    """Empty where there is no package.json that can be read."""
    try:
        found = json.loads(package.read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    return str(found.get("version", "")) if isinstance(found, dict) else ""


def _is_direct(setup: ProjectSetup) -> bool:
    """Whether pytest is the environment's own, and not one that `uv run` or a script brings."""
    return not setup.test_command or read_invocation(setup.test_command).direct


async def _pytest(environment: Environment, setup: ProjectSetup, machine: Machine) -> Finding:
    """Asks the environment for its pytest, in a sandbox: it is the project's own program."""
    assert environment.python is not None  # the runner was detected with it
    with TemporaryDirectory(prefix="orchard-doctor-") as folder:
        home = Path(folder).resolve()
        sandbox = Sandbox(
            level=Level(setup.isolation),
            cwd=home,
            home=home,
            read_only=environment.read_only,
            environment={"LANG": "C.UTF-8", **environment.variables_at(home)},
            network=setup.isolation == Level.PROCESS,  # which cannot cut it off
        )
        argv = [str(environment.python), "-c", _PYTEST_VERSION]
        try:
            done = await run(plan_launch(argv, sandbox, machine), timeout_seconds=_PROBE_SECONDS)
        except OrchardError as error:
            return fault("tests", error)
    said = (done.output.decode(errors="replace").strip().splitlines() or ["nothing"])[-1]
    word, _, version = said.partition(" ")
    major = version.partition(".")[0]
    if done.exit_code == 0 and word == "pytest" and major.isdigit() and int(major) >= _OLDEST_PYTEST:
        return Finding(topic="tests", state=State.OK, found=f"{said} in {environment.python}")
    return Finding(
        topic="tests",
        state=State.MISSING,
        found=f"{environment.python} has no usable pytest: {said}",
        mend="Install pytest 7 or newer there, or set 'setup_command' or 'test_command' for the project.",
    )
