"""Pure modules do no I/O, read no clock, draw no randomness and log nothing.

Held to it is what is listed here, with all that it imports of ours, and what says PURE in its docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("bot", "cogs", "config", "core")

PURE = (
    "core/domain/*.py",
    "core/isolation/plan.py",
    "core/worker/gates/design.py",
    "core/worker/gates/red.py",
    "core/worker/gates/green.py",
    "core/worker/gates/honesty.py",
    "core/agents/policy.py",
)

# What a pure module may import of the standard library: nothing in there reaches outside by being called, but
# for the names below. Path is a value.
# fmt: off
HARMLESS = frozenset(
    {
        "__future__", "abc", "ast", "base64", "bisect", "collections", "configparser", "copy",
        "dataclasses", "datetime", "decimal", "defusedxml", "difflib", "enum", "errno", "fnmatch",
        "fractions", "functools", "hashlib", "heapq", "hmac", "html", "ipaddress", "itertools", "json",
        "math", "numpy", "operator", "pathlib", "posixpath", "re", "shlex", "statistics", "string",
        "struct", "textwrap", "tomllib", "types", "typing", "unicodedata", "xml",
    }
)
REACHING_NAMES = frozenset(
    {
        "breakpoint", "eval", "exec", "input", "open", "print", "__import__"
    }
)
REACHING_METHODS = frozenset(
    {
        "absolute", "chmod", "cwd", "exists", "expanduser", "expandvars", "glob", "hardlink_to",
        "home", "is_dir", "is_file", "is_mount", "is_symlink", "iterdir", "lstat", "mkdir", "now",
        "open", "read", "read_bytes", "read_text", "readlink", "resolve", "rglob", "rmdir", "samefile",
        "stat", "symlink_to", "today", "touch", "unlink", "utcnow", "write_bytes",
        "write_text"
    }
)
REACHING_OF_NUMPY = frozenset(
    {
        "fromfile", "fromregex", "genfromtxt", "load", "loadtxt", "memmap", "random", "save", "savetxt",
        "savez", "savez_compressed", "tofile"
    }
)
HARMLESS_PARTS = frozenset({"urllib.parse"})  # takes texts apart; the rest of the package goes out
HARMLESS_OF_SYS = frozenset({"stdlib_module_names", "builtin_module_names"})
# fmt: on


# Renderers make values of these.
FACES_MAY_NAME = ("imports discord", "imports aiohttp")


def listed_modules() -> list[Path]:
    return sorted({path for pattern in PURE for path in ROOT.glob(pattern)})


def self_declared_modules() -> list[Path]:
    return sorted(path for top in OURS for path in (ROOT / top).rglob("*.py") if says_pure(path))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def says_pure(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "PURE" in text and "PURE" in (ast.get_docstring(ast.parse(text)) or "")


def impurities(source: str) -> Iterator[str]:
    """Sentences, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{alias.name}" for alias in node.names if node.module == "numpy"]
            for name in names:
                top = name.split(".")[0]
                if top == "numpy" and not REACHING_OF_NUMPY.isdisjoint(name.split(".")):
                    yield f"line {node.lineno}: imports {name}"
                fine = top in HARMLESS or name in HARMLESS_PARTS or top in OURS
                if not fine and not _is_plain_sys(node):
                    yield f"line {node.lineno}: imports {name}"
        elif isinstance(node, ast.Name) and node.id in REACHING_NAMES:
            yield f"line {node.lineno}: uses {node.id}"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in REACHING_METHODS:
            yield f"line {node.lineno}: calls {ast.unparse(node.func)}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "sys":
            if node.attr not in HARMLESS_OF_SYS:
                yield f"line {node.lineno}: uses sys.{node.attr}"
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np", "numpy"):
            if node.attr in REACHING_OF_NUMPY:
                yield f"line {node.lineno}: uses numpy.{node.attr}"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"line {node.lineno}: waits"


def _is_plain_sys(node: ast.Import | ast.ImportFrom) -> bool:
    """`import sys` alone: what is used of it is looked at where it is used."""
    return isinstance(node, ast.Import) and [alias.name for alias in node.names] == ["sys"]


def imported_of_ours(path: Path) -> Iterator[Path]:
    """Files, also those imported inside a function; not those for type checkers only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] in OURS:
                yield from file_of(name)


def file_of(module: str) -> Iterator[Path]:
    stem = ROOT.joinpath(*module.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            yield candidate


def test_what_is_listed_is_pure_with_all_that_it_imports() -> None:
    seen: set[Path] = set()
    queue = listed_modules()
    found = []
    while queue:
        module = queue.pop()
        if module in seen:
            continue
        seen.add(module)
        found += [f"{named(module)} {what}" for what in impurities(module.read_text(encoding="utf-8"))]
        queue += imported_of_ours(module)
    assert found == []


def test_a_module_that_says_so_is_pure() -> None:
    """It may take value types from modules that are not."""
    modules = self_declared_modules()
    found = []
    for path in modules:
        outside = FACES_MAY_NAME if named(path).startswith(("bot/", "cogs/")) else ()
        found += [
            f"{named(path)} {what}"
            for what in impurities(path.read_text(encoding="utf-8"))
            if not (outside and what.endswith(outside))
        ]
    assert found == []
    assert len(modules) > 200


def test_every_pattern_means_something() -> None:
    assert [pattern for pattern in PURE if not list(ROOT.glob(pattern))] == []


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import sys\nsys.argv",
        "from sys import stdin",
        "import logging",
        "from random import choice",
        "import time",
        "import asyncio",
        "import secrets, re",
        "import requests",
        "import numpy as np\nnp.random.random()",
        "import numpy as np\nnp.load('x')",
        "from numpy import random",
        "import numpy.random",
        "def f():\n    import subprocess",
        "open('x')",
        "print('x')",
        "from datetime import datetime\ndatetime.now()",
        "from pathlib import Path\nPath('x').read_text()",
        "from pathlib import Path\nPath('x').exists()",
        "async def f(): ...",
        "eval('1')",
    ],
)
def test_what_reaches_outside_is_seen(source: str) -> None:
    assert list(impurities(source))


@pytest.mark.parametrize(
    "source",
    [
        "from pathlib import Path\nPath('a') / 'b'",
        "from datetime import datetime\ndef f(now: datetime) -> str: return now.isoformat()",
        "import sys\n'os' in sys.stdlib_module_names",
        "import re\nre.compile('x')",
        "from core.errors import OrchardError",
    ],
)
def test_values_are_fine(source: str) -> None:
    assert list(impurities(source)) == []


def test_an_impure_module_behind_a_pure_one_is_reached() -> None:
    reached = list(imported_of_ours(ROOT / "core" / "isolation" / "machine.py"))
    assert ROOT / "core" / "isolation" / "launch.py" in reached
