"""What a test runner must tell Orchard, whatever the language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.domain.evidence import RunState, TestResult
from core.worker.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run happens; all absolute, new for each run but for the checkout."""

    checkout: Path  # the repository's tree
    cwd: Path  # the project's folder in it
    report: Path  # where the JUnit report shall go; not there yet
    cache: Path  # an empty folder for what runners like to keep
    folder: str  # of `cwd` in the repository, "." for its top
    output_limit_bytes: int = 256 << 20
    select: tuple[str, ...] = ()  # only the tests of these files (relative to the top); empty: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """What code under test is not to know: how the canaries of this run are called, how its channel is
    signed.
    """

    failing: str
    passing: str
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to start one run."""

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | None = None
    read_only: tuple[Path, ...] = ()  # Orchard's own files that the run must see
    files: Mapping[Path, str] = field(default_factory=dict)  # to be written before, outside of the checkout
    channel: str | None = None  # the variable that shall name the pipe to write to; None: none is wanted
    secret: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What is left of a run that ended by itself."""

    exit_code: int
    report: bytes | None
    channel: bytes
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a run says. `problem` is a sentence when `state` is CRASHED."""

    state: RunState
    results: tuple[TestResult, ...] = ()
    tampering: tuple[str, ...] = ()
    problem: str = ""
    put_back: tuple[str, ...] = ()  # files that the runner's own driver changed and answers for, from the top
    rewritten: tuple[str, ...] = ()  # those of them that something else changed meanwhile


class Runner(Protocol):
    """One project's way of running its tests. Immutable; paths are relative to the repository's top."""

    @property
    def name(self) -> str:
        """ "pytest", "unittest", "node", "jest", "vitest", "cargo", "go", "surefire", "junit" (a command
        with a report) or "command" (exit code only).
        """
        ...

    @property
    def command(self) -> tuple[str, ...]:
        """As people would type it; part of what verdicts are cached by."""
        ...

    def is_test_path(self, path: str) -> bool:
        """Whether the file is a test, a fixture, or support of tests: the qa role's."""
        ...

    def is_runner_config(self, path: str) -> bool:
        """Whether the file can hold configuration of the runner, which nobody may change after red.

        Some hold other things too (`pyproject.toml`): `config_digests` compares the runner's part only.
        """
        ...

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        """Digests of the runner's configuration in a tree, by path; files that hold none are left out.

        `paths` are all of the tree's, `files` the content of those that `is_runner_config` names.
        """
        ...

    def plan(self, place: Place, environment: Environment) -> Plan:
        """How to run the tests there. Draws new secrets each time."""
        ...

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        """What the run says: results, and signs of tampering. Never raises for what a run left behind."""
        ...
