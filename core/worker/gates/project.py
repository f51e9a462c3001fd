"""What a gate must know of a project to tell a name that is to come from a dependency that is missing."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

from core.worker.gates.honesty import Project, normal
from core.worker.gitobjects import Entry
from core.worker.suite import Suite

_DECLARING = ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "tox.ini")
_REQUIREMENTS = re.compile(r"(^|/)([\w.-]*requirements[\w.-]*|requirements/[\w.-]+)\.(txt|in)$")
_DISTRIBUTION = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_NO_CODE = frozenset({"setup", "conftest", "noxfile", "fabfile", "tasks", "manage"})


class Reading(Protocol):
    async def entries(self, tree: str, *paths: str) -> tuple[Entry, ...]: ...

    async def read_files(self, tree: str, paths: Sequence[str]) -> dict[str, bytes]: ...


async def describe_project(suite: Suite, repository: Reading, tree: str, story: str) -> Project:
    """From the tree's file names and the files in which it declares its dependencies."""
    setup, runner = suite.bench.setup, suite.runner
    paths = [entry.path for entry in await repository.entries(tree)]
    roots = _roots(paths, setup.folder, suite.bench.environment.source_roots)
    declaring = [path for path in paths if _declares(path)]
    return Project(
        is_test_path=runner.is_test_path,
        modules=top_modules([path for path in paths if not runner.is_test_path(path)], roots),
        test_modules=top_modules([path for path in paths if runner.is_test_path(path)], roots),
        dependencies=dependencies_of(await repository.read_files(tree, declaring)),
        name=setup.name,
        story=story,
    )


def _roots(paths: Iterable[str], folder: str, source_roots: Sequence[str]) -> tuple[str, ...]:
    """Where Python looks for the project's modules, relative to the top."""
    base = "" if folder in ("", ".") else folder.strip("/")
    found = [base, f"{base}/src".strip("/"), f"{base}/lib".strip("/"), *source_roots, "", "src"]
    return tuple(dict.fromkeys("" if root == "." else root for root in found))


def top_modules(paths: Iterable[str], roots: Iterable[str]) -> frozenset[str]:
    """The top-level modules and packages that those files make importable."""
    found: set[str] = set()
    prefixes = [f"{root}/" if root else "" for root in roots]
    for path in paths:
        if not path.endswith((".py", ".pyi", ".so", ".pyx")):
            continue
        for prefix in prefixes:
            if path.startswith(prefix):
                first, _, rest = path[len(prefix) :].partition("/")
                found.add(first if rest else first.partition(".")[0])
    return frozenset(found - _NO_CODE)


def _declares(path: str) -> bool:
    return PurePosixPath(path).name in _DECLARING or _REQUIREMENTS.search(path) is not None


def dependencies_of(files: Mapping[str, bytes]) -> frozenset[str]:
    """Names of declared distributions, normalised; files that cannot be read declare nothing."""
    found: set[str] = set()
    for path, content in files.items():
        text = content.decode(errors="replace")
        name = PurePosixPath(path).name
        try:
            if name.endswith(".toml") or name == "Pipfile":
                lines = list(_of_toml(tomllib.loads(text)))
            elif name in ("setup.cfg", "tox.ini"):
                lines = list(_of_ini(text))
            elif name == "setup.py":
                lines = list(_of_setup(text))
            else:
                lines = [line for line in text.splitlines() if not line.lstrip().startswith(("#", "-"))]
        except (tomllib.TOMLDecodeError, configparser.Error, SyntaxError, ValueError):
            continue
        found |= {normal(match[1]) for line in lines if (match := _DISTRIBUTION.match(line))}
    return frozenset(found)


def _of_toml(document: Mapping[str, Any]) -> Iterable[str]:
    project = _table(document, "project")
    yield from _strings(project.get("dependencies"))
    for group in _table(project, "optional-dependencies").values():
        yield from _strings(group)
    for group in _table(document, "dependency-groups").values():
        yield from _strings(group)
    poetry = _table(document, "tool", "poetry")
    for table in (
        _table(poetry, "dependencies"),
        _table(poetry, "dev-dependencies"),
        *(_table(group, "dependencies") for group in _table(poetry, "group").values()),
        _table(document, "packages"),
        _table(document, "dev-packages"),
    ):
        yield from (name for name in table if name != "python")


def _of_ini(text: str) -> Iterable[str]:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    for section in parser.sections():
        for key, value in parser.items(section):
            if key in ("install_requires", "tests_require", "deps") or section == "options.extras_require":
                yield from (value or "").splitlines()


def _of_setup(text: str) -> Iterable[str]:
    """String literals of the lists given to `setup(..._require...=...)`; nothing is executed."""
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.keyword)
            and node.arg
            and "require" in node.arg
            and node.arg != "python_requires"
        ):
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


def _table(document: Any, *names: str) -> Mapping[str, Any]:
    found = document
    for name in names:
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _strings(value: Any) -> Iterable[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
