"""PURE: what javac's errors and a stack trace tell of the cause."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.domain.evidence import Failure
from core.worker.runners.programs import most_telling

Error = Mapping[str, Any]

_SYMBOL = re.compile(r"symbol:\s+(?:static )?(?P<kind>\w+) (?P<name>\w+)")
_STATIC = re.compile(r"symbol:\s+static (?P<name>\w+)")
_LOCATION = re.compile(
    r"location:\s+(?:@?\w+ )*?(?:\w+ of type )?(?P<place>[\w.$]+)(?:<.*>)?\s*$", re.MULTILINE
)
_NO_PACKAGE = re.compile(r"package (?P<name>[\w.]+) does not exist")
_SYNTAX = re.compile(
    r"expected$|illegal start of|reached end of file|not a statement|unclosed |<identifier>|orphaned|"
    r"malformed|without '|class, interface|illegal character"
)
_NAMES = re.compile(r"[A-Za-z_][\w.]*")
# What a test forgot to import, rather than classes that are to come.
_COMMON = frozenset(
    {"After", "AfterAll", "AfterEach", "ArrayList", "Arrays", "Assert", "Assertions", "Before", "BeforeAll",
     "BeforeEach", "Collections", "Disabled", "HashMap", "HashSet", "IOException", "List", "Map", "Mockito",
     "Nested", "Objects", "Optional", "ParameterizedTest", "Path", "Set", "Stream", "Test", "ValueSource"}
)  # fmt: skip
_STEP = re.compile(
    r"^\s+at (?:[\w.@/]+/)?(?P<where>[\w.$]+)\.[\w$<>]+\((?P<file>[\w]+\.\w+):\d+\)", re.MULTILINE
)


def why_broken(errors: Sequence[Error]) -> Failure:
    return most_telling([_failure(error) for error in errors])


def _failure(error: Error) -> Failure:
    message, own = str(error["message"]), str(error["file"])

    def made(exception: str, **rest: Any) -> Failure:
        said = f"{message} {' '.join(str(error['more']).split())}".strip()
        return Failure(exception=exception, when="collect", message=said[:500], files=(own,), **rest)

    if no_package := _NO_PACKAGE.search(message):
        name = no_package["name"]
        near = _of_code(name, error)
        if near:
            return made("ImportError", missing=name, owner=name, owner_file=near)
        return made("ModuleNotFoundError", missing=name, owner="pom.xml", owner_foreign=True)
    if message.startswith("cannot find symbol"):
        return _symbol(error, made)
    if _SYNTAX.search(message):
        return made("SyntaxError", syntax_file=own)
    # It is there, and in another shape.
    for name in _NAMES.findall(f"{message} {error['more']}"):
        if not message.startswith("incompatible types") and (file := _class_of(name, error["code"])):
            return made("compile error", owner_file=file)
    return made("compile error")


def _symbol(error: Error, made: Any) -> Failure:
    more = str(error["more"])
    symbol, location = _SYMBOL.search(more) or _STATIC.search(more), _LOCATION.search(more)
    name = symbol["name"] if symbol else ""
    kind = symbol.groupdict().get("kind") or "static" if symbol else ""
    place = location["place"] if location else ""
    if file := _class_of(place, error["code"]):
        failure: Failure = made("ImportError", missing=name, owner=place, owner_file=file)
    elif _class_of(place, error["own"]) not in ("", error["file"]):
        failure = made("ImportError", missing=name, owner=place, owner_file=_class_of(place, error["own"]))
    elif f"package {place}" in more and (near := _of_code(place, error)):
        failure = made("ImportError", missing=name, owner=place, owner_file=near)
    elif _class_of(place, error["own"]) or not place:
        # Nowhere in sight: a class of the package that the test is in may be to come, or a name that is
        # called upon like a class.
        near = _of_code(str(error["package"]), error)
        is_class = kind == "class" or (kind == "variable" and name[:1].isupper())
        if is_class and near and name not in _COMMON:
            failure = made("ImportError", missing=name, owner=error["package"], owner_file=near)
        else:
            failure = made("NameError", missing=name)
    else:
        failure = made("AttributeError", missing=name, owner=place, owner_foreign=True)
    return failure


def _class_of(name: str, classes: Mapping[str, str]) -> str:
    """The file of a class of the project, by its full or its own name, also of one inside of it."""
    if not name:
        return ""
    name = name.replace("$", ".")
    for full, file in classes.items():
        simple = full.rpartition(".")[2]
        if name in (full, simple) or name.startswith((f"{full}.", f"{simple}.")):
            return file
    return ""


def _of_code(package: str, error: Error) -> str:
    """A file of the code under test in that package, below it or above it."""
    for full, file in error["code"].items():
        of = full.rpartition(".")[0]
        if of and package and (f"{package}.".startswith(f"{of}.") or f"{of}.".startswith(f"{package}.")):
            return str(file)
    return ""


def files_of_trace(trace: str, classes: Mapping[str, str]) -> tuple[str, ...]:
    """The project's files that a stack trace passes, innermost last."""
    found = [classes.get(step["where"].partition("$")[0], "") for step in _STEP.finditer(trace)]
    return tuple(dict.fromkeys(file for file in reversed(found) if file))
