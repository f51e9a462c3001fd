"""PURE: why a JavaScript test failed, from what was thrown: the words of node, jest and vitest."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from core.domain.evidence import Failure

_NO_EXPORT = re.compile(
    r"requested module '(?P<owner>[^']+)' does not provide an export named '(?P<name>\w+)'"
)
_NO_NAMED = re.compile(r"Named export '(?P<name>\w+)' not found\. The requested module '(?P<owner>[^']+)'")
_NO_MODULE = re.compile(
    r"(?:Cannot find (?:module|package)|Failed to resolve import|Failed to load url) "
    r"(?P<quote>['\"]?)(?P<module>[^'\"\s]+)(?P=quote)(?: \(resolved id: [^)]*\))?"
    r"(?: (?:imported from|from|in) (?P<by>['\"]?)(?P<importer>[^'\"\s]+?)(?P=by)(?=\.? |\.?$|\s))?",
    re.MULTILINE,
)
_NOT_MAPPED = re.compile(r"Could not locate module (?P<module>\S+) mapped as:")
_NO_NAME = re.compile(r"^(\w+) is not defined")
# What builds the test files says when one of them is no JavaScript.
_NO_PARSE = re.compile(
    r"Jest encountered an unexpected token|\[PARSE_ERROR\]|Transform failed with \d+ error|Parse failure"
)
_NO_PARSE_WHERE = re.compile(r"(?:^|[\s\[])(?P<path>[^\s\[\]:]+\.[cm]?[jt]sx?)(?::\d+:\d+|: )", re.MULTILINE)
_NO_SNAPSHOT = "New snapshot was not written"
_ALIASED = ("@/", "~/", "#", "$lib/")  # how projects call their own folders
_QUOTED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_STEP = re.compile(r"(?:file://)?(/[^\s()]+?):\d+(?::\d+)?\)?$", re.MULTILINE)


def read_failure(error: Mapping[str, str], *, path: str, cwd: str, checkout: str, when: str) -> Failure:
    """`error` has name, message and stack; `path` is the test file's, `cwd` the project's folder in
    `checkout`, all absolute.
    """
    name, message, stack = error["name"], error["message"], error["stack"]
    files = _steps(stack, checkout)
    importer = f"{checkout}/{files[-1]}" if files else path

    def made(exception: str, **rest: Any) -> Failure:
        return Failure(exception=exception, when=when, message=message[:500], files=files, **rest)

    def of_owner(exception: str, missing: str, owner: str, owner_file: str) -> Failure:
        foreign = not owner_file
        return made(exception, missing=missing, owner=owner, owner_file=owner_file, owner_foreign=foreign)

    if no_export := _NO_EXPORT.search(message) or _NO_NAMED.search(message):
        owner = no_export["owner"]
        return of_owner("ImportError", no_export["name"], owner, _inside(owner, importer, cwd, checkout))
    if no_module := _NO_MODULE.search(message):
        missing = no_module["module"]
        by = posixpath.join(cwd, no_module["importer"]) if no_module["importer"] else importer
        owner_file = _inside(missing, by, cwd, checkout)
        called = posixpath.basename(missing) if owner_file else missing
        return of_owner("ModuleNotFoundError", called, "node_modules", owner_file)
    if not_mapped := _NOT_MAPPED.search(message):
        missing = not_mapped["module"]
        return of_owner("ModuleNotFoundError", posixpath.basename(missing), "", missing)
    if name == "ReferenceError" and (no_name := _NO_NAME.search(message)):
        return made(name, missing=no_name[1])
    if when == "collect" and (name == "SyntaxError" or _NO_PARSE.search(f"{message}\n{stack}")):
        return made("SyntaxError", syntax_file=_unparsed(message, cwd, checkout) or (files or ("",))[-1])
    if _NO_SNAPSHOT in message:
        return made("SnapshotMissing")
    return made(name)


def _inside(module: str, importer: str, cwd: str, checkout: str) -> str:
    """The repository's file that an import names; "" for a package or what lies outside."""
    if module.startswith(_ALIASED):
        return module.lstrip("@~#$/")
    if not module.startswith((".", "/")):
        return ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(importer), module))
    if not path.startswith(f"{checkout}/") and module.startswith("/"):
        path = f"{cwd}{path}"  # vite names files from the project's folder
    return path.removeprefix(f"{checkout}/") if path.startswith(f"{checkout}/") else ""


def _unparsed(message: str, cwd: str, checkout: str) -> str:
    """The file that cannot be read as a program, from the repository's top; "" when the words do not say."""
    found = _NO_PARSE_WHERE.search(message)
    path = posixpath.normpath(posixpath.join(cwd, found["path"])) if found else ""
    return path.removeprefix(f"{checkout}/") if path.startswith(f"{checkout}/") else ""


def _steps(stack: str, checkout: str) -> tuple[str, ...]:
    """The repository's files in a stack, innermost last; packages left out."""
    found = [_unquoted(path) for path in _STEP.findall(stack)]
    inside = [path.removeprefix(f"{checkout}/") for path in found if path.startswith(f"{checkout}/")]
    return tuple(dict.fromkeys(path for path in reversed(inside) if "node_modules/" not in path))


def _unquoted(path: str) -> str:
    """A path out of a file URL."""
    return _QUOTED.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(errors="replace"), path)
