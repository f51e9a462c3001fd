"""Any test command: judged by the JUnit report that it writes, or by its exit code only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from core.domain.evidence import Failure, Outcome, RunState, TestResult
from core.errors import InvalidInput
from core.worker.environment import Environment
from core.worker.report import parse_junit
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digests_of
from core.worker.runners.invocation import Invocation
from core.worker.runners.testpaths import is_test_path

EXIT_CODE = "exit code"  # the id of the one result of a command without a report

_NOT_FOUND = (126, 127)
# Beside the files that the command names: what the usual runners read without being told.
_CONFIGS = frozenset(
    {
        ".mocharc.js", ".mocharc.cjs", ".mocharc.json", ".mocharc.yml", ".mocharc.yaml", ".rspec", ".nycrc",
        "gradle.properties", "jest.config.js", "jest.config.ts", "jest.config.cjs", "jest.config.mjs",
        "jest.config.json", "karma.conf.js", "nextest.toml", "phpunit.xml", "phpunit.xml.dist", "pytest.ini",
        "vitest.config.js", "vitest.config.ts", "vitest.config.mjs", "vitest.workspace.ts", "conftest.py",
    }
)  # fmt: skip
_BY_PROGRAM: Mapping[str, tuple[str, ...]] = {
    "make": ("Makefile", "makefile", "GNUmakefile"),
    "tox": ("tox.ini", "setup.cfg", "pyproject.toml"),
    "nox": ("noxfile.py",),
    "hatch": ("hatch.toml",),
    "just": ("justfile", "Justfile", ".justfile"),
    "npm": ("package.json",),
    "npx": ("package.json",),
    "pnpm": ("package.json",),
    "yarn": ("package.json",),
    "node": ("package.json",),
    "mvn": ("pom.xml",),
    "gradle": ("build.gradle", "build.gradle.kts", "settings.gradle"),
    "cargo": ("config.toml",),
    "rake": ("Rakefile",),
}


class CommandRunner:
    """`invocation` is a `test_command` that does not run pytest, as far as it shows."""

    def __init__(self, invocation: Invocation, *, extra_test_paths: Sequence[str] = ()) -> None:
        self._invocation = invocation
        self._extra = tuple(extra_test_paths)
        words = invocation.text.replace(";", " ").replace("&", " ").replace("|", " ").split()
        programs = {PurePosixPath(word).name for word in words}
        self._named = frozenset(word.removeprefix("./") for word in words if not word.startswith("-"))
        self._configs = _CONFIGS | {
            name for program, names in _BY_PROGRAM.items() if program in programs for name in names
        }

    @property
    def name(self) -> str:
        return "junit" if self._invocation.has_report else "command"

    @property
    def command(self) -> tuple[str, ...]:
        return (self._invocation.text,)

    def is_test_path(self, path: str) -> bool:
        return is_test_path(path, extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        return PurePosixPath(path).name in self._configs or path in self._named

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        return digests_of(files)

    def plan(self, place: Place, environment: Environment) -> Plan:
        python = str(environment.python) if environment.python else "python3"
        report = str(place.report)
        words = [
            word.replace("{junit}", report).replace("{python}", python) for word in self._invocation.words
        ]
        return Plan(
            argv=tuple(words),
            variables={**environment.variables_at(place.checkout), **dict(self._invocation.variables)},
        )

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        if ended.exit_code in _NOT_FOUND:
            return _crashed(f"The test command cannot be started: {_last_line(ended)}")
        if not self._invocation.has_report:
            return Reading(state=RunState.COMPLETED, results=(_by_exit_code(ended),))
        if ended.report is None:
            return _crashed(
                f"The test command wrote no report (exit code {ended.exit_code}): {_last_line(ended)}"
            )
        try:
            results = parse_junit(ended.report)
        except InvalidInput as error:
            return _crashed(str(error))
        failed = any(result.outcome in (Outcome.FAILED, Outcome.ERROR) for result in results)
        if failed and ended.exit_code == 0:
            return _crashed("The report tells of failed tests, but the test command ended with exit code 0")
        if not failed and ended.exit_code != 0:
            return _crashed(
                "The report tells of no failed test, but the test command ended with exit code "
                f"{ended.exit_code}: {_last_line(ended)}"
            )
        return Reading(state=RunState.COMPLETED, results=results)


def _by_exit_code(ended: Ended) -> TestResult:
    passed = ended.exit_code == 0
    message = "" if passed else f"exit code {ended.exit_code}"
    return TestResult(
        id=EXIT_CODE,
        outcome=Outcome.PASSED if passed else Outcome.FAILED,
        message=message,
        detail="" if passed else ended.output[-4000:],
        failure=None if passed else Failure(exception="exit code", message=message),
    )


def _crashed(problem: str) -> Reading:
    return Reading(state=RunState.CRASHED, problem=problem)


def _last_line(ended: Ended) -> str:
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"
