"""What a gate saw: test results, refusals, the verdict. Identity of a test is its JUnit test case."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.lifecycles import Phase


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"  # the test's own assertion or an exception in its call
    ERROR = "error"  # set-up, tear-down or collection went wrong
    SKIPPED = "skipped"
    XFAILED = "xfailed"  # expected to fail, and did


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a test failed, as far as the runner's report tells. Paths are relative to the repository's top."""

    exception: str  # the exception's type; "builtins." left out; "" when unknown
    when: str = "call"  # "collect" | "setup" | "call" | "teardown"
    group: tuple[str, ...] = ()  # the types inside of an exception group
    missing: str = ""  # the module or name that could not be found
    owner: str = ""  # the module that lacks the name, or that the called function belongs to
    owner_file: str = ""  # its file, when it is one of the repository's
    owner_foreign: bool = False  # the owner is a module from outside of the repository
    files: tuple[str, ...] = ()  # the repository's files that the traceback passes, innermost last
    functions: tuple[str, ...] = ()  # the functions of those steps
    syntax_file: str = ""  # where a syntax error is
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One JUnit test case. `id` is `classname::name`, or the path of a file that could not be collected."""

    __test__ = False

    id: str
    outcome: Outcome
    seconds: float = 0.0
    file: str | None = None  # relative to the project's folder, where known
    message: str = ""
    detail: str = ""  # the report's text, shortened to its last 4,000 characters
    collection: bool = False  # stands for a whole file that could not be collected
    failure: Failure | None = None  # given for FAILED and ERROR where the report says why
    skipped_by: str = ""  # file, from the repository's top, that asked for SKIPPED or XFAILED


class RunState(StrEnum):
    COMPLETED = "completed"
    TIMED_OUT = "timed out"
    FLOODED = "printed too much"
    CRASHED = "no usable report"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun:
    """One run of a test command on one tree."""

    tree: str  # git tree hash
    command: tuple[str, ...]
    runner: str  # a built-in one's name, "junit" (a command's report), or "command" (exit code only)
    state: RunState
    exit_code: int | None
    results: tuple[TestResult, ...] = ()
    tampering: tuple[str, ...] = ()  # sentences: canary out of place, report rewritten, ...
    rewritten: tuple[str, ...] = ()  # tests and configuration written over while they ran, from the top
    seconds: float = 0.0
    output_tail: str = ""
    problem: str = ""  # why there is no usable result, as the rest of a sentence

    @property
    def exit_code_only(self) -> bool:
        return self.runner == "command"


class RefusalCode(StrEnum):
    """Stable reasons; tests and metrics name them."""

    NO_ACCEPTANCE_CRITERIA = "no acceptance criteria"
    CHANGED_OUTSIDE_RIGHTS = "changed files that this phase may not"
    NOTHING_CHANGED = "nothing changed"
    NO_TEST_ADDED = "no test added or changed"
    NO_RED_TEST = "every added test passes at once"
    BROKEN_TEST = "a test is broken, not red"
    FLAKY_TEST = "a test flips between runs"
    BASE_BROKEN = "a test that passed before fails"
    STILL_RED = "a red test still fails"
    TESTS_CHANGED = "tests, fixtures or runner configuration changed after red"
    TEST_SILENCED = "a test is newly skipped, deselected or expected to fail"
    TESTS_MISSING = "fewer tests ran than red collected"
    TAMPERED = "the runner or its report was tampered with"
    NO_REPORT = "no report, or one that does not fit the exit code"
    TIMED_OUT = "the test command did not end in time"
    FLOODED = "the test command printed too much"
    FOREIGN_COMMIT = "commits or branches that Orchard did not make"
    WROTE_OUTSIDE = "wrote outside its worktree"
    NO_RUNNER = "no test runner found"
    CONFLICT = "no longer fits on the main branch"
    APPROVAL_MISSING = "a required approval is missing"
    CHECKS_FAILED = "checks of the pull request failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a gate said no. `sentence` is for people and for the agent's next prompt: it names the evidence."""

    code: RefusalCode
    sentence: str
    tests: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Facts kept with a verdict. Test names are TestResult ids."""

    tree: str = ""
    runner: str = ""
    command: tuple[str, ...] = ()
    base_passed: tuple[str, ...] = ()  # passed at the base
    red: tuple[str, ...] = ()  # failed honestly at red
    red_files: tuple[str, ...] = ()  # could not be collected at red: all their tests count as red
    red_collected: tuple[str, ...] = ()  # every test case seen at red
    green: tuple[str, ...] = ()  # red's tests that pass now
    characterisation: tuple[str, ...] = ()  # added tests that passed at once: shown, never counted as red
    flaky: tuple[str, ...] = ()
    failing_before: tuple[str, ...] = ()  # failed at the base already, and may stay so
    skipped: tuple[str, ...] = ()
    changed_files: tuple[str, ...] = ()
    passed_count: int = 0
    exit_code_only: bool = False
    cached: bool = False
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    phase: Phase
    refusals: tuple[Refusal, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def passed(self) -> bool:
        return not self.refusals

    def explain(self) -> str:
        """The refusals as one text for people and the agent's next prompt."""
        return "\n".join(f"- {refusal.sentence}" for refusal in self.refusals)
