"""PURE: reads a call of jest or vitest, from a test script or a `test_command`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.worker.runners.invocation import has_shell

TOOLS = ("vitest", "jest")  # a script of vitest may name jest's globals, never the other way about

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_NODE = re.compile(r"(.*/)?node(js)?")
_PROGRAM = re.compile(
    r"(?:.*/)?(?:node_modules/)?(?:\.bin/)?(?P<tool>jest|vitest)(?:/bin/jest\.js|/vitest\.mjs|\.js|\.mjs)?"
)
_STARTERS = frozenset(
    {"npx", "pnpx", "bunx", "pnpm", "yarn", "npm", "exec", "--", "--no", "--no-install", "--yes"}
)
_RUN_SCRIPT = re.compile(r"(?:npm|pnpm|yarn)\s+(?:run(?:-script)?\s+)?(?P<name>[\w:.-]+)(?:\s+--silent)?")
_NO_TESTS = "no test specified"  # what `npm init` writes

# Options that change what is shown, or when it stops: every test is run, and shown in one way.
_DROPPED = {
    "jest": frozenset({
        "--ci", "--coverage", "--collectCoverage", "--no-coverage", "--verbose", "--silent", "--no-cache",
        "--color", "--colors", "--no-color", "--passWithNoTests", "--watchAll=false", "--watch=false",
        "--no-watchman", "--watchman=false", "--forceExit", "--detectOpenHandles", "--logHeapUsage", "--bail",
        "-b", "--json", "--noStackTrace", "--expand", "--errorOnDeprecated", "--no-watch", "--coverage=false",
    }),
    "vitest": frozenset({
        "run", "--run", "--coverage", "--no-coverage", "--silent", "--no-color", "--passWithNoTests",
        "--watch=false", "--no-watch", "--typecheck", "--allowOnly", "--bail", "--threads", "--no-threads",
        "--single-thread", "--ui=false", "--logHeapUsage", "--hideSkippedTests", "--clearScreen=false",
    }),
}  # fmt: skip
_DROPPED_WITH_VALUE = {
    "jest": frozenset({
        "--reporters", "--outputFile", "--coverageReporters", "--coverageDirectory", "--coverageProvider",
        "--collectCoverageFrom", "--cacheDirectory", "--bail", "--testFailureExitCode", "--coverageThreshold",
    }),
    "vitest": frozenset({"--reporter", "--outputFile", "--pool", "--bail", "--teardownTimeout"}),
}  # fmt: skip
_KEPT = {
    "jest": {
        "-c": "config", "--config": "config", "--rootDir": "rootDir", "--env": "env",
        "--testEnvironment": "env", "--testTimeout": "testTimeout", "-w": "maxWorkers",
        "--maxWorkers": "maxWorkers", "--maxConcurrency": "maxConcurrency",
    },
    "vitest": {
        "-c": "config", "--config": "config", "-r": "root", "--root": "root", "--dir": "dir",
        "--environment": "environment", "--mode": "mode", "--testTimeout": "testTimeout",
        "--hookTimeout": "hookTimeout", "--maxWorkers": "maxWorkers", "--configLoader": "configLoader",
    },
}  # fmt: skip
_SWITCHES: Mapping[str, Mapping[str, tuple[str, object]]] = {
    "jest": {
        "-i": ("maxWorkers", 1),
        "--runInBand": ("maxWorkers", 1),
        "--resetModules": ("resetModules", True),
        "--clearMocks": ("clearMocks", True),
        "--injectGlobals=false": ("injectGlobals", False),
    },
    "vitest": {
        "--globals": ("globals", True),
        "--globals=true": ("globals", True),
        "--no-isolate": ("isolate", False),
        "--no-file-parallelism": ("fileParallelism", False),
        "--dom": ("environment", "happy-dom"),
    },
}
_NUMBERS = frozenset({"testTimeout", "hookTimeout", "maxConcurrency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JsCommand:
    """A plain call of jest or vitest. `options` are those of the runner's own interface, by its names;
    `filters` are what is to be in a test file's path; `loaded` names the files that configure it, as written.
    """

    tool: str
    text: str
    variables: tuple[tuple[str, str], ...] = ()
    node_options: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    loaded: tuple[str, ...] = ()


def plain_call(tool: str) -> JsCommand:
    """As people would type it."""
    return JsCommand(tool=tool, text="vitest run" if tool == "vitest" else tool)


def read_js_command(text: str) -> JsCommand | None:
    """None for what is no plain call of jest or vitest, selects tests by their names or by shards, rewrites
    snapshots, or has an option that is not known here.
    """
    if has_shell(text) or "{junit}" in text:
        return None
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    variables: list[tuple[str, str]] = []
    while words and (words[0] in ("env", "cross-env") or _ASSIGNMENT.match(words[0])):
        name, _, value = words.pop(0).partition("=")
        if name not in ("env", "cross-env"):
            variables.append((name, value))
    node_options: list[str] = []
    if words and _NODE.fullmatch(words[0]):
        words.pop(0)
        while words and words[0].startswith("-"):
            node_options.append(words.pop(0))
    else:
        while words and words[0] in _STARTERS:
            words.pop(0)
    program = _PROGRAM.fullmatch(words[0]) if words else None
    if program is None:
        return None
    return _with_arguments(program["tool"], text, tuple(variables), tuple(node_options), words[1:])


def _with_arguments(
    tool: str,
    text: str,
    variables: tuple[tuple[str, str], ...],
    node_options: tuple[str, ...],
    words: list[str],
) -> JsCommand | None:
    options: dict[str, object] = {}
    filters: list[str] = []
    rest = iter(words)
    for word in rest:
        name, given, value = word.partition("=")
        if word in _SWITCHES[tool]:
            key, set_to = _SWITCHES[tool][word]
            options[key] = set_to
        elif word in _DROPPED[tool] or name.startswith("--coverage."):
            continue
        elif name in _DROPPED_WITH_VALUE[tool] or name in _KEPT[tool]:
            value = value if given else next(rest, "")
            if key := _KEPT[tool].get(name, ""):
                options[key] = int(value) if key in _NUMBERS and value.isdigit() else value
        elif word.startswith("-"):
            return None
        else:
            filters.append(word)
    config = str(options.get("config", ""))
    return JsCommand(
        tool=tool,
        text=text,
        variables=variables,
        node_options=node_options,
        options=options,
        filters=tuple(filters),
        loaded=(config.removeprefix("./"),) if config and not config.startswith("{") else (),
    )


def script_of_tests(package: bytes) -> str | None:
    """`scripts.test` of a package.json, followed where it only runs another script; None when there is none,
    it is the one that `npm init` writes, or the file cannot be read.
    """
    scripts = dict(_table(package, "scripts"))
    text = scripts.get("test")
    for _ in range(3):
        if not isinstance(text, str) or not text.strip() or _NO_TESTS in text:
            return None
        called = _RUN_SCRIPT.fullmatch(text.strip())
        if called is None or not isinstance(scripts.get(called["name"]), str):
            break
        text = scripts[called["name"]]
    return text if isinstance(text, str) else None


def installed_tools(package: bytes) -> tuple[str, ...]:
    """Those of the tools that a package.json asks for, or has configuration for."""
    asked = {
        name
        for part in ("devDependencies", "dependencies", "peerDependencies")
        for name, _ in _table(package, part)
    }
    configured = {name for name, _ in _table(package, "jest")}
    return tuple(tool for tool in TOOLS if tool in asked or (tool == "jest" and configured))


def workspaces_of(package: bytes) -> tuple[str, ...]:
    """The globs by which a package.json names the packages below it."""
    found = _document(package).get("workspaces")
    found = found.get("packages") if isinstance(found, dict) else found
    return tuple(glob for glob in found if isinstance(glob, str)) if isinstance(found, list) else ()


def tool_in(script: str) -> str | None:
    """The tool that a script names somewhere."""
    words = re.split(r"[\s;&|()'\"]+", script)
    return next(
        (tool for tool in TOOLS for word in words if (p := _PROGRAM.fullmatch(word)) and p["tool"] == tool),
        None,
    )


def _table(package: bytes, name: str) -> Iterator[tuple[str, object]]:
    found = _document(package).get(name)
    yield from found.items() if isinstance(found, dict) else ()


def _document(package: bytes) -> dict[str, object]:
    try:
        found = json.loads(package)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
