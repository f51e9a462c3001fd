"""PURE: reads how a JavaScript project runs its tests, and says why it is or is not `node --test`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from core.worker.runners.digests import digest_of
from core.worker.runners.invocation import has_shell, hides_its_exit_code

_NODE = re.compile(r"(.*/)?node(js)?")
_FILE = re.compile(r"(test|test-.+|.+[.\-_]test)\.[cm]?js")
_CODE = (".js", ".mjs", ".cjs")
# Options of node that its test processes need too; the first kind takes a value.
_LOADING = ("--import", "--require", "-r", "--loader", "--experimental-loader", "--conditions", "-C")
_DROPPED = (  # they change how results are shown or what is left out; every test is run, one after another
    "--test", "--test-only", "--test-force-exit", "--experimental-test-coverage",
)  # fmt: skip
_DROPPED_WITH_VALUE = (
    "--test-reporter",
    "--test-reporter-destination",
    "--test-concurrency",
    "--test-timeout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCommand:
    """A plain call of `node --test`. `named`: files, folders or globs; empty: node's own rule."""

    text: str
    options: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()  # files of the project that configure the tests, as written


def read_node_command(text: str) -> NodeCommand | None:
    """None for what is no plain call of `node --test`, or selects tests by their names or by shards."""
    if has_shell(text) or "{junit}" in text:
        return None
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if not words or not _NODE.fullmatch(words[0]) or "--test" not in words:
        return None
    options: list[str] = []
    named: list[str] = []
    loaded: list[str] = []
    rest = iter(words[1:])
    for word in rest:
        name, given, value = word.partition("=")
        if name in _DROPPED:
            continue
        if name in _DROPPED_WITH_VALUE:
            _ = value if given else next(rest, "")
        elif name in _LOADING:
            value = value if given else next(rest, "")
            options.append(f"{name}={value}" if name.startswith("--") else f"{name} {value}")
            loaded.append(value.removeprefix("./"))
        elif word.startswith(("--test-", "--watch", "-e", "--eval")):
            return None
        elif word.startswith("-"):
            options.append(word)
        else:
            named.append(word.removeprefix("./"))
    return NodeCommand(text=text, options=tuple(options), named=tuple(named), loaded=tuple(loaded))


def why_not(script: str) -> str:
    """Why a test script is not run as `node --test`, as a sentence."""
    if "--test" in script and _NODE.search(script):
        if hides_its_exit_code(script):
            return f"Its test script `{script}` hides the exit code of its tests."
        return f"Its test script `{script}` does more than a plain `node --test`."
    return f"Its test script `{script}` is not one that is found without being told."


def is_node_test(path: str, named: Sequence[str] = ()) -> bool:
    """Whether node runs this file (relative to the project's folder) as a test."""
    pure = PurePosixPath(path)
    if "node_modules" in pure.parts:
        return False
    if named:
        return any(
            path == name
            or fnmatchcase(path, name)
            or fnmatchcase(path, name.replace("**/", ""))
            or (path.startswith(f"{name.rstrip('/')}/") and pure.suffix in _CODE)
            for name in named
        )
    if "test" in pure.parts[:-1]:
        return pure.suffix in _CODE
    return bool(_FILE.fullmatch(pure.name))


def package_digest(package: bytes) -> str:
    """Of the part of a package.json that decides how tests run: dependencies may change, this may not.

    What cannot be read is digested whole.
    """
    try:
        found = json.loads(package)
    except (ValueError, RecursionError):
        return digest_of(package)
    if not isinstance(found, dict):
        return digest_of(package)
    scripts = found.get("scripts")
    tests = (
        {name: text for name, text in scripts.items() if "test" in name} if isinstance(scripts, dict) else {}
    )
    part = json.dumps([tests, found.get("type"), found.get("imports")], sort_keys=True)
    return digest_of(part.encode())
