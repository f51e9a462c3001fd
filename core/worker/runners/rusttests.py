"""PURE: which files of a Rust project are tests, and the tests inside of its code, found without a compiler.

Nothing here needs to understand Rust fully: what is taken for a part of the tests is only compared with the
same file's at another time.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

_OPAQUE = re.compile(
    # One without an end goes to the text's: looked for again from each place, it took far too long.
    r"""//[^\n]*|/\*.*?(?:\*/|\Z)|(?<!\w)(?:b|c)?r(?P<hashes>\#*)".*?(?:"(?P=hashes)|\Z)"""
    r"""|(?:b|c)?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\\n])'""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"#!?\s*\[")
# Attributes that make what follows a part of the tests, and what could make assertions mean something else.
_OF_TESTS = re.compile(
    r"^#!?\s*\[\s*(?:cfg(?:_attr)?\s*\((?:.*\W)?test\W.*|(?:\w+\s*::\s*)*(?:test|rstest|test_case|ignore|should_panic|"
    r"proptest|quickcheck)\b.*)\]$",
    re.DOTALL,
)
_MACROS = re.compile(
    r"\bmacro_rules\s*!\s*(?:assert\w*|debug_assert\w*|panic|test)\b|\bmacro\s+(?:assert\w*|panic)\b"
)
_TESTED_KEYS = ("test", "bench")
_OF_RUNS = ("profile", "lib", "bin", "test", "bench", "example", "features", "workspace", "lints",
            "patch", "replace")  # fmt: skip
# Crates whose macros judge: from where they come is a part of the tests.
_LIBRARIES = frozenset(
    {"pretty_assertions", "similar-asserts", "assert_matches", "assert_cmd", "predicates", "claims", "approx",
     "insta", "expect-test", "googletest", "rstest", "test-case", "proptest", "quickcheck", "mockall"}
)  # fmt: skip
_SOURCES = ("path", "git", "branch", "rev", "tag", "registry", "package")
_OF_PACKAGE = (
    "autotests",
    "autobins",
    "autoexamples",
    "autolib",
    "edition",
    "build",
    "default-run",
    "resolver",
)


def inner_tests(source: str) -> str:
    """The parts of a source file that belong to its tests, in their order; "" when it has none."""
    return "\n".join(_parts(source))


def _parts(source: str) -> Iterator[str]:
    blank = _OPAQUE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)
    at = 0
    while found := _ATTRIBUTE.search(blank, at):
        end = _closing(blank, found.end() - 1)
        at = end
        if _OF_TESTS.match(blank[found.start() : end]):
            at = end if blank[found.start() : end].startswith("#!") else _item_end(blank, end)
            yield " ".join(source[found.start() : at].split())
    for found in _MACROS.finditer(blank):
        yield " ".join(source[found.start() : _item_end(blank, found.end())].split())


def _closing(text: str, at: int) -> int:
    """Behind the bracket that closes the one at `at`; the end when none does."""
    depth = 0
    for index in range(at, len(text)):
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
            if depth == 0:
                return index + 1
    return len(text)


def _item_end(text: str, at: int) -> int:
    """Behind an item: its `;`, or the brace that ends its body. Attributes on the way belong to it."""
    index = at
    while index < len(text):
        if text[index] in "([":
            index = _closing(text, index)
        elif text[index] == "{":
            return _closing(text, index)
        elif text[index] in ";,":
            return index + 1
        else:
            index += 1
    return len(text)


def source_digests(path: str, content: bytes) -> Mapping[str, str]:
    """Of the tests inside of a source file; empty when it has none."""
    part = inner_tests(content.decode(errors="replace"))
    return {f"the tests inside {path}": hashlib.sha256(part.encode()).hexdigest()} if part else {}


def manifest_digest(content: bytes) -> str:
    """Of the part of a Cargo.toml that decides how tests are built and run: dependencies may change, this may
    not. What cannot be read is digested whole.
    """
    try:
        document: dict[str, Any] = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return hashlib.sha256(content).hexdigest()
    package = document.get("package")
    kept = {name: document[name] for name in _OF_RUNS if name in document}
    if isinstance(kept.get("workspace"), dict):
        kept["workspace"] = {
            name: value
            for name, value in kept["workspace"].items()
            if name in ("members", "exclude", "lints")
        }
    if isinstance(package, dict):
        kept["package"] = {name: package[name] for name in _OF_PACKAGE if name in package}
    kept["libraries"] = [
        (name, [(key, crate[key]) for key in _SOURCES if key in crate])
        for table in (document, document.get("workspace"))
        for kind in ("dependencies", "dev-dependencies")
        for name, crate in sorted(_table(_table(table).get(kind)).items())
        if name in _LIBRARIES and isinstance(crate, dict) and any(key in crate for key in _SOURCES)
    ]
    return hashlib.sha256(repr(_sorted(kept)).encode()).hexdigest()


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return [(name, _sorted(value[name])) for name in sorted(value)]
    return [_sorted(item) for item in value] if isinstance(value, list) else value
