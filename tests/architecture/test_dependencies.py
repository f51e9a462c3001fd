"""What is installed is what pyproject.toml declares and requirements.lock pins, with hashes."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = ("bot", "cogs", "config", "core")
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)( ; .+?)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M
)


def declared(*, tests: bool = True) -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    more = [
        line for name, lines in extras.items() if tests or name not in ("test", "build") for line in lines
    ]
    return [Requirement(line) for line in (*PROJECT["dependencies"], *more)]


def pinned() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, version, _, _ in PINNED.findall(LOCK):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def test_every_line_of_the_lock_is_a_version_with_hashes() -> None:
    lines = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(lines) == len(PINNED.findall(LOCK))
    assert not [line for line in lines if "@" in line or "://" in line]
    assert "--index-url" not in LOCK
    assert "--trusted-host" not in LOCK


def test_the_lock_holds_each_declared_dependency_in_a_version_that_is_declared() -> None:
    found = pinned()
    for each in declared():
        versions = found.get(canonicalize_name(each.name), [])
        assert versions, f"{each} is not in requirements.lock: make lock"
        assert all(each.specifier.contains(version) for version in versions), f"{each}: make lock"


def test_the_lock_is_complete() -> None:
    """All that the declared ones need on this platform, down to the last."""
    found, seen = pinned(), set()
    left = [(each.name, frozenset(each.extras)) for each in declared()]
    while left:
        name, extras = left.pop()
        if (canonicalize_name(name), extras) in seen:
            continue
        seen.add((canonicalize_name(name), extras))
        assert canonicalize_name(name) in found, f"{name} is not in requirements.lock: make lock"
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue  # of an extra that is not installed here
        for need in map(Requirement, needs):
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                left.append((need.name, frozenset(need.extras)))
    assert len(seen) > len(declared())


def imported(source: str) -> Iterator[str]:
    """The top modules that a source names anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


# Part of what a declared one is used by: its versions are that one's choice.
_PART_OF = {
    "h11": "uvicorn",
    "markupsafe": "jinja2",
    "multidict": "aiohttp",
    "packaging": "pytest",
    "pydantic_core": "pydantic",
    "requests": "pygithub",
    "socketio": "nicegui",
    "starlette": "fastapi",
    "urllib3": "pygithub",
    "yarl": "aiohttp",
}
_NAMED = re.compile(r"^[ \t]*(?:from|import)[ \t]+(\w+)", re.MULTILINE)


def undeclared(paths: list[Path], requirements: list[Requirement], own: frozenset[str]) -> set[str]:
    allowed = {canonicalize_name(each.name) for each in requirements}
    makers = packages_distributions()
    fine = {name for name, by in makers.items() if {canonicalize_name(each) for each in by} & allowed}
    fine |= {part for part, whole in _PART_OF.items() if whole in allowed}
    fine |= sys.stdlib_module_names | own
    wrong = set()
    for path in paths:
        source = path.read_text()
        # Read as a whole only where a line may name one, since that takes its time.
        if not set(_NAMED.findall(source)) <= fine:
            wrong |= {f"{path} imports {name}" for name in set(imported(source)) - fine}
    return wrong


def test_the_product_imports_only_what_is_declared() -> None:
    paths = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    # Top-level where they run: in the project's own test process, and in an agent's.
    alone = [path.stem for path in (ROOT / "core/worker/probe").glob("*.py")]
    own = frozenset((*OURS, *alone, "orchard_replay"))
    assert undeclared(paths, declared(tests=False), own) == set()


def test_the_tests_import_only_what_is_declared() -> None:
    paths = [*(ROOT / "tests/architecture").glob("*.py"), *(ROOT / "tests").rglob("conftest.py")]
    assert undeclared(paths, declared(), frozenset((*OURS, "tests"))) == set()


@pytest.mark.parametrize(
    "source", ["import idna.core", "def f():\n    from idna import core", "import os, idna"]
)
def test_an_import_that_is_not_declared_is_found(tmp_path: Path, source: str) -> None:
    assert "idna" in set(imported(source))
    path = tmp_path / "x.py"
    path.write_text(f"{source}\nimport idna\n")
    assert undeclared([path], declared(), frozenset()) == {f"{path} imports idna"}
