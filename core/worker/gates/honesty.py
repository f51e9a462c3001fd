"""PURE: is a failure at red honest, or is the test itself broken?

Honest: an assertion, an exception out of the code under test, or a name that the project does not have yet.
Broken: a syntax error in the test, a missing fixture, a missing dependency, trouble in the test's own set-up.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.domain.evidence import Failure, Outcome, TestResult

_SYNTAX = frozenset({"SyntaxError", "IndentationError", "TabError"})
_NAME = frozenset({"NameError", "UnboundLocalError", "ReferenceError"})
_IMPORT = frozenset({"ImportError", "ModuleNotFoundError"})
# unittest runs these within the test's call.
_SET_UPS = frozenset(
    {"setUp", "asyncSetUp", "setUpClass", "setUpModule", "setup_method", "setup_class", "setup_module",
     "setup_function", "tearDown", "asyncTearDown", "tearDownClass", "tearDownModule", "teardown_method",
     "teardown_class", "teardown_module", "teardown_function"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What of the project decides whose fault a missing name is."""

    is_test_path: Callable[[str], bool]
    modules: frozenset[str] = frozenset()  # top-level modules and packages in its tree, tests left out
    test_modules: frozenset[str] = frozenset()  # those of its tests
    dependencies: frozenset[str] = frozenset()  # declared distributions, normalised
    name: str = ""
    story: str = ""  # the story's text and spec: may name modules to come


def why_broken(result: TestResult, project: Project) -> str:
    """Why this failure is no honest red, as the rest of a sentence; "" when it is honest."""
    failure = result.failure
    if result.detail.startswith("[XPASS(strict)]") or "Unexpected success" in result.message:
        return "is marked as expected to fail, but passes"
    if failure is None or not failure.exception:
        return _unexplained(result)
    kind = failure.exception.rpartition(".")[2]
    if kind in _SYNTAX and (failure.syntax_file or failure.when == "collect"):
        return f"has a syntax error ({_where(failure.syntax_file)}{failure.message})"
    if kind == "SnapshotMissing":
        return "compares with a snapshot that is not there: none is ever written, so write it with the test"
    if kind == "FocusedTest":
        return "has a focused test, which hides the others: take out `.only`"
    if kind == "FixtureLookupError":
        named = failure.missing or _fixture_in(result.detail)
        return f"asks for a fixture '{named}' that does not exist"
    if kind in _IMPORT:
        return _import(failure, result, project)
    if kind in _NAME and not _from_product(failure, project) and not _of_product(failure, project):
        return f"uses the name '{failure.missing}', which it neither defines nor imports"
    if kind == "AttributeError" and not _from_product(failure, project):
        if failure.owner_file and project.is_test_path(failure.owner_file):
            return f"uses '{failure.missing}', which its own {failure.owner_file} does not have"
        if failure.owner_foreign:
            return f"uses '{failure.owner}.{failure.missing}', which that installed module does not have"
    return _set_up(failure, project)


def same_way(one: TestResult, other: TestResult) -> bool:
    """Two failures are the same by outcome and exception type; messages differ between honest runs."""
    return one.outcome is other.outcome and bool(_types(one) & _types(other))


def _types(result: TestResult) -> frozenset[str]:
    if result.failure is None:
        return frozenset({""})
    return frozenset(result.failure.group or (result.failure.exception,))


def _unexplained(result: TestResult) -> str:
    if result.outcome is Outcome.FAILED:
        return ""
    what = "cannot be collected" if result.collection else "fails in its set-up or tear-down"
    return f"{what}{': ' + result.message if result.message else ''}"


def _set_up(failure: Failure, project: Project) -> str:
    """Outside of the test's own steps only the code under test may fail."""
    own_set_up = any(function in _SET_UPS for function in failure.functions)
    if failure.when == "call" and not own_set_up:
        return ""
    if _from_product(failure, project) or _of_product(failure, project):
        return ""
    said = f"{failure.exception}: {failure.message}".strip(": ").splitlines()[0]
    where = {"collect": "cannot be imported", "teardown": "fails in its tear-down"}.get(
        failure.when, "fails in its own set-up"
    )
    return f"{where} ({said})"


def _import(failure: Failure, result: TestResult, project: Project) -> str:
    if failure.owner_file:
        if project.is_test_path(failure.owner_file):
            return f"imports '{failure.missing}', which its own {failure.owner_file} does not have"
        return ""
    if failure.owner_foreign:
        return (
            f"imports '{failure.missing}' from '{failure.owner}', an installed package that does not have it"
        )
    module = failure.owner if failure.exception == "ImportError" and failure.owner else failure.missing
    top = module.partition(".")[0]
    if not top:
        return f"cannot be imported ({failure.message.splitlines()[0] if failure.message else 'ImportError'})"
    if top in project.test_modules and top not in project.modules:
        return f"imports '{module}', which the tests do not have"
    if top in project.modules or _is_planned(top, result, project):
        return ""
    if normal(top) in project.dependencies:
        return f"needs '{top}', which the project declares but its environment does not have installed"
    if top in sys.stdlib_module_names:
        return f"imports '{module}', which this version of Python does not have"
    return (
        f"imports '{module}', which is neither a module of this project nor installed: if this story is to "
        f"add it, call the test file test_{top}.py; otherwise do without it"
    )


def _is_planned(top: str, result: TestResult, project: Project) -> bool:
    """A top-level module that is not there: to be added by the story, or a dependency that is missing?

    Nothing can tell for sure. It counts as planned when the test file is named after it, the story names it
    as code, the project is called so, or there is no code yet at all.
    """
    if normal(top) in project.dependencies or top in sys.stdlib_module_names:
        return False
    stem = PurePosixPath(result.file or "").stem
    if stem in (f"test_{top}", f"{top}_test") or normal(top) == normal(project.name):
        return True
    if not project.modules:
        return True
    word = re.escape(top)
    as_code = (
        rf"`[^`\n]*\b{word}\b[^`\n]*`",
        rf"\b{word}(\.py\b|/|\.\w+\()",
        rf"\b(from|import|module|package)\s+{word}\b",
        rf"\b{word}\s+(module|package)\b",
    )
    return any(re.search(pattern, project.story) for pattern in as_code)


def _from_product(failure: Failure, project: Project) -> bool:
    """The exception came out of, or through, the code under test."""
    return any(not project.is_test_path(path) for path in failure.files)


def _of_product(failure: Failure, project: Project) -> bool:
    """What is missing or called wrongly belongs to the code under test."""
    return bool(failure.owner_file) and not project.is_test_path(failure.owner_file)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _where(path: str) -> str:
    return f"{path}: " if path else ""


def _fixture_in(detail: str) -> str:
    found = re.search(r"fixture '([^']+)' not found", detail)
    return found[1] if found else "?"
