"""PURE: which files configure jest or vitest, and digests of the part that does."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator

from core.worker.runners.digests import digest_of
from core.worker.runners.nodecommand import package_digest

_NAMES = re.compile(
    r"(jest|vitest|vite)[\w.-]*[.-](config|workspace|projects|setup|preset)([.-][\w-]+)*\.([cm]?[jt]sx?|json)"
    r"|setupTests\.[cm]?[jt]sx?|babel\.config\.\w+|\.babelrc(\.\w+)?|\.swcrc|tsconfig([.-][\w-]+)*\.json"
    r"|package\.json|\.npmrc"
)
# What configuration names by these keys is loaded before the tests, or instead of what runs them.
_KEYS = re.compile(
    r"\b(setupFiles|setupFilesAfterEnv|globalSetup|globalTeardown|testEnvironment|environment|transform|resolver"
    r"|runner|testRunner|reporters|snapshotSerializers|snapshotEnvironment|snapshotResolver|testSequencer|preset"
    r"|projects|workspace|extends|dependencyExtractor|testResultsProcessor|runtime|sequencer|diff)\b['\"]?\s*:\s*"
)
_IMPORTS = re.compile(
    r"(?:\bfrom|\bimport|\brequire(?:\.resolve)?|\bimport)\s*\(?\s*(['\"])(?P<path>\.{1,2}/[^'\"]+)\1"
)
_LITERAL = re.compile(r"(['\"`])(?P<text>[^'\"`\n]+)\1")
_PAIRS = {"[": "]", "{": "}", "(": ")"}
_ENDS = re.compile(r"\.([cm]?[jt]sx?|json)$")


def is_config_name(name: str) -> bool:
    """Whether a file of this name may configure jest, vitest or what translates for them."""
    return _NAMES.fullmatch(name) is not None


def is_main_config(name: str, tool: str) -> bool:
    """Whether the runner reads a file of this name by itself."""
    ends = r"\.([cm]?[jt]s|json)" if tool == "jest" else r"\.[cm]?[jt]s"
    return re.fullmatch(rf"{tool}\.(config|workspace){ends}", name) is not None


def named_files(text: str, folder: str) -> frozenset[str]:
    """Files that a configuration in `folder` names as loaded by it, without their endings: from the
    repository's top, by their words only, since nothing of the project is executed for it.
    """
    found = [match["path"] for match in _IMPORTS.finditer(text)]
    for key in _KEYS.finditer(text):
        found += [match["text"] for match in _LITERAL.finditer(_value(text, key.end()))]
    return frozenset(without_end(path) for literal in found for path in _resolved(literal, folder))


def without_end(path: str) -> str:
    return _ENDS.sub("", path).removesuffix("/index")


def _resolved(literal: str, folder: str) -> Iterator[str]:
    local = literal.replace("<rootDir>/", "./")
    if local.startswith("/"):
        return
    path = posixpath.normpath(posixpath.join("" if folder == "." else folder, local))
    if not path.startswith(".."):
        yield path


def _value(text: str, start: int) -> str:
    """What stands behind a key: to the end of its brackets, or of its line."""
    opened: list[str] = []
    for at in range(start, len(text)):
        letter = text[at]
        if letter in _PAIRS:
            opened.append(_PAIRS[letter])
        elif opened and letter == opened[-1]:
            opened.pop()
            if not opened and text[start] in _PAIRS:
                return text[start : at + 1]
        elif not opened and letter in ",}\n":
            return text[start:at]
    return text[start:]


def js_package_digest(package: bytes) -> str:
    """Of the parts of a package.json that decide how jest and vitest run."""
    try:
        found = json.loads(package)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return digest_of(package)
    part = json.dumps([package_digest(package), found.get("jest"), found.get("babel")], sort_keys=True)
    return digest_of(part.encode())
