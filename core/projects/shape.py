"""What a project looks like from its file names. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable

# File at a project's top -> what people call it.
MARKERS = {
    "pyproject.toml": "Python",
    "setup.py": "Python",
    "setup.cfg": "Python",
    "requirements.txt": "Python",
    "package.json": "JavaScript",
    "deno.json": "JavaScript",
    "Cargo.toml": "Rust",
    "go.mod": "Go",
    "pom.xml": "Java",
    "build.gradle": "Java",
    "build.gradle.kts": "Kotlin",
    "Gemfile": "Ruby",
    "composer.json": "PHP",
    "mix.exs": "Elixir",
    "Package.swift": "Swift",
    "CMakeLists.txt": "C or C++",
    "meson.build": "C or C++",
}

# Folders that hold other people's code or a build's results.
FOREIGN = frozenset(
    {
        "node_modules", "bower_components", "jspm_packages", "vendor", "vendored", "third_party",
        "third-party", "site-packages", "__pycache__", "venv", "virtualenv", "target", "build", "dist", "out",
        "Pods", "Carthage", "DerivedData",
    }
)  # fmt: skip

_TEST = re.compile(
    r"(^|/)(test_[^/]*|[^/]*_test)\.py$"
    r"|\.(test|spec)\.[cm]?[jt]sx?$|(^|/)__tests__/[^/]+\.[cm]?[jt]sx?$"
    r"|_test\.(go|exs|rb|dart)$|_spec\.rb$"
    r"|(^|/)tests/[^/]+\.rs$|(^|/)src/test/|Tests?\.(java|kt|cs|swift|php)$"
)


def is_like_a_test(path: str) -> bool:
    """Whether a file's path, with "/" between its parts, follows a test runner's usual naming."""
    return _TEST.search(path) is not None


def kinds(names: Iterable[str]) -> tuple[str, ...]:
    """The marker files among the names of a folder, in the table's order."""
    there = set(names)
    return tuple(name for name in MARKERS if name in there)
