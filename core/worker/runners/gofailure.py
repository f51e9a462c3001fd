"""PURE: what the Go compiler's errors and a test's words tell of the cause."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.domain.evidence import Failure
from core.worker.runners.programs import most_telling

Error = Mapping[str, Any]

_UNDEFINED = re.compile(r"^undefined: (?:(?P<owner>\w+)\.)?(?P<name>\w+)")
_UNEXPORTED = re.compile(
    r"(?:cannot refer to unexported (?:name|symbol) |name )(?:(?P<owner>\w+)\.)?(?P<name>\w+)"
    r"(?: not exported by package (?P<package>\w+))?"
)
_MEMBER = re.compile(r"\.(?P<name>\w+) undefined \(type (?P<type>[^ )]+) has no (?:field|method)")
_FIELD = re.compile(r"unknown field '?(?P<name>\w+)'? in struct literal(?: of type (?P<type>[\w.*]+))?")
_CALL = re.compile(
    r"(?:not enough|too many) arguments in call to (?P<call>[\w.]+)|"
    r"assignment mismatch: .* but (?P<other>[\w.]+)(?:\(.*\))? returns"
)
_NO_PACKAGE = re.compile(
    r"(?:no required module provides package |package |cannot find package \"?)(?P<path>[\w./-]+)"
    r"(?= is not in |;|\"|: | \()"
)
_SYNTAX = re.compile(r"syntax error|^expected |^missing |illegal |not terminated|^found ")
# Packages that a test forgot to import, rather than names that are to come.
_PACKAGES = frozenset(
    {"assert", "bytes", "context", "cmp", "errors", "fmt", "filepath", "http", "httptest", "io", "json",
     "maps", "math", "os", "path", "rand", "reflect", "regexp", "require", "slices", "sort", "strconv",
     "strings", "sync", "testing", "time", "url"}
)  # fmt: skip
_PANIC = re.compile(r"^panic: (?P<message>[^\n]*)", re.MULTILINE)
_SAID = re.compile(r"^\s+(?P<file>\w[\w.-]*_test\.go):\d+: (?P<message>[^\n]*)", re.MULTILINE)


def why_broken(errors: Sequence[Error]) -> Failure:
    return most_telling([_failure(error) for error in errors])


def _failure(error: Error) -> Failure:
    message, own, product = str(error["message"]), str(error["file"]), str(error["product"])

    def made(exception: str, **rest: Any) -> Failure:
        return Failure(exception=exception, when="collect", message=message[:500], files=(own,), **rest)

    def of(owner: str, name: str) -> Failure:
        """Something of a package, or of this one."""
        if not owner and name in error["defines"]:
            return made("ImportError", missing=name, owner=own, owner_file=own)
        if (owner and owner in error["own"]) or (not owner and error["inside"] and name not in _PACKAGES):
            return made("ImportError", missing=name, owner=owner or product, owner_file=product)
        if not owner:
            return made("NameError", missing=name)
        return made("ImportError", missing=name, owner=owner, owner_foreign=True)

    if _SYNTAX.search(message):
        return made("SyntaxError", syntax_file=own)
    if no_package := _NO_PACKAGE.search(message):
        path, module = no_package["path"], str(error["module"])
        if module and f"{path}/".startswith(f"{module}/"):
            return made("ImportError", missing=path, owner=product, owner_file=product)
        return made("ModuleNotFoundError", missing=path, owner="go.mod", owner_foreign=True)
    if undefined := _UNDEFINED.search(message):
        return of(undefined["owner"] or "", undefined["name"])
    if unexported := _UNEXPORTED.search(message):
        return of(unexported["owner"] or unexported["package"] or "", unexported["name"])
    if member := _MEMBER.search(message) or _FIELD.search(message):
        return _member(member["name"], member["type"] or "", error, made)
    if call := _CALL.search(message):
        owner, _, name = (call["call"] or call["other"]).rpartition(".")
        if owner and owner not in error["own"] and not error["inside"]:
            return made("compile error")
        found = of("" if owner not in error["own"] else owner, name)
        return made("compile error", owner_file=found.owner_file if found.owner_file != own else "")
    return made("compile error")


def _member(name: str, type_name: str, error: Error, made: Any) -> Failure:
    """A method or field that a type does not have."""
    owner, _, bare = type_name.strip("*[]").rpartition(".")
    known = (
        owner in error["own"]
        if owner
        else bare[:1].isupper() or bool(error["inside"] and not _is_basic(bare))
    )
    file = error["file"] if not owner and bare in error["defines"] else error["product"] if known else ""
    failure: Failure = made(
        "AttributeError", missing=name, owner=type_name, owner_file=file, owner_foreign=not file
    )
    return failure


def _is_basic(name: str) -> bool:
    return (
        re.fullmatch(r"string|bool|byte|rune|error|any|u?int\d*|uintptr|float\d+|complex\d+|map.*|", name)
        is not None
    )


def why_failed(output: str, code: int) -> Failure:
    """A panic, what the test said, a signal."""
    if panic := _PANIC.search(output):
        return Failure(exception="panic", message=panic["message"].strip()[:500])
    if code < 0:
        return Failure(exception=f"signal {-code}", message="the test's process was killed")
    said = _SAID.search(output)
    if said is not None or "--- FAIL" in output:
        return Failure(exception="AssertionError", message=said["message"][:500] if said else "")
    return Failure(exception=f"exit code {code}", message="the test's process ended so")
