"""Runs and facts made by hand, for the pure judgement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.domain.evidence import Failure, Outcome, RunState, SuiteRun, TestResult
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.worker.gates.green import GreenFacts
from core.worker.gates.honesty import Project
from core.worker.gates.red import RedFacts, judge_red
from core.worker.runners.testpaths import is_test_path

BAD = (Outcome.FAILED, Outcome.ERROR)


class Made:
    """`run({"a::x": "passed"})`: ids are `<file stem>::<name>`, files `tests/<stem>.py`."""

    project = Project(is_test_path=is_test_path, modules=frozenset({"shop"}), name="shop")

    def result(self, test: str, outcome: str, **changes: Any) -> TestResult:
        kind = Outcome(outcome)
        collection = test.endswith(".py")
        file = test if collection else f"tests/{test.partition('::')[0]}.py"
        failure = Failure(exception="AssertionError") if kind in BAD else None
        if collection and failure:
            failure = Failure(exception="ImportError", when="collect", missing="x", owner_file="shop/a.py")
        fields: dict[str, Any] = {"file": file, "collection": collection, "failure": failure, **changes}
        return TestResult(id=test, outcome=kind, **fields)

    def run(self, outcomes: Mapping[str, str | TestResult], **changes: Any) -> SuiteRun:
        results = tuple(
            value if isinstance(value, TestResult) else self.result(test, value)
            for test, value in outcomes.items()
        )
        fields: dict[str, Any] = {
            "tree": "t",
            "command": ("pytest",),
            "runner": "pytest",
            "state": RunState.COMPLETED,
            "exit_code": 1,
            "results": results,
        }
        return SuiteRun(**{**fields, **changes})

    def changes(self, *paths: str) -> tuple[FileChange, ...]:
        return tuple(
            FileChange(
                path=path.removeprefix("-"),
                added=1,
                removed=0,
                deleted=path.startswith("-"),
                is_test=is_test_path(path.removeprefix("-")),
            )
            for path in paths
        )

    def red(
        self,
        changed: tuple[str, ...],
        base: Mapping[str, str],
        first: Mapping[str, str | TestResult],
        second: Mapping[str, str | TestResult] | None = None,
        **changes: Any,
    ) -> RedFacts:
        return RedFacts(
            changes=self.changes(*changed),
            base=self.run(base),
            first=self.run(first),
            second=self.run(first if second is None else second),
            project=self.project,
            **changes,
        )

    def green(
        self,
        red: RedFacts,
        now: Mapping[str, str | TestResult],
        *,
        phase: Phase = Phase.CODE_GREEN,
        base: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> GreenFacts:
        verdict = judge_red(red)
        assert verdict.passed, verdict.explain()
        fields: dict[str, Any] = {"since_red": self.changes("shop/a.py"), "config_changed": (), **changes}
        return GreenFacts(
            phase=phase,
            red=verdict.evidence,
            base=red.base if base is None else self.run(base),
            now=self.run(now),
            is_test_path=is_test_path,
            **fields,
        )


@pytest.fixture(scope="session")
def made() -> Made:
    return Made()
