"""PURE: reads a project's `test_command`."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from core.errors import InvalidInput

_SHELL = re.compile(r"[|&;<>()`$\n]")
_HIDDEN = re.compile(r"\|\|\s*(true|:|exit 0)|;\s*(true|:|exit 0)\s*$")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_PYTHON = re.compile(r"(\{python\}|(.*/)?python(\d+(\.\d+)?)?)")
_PYTEST = re.compile(r"(.*/)?(pytest|py\.test)(-\d+(\.\d+)?)?")
_PYTEST_WORD = re.compile(r"(^|[\s/;&|(])(pytest|py\.test)(?=[\s;&|)]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A `test_command` taken apart.

    `pytest`: it runs pytest, so the session can be watched. `direct`: it is a plain call of pytest, which
    Orchard makes itself, with `arguments`; otherwise pytest is started by something else (`uv run`, a shell).
    """

    text: str
    words: tuple[str, ...]  # what to execute; through `sh -c` when `shell`
    variables: tuple[tuple[str, str], ...] = ()  # `NAME=value` before the command
    shell: bool = False
    pytest: bool = False
    direct: bool = False
    as_module: bool = False  # `python -m pytest`: the current folder is on Python's path
    arguments: tuple[str, ...] = ()  # of pytest
    has_report: bool = False  # {junit}


def has_shell(text: str) -> bool:
    """Whether a command needs a shell: it is more than one program and its arguments."""
    return _SHELL.search(text) is not None


def hides_its_exit_code(text: str) -> bool:
    """Whether a command ends with success whatever its tests did."""
    return _HIDDEN.search(text) is not None


def read_invocation(text: str) -> Invocation:
    """Raises InvalidInput for a command that is no command."""
    if "\0" in text or not text.strip():
        raise InvalidInput("The test command is empty or holds a NUL byte.", hint="Set `test_command` again.")
    has_report = "{junit}" in text
    bare = text.replace("{junit}", "").replace("{python}", "")
    if has_shell(bare):
        return Invocation(  # noqa: S604 - says that a shell is meant, starts none
            text=text,
            words=("sh", "-c", text),
            shell=True,
            pytest=bool(_PYTEST_WORD.search(text)),
            has_report=has_report,
        )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InvalidInput(
            f"The test command cannot be read: {text}", why=f"{error}.", hint="Check its quotes."
        ) from error
    variables: list[tuple[str, str]] = []
    rest = (
        words[1:] if words and words[0] == "env" and len(words) > 1 and _ASSIGNMENT.match(words[1]) else words
    )
    while rest and _ASSIGNMENT.match(rest[0]):
        name, _, value = rest[0].partition("=")
        variables.append((name, value))
        rest = rest[1:]
    if not rest:
        raise InvalidInput(f"The test command starts nothing: {text}", hint="Set `test_command` again.")
    found = _find_pytest(rest)
    return Invocation(
        text=text,
        words=tuple(rest),
        variables=tuple(variables),
        pytest=found is not None,
        direct=found is not None and found[0],
        as_module=found is not None and found[1],
        arguments=tuple(rest[found[2] :]) if found is not None else (),
        has_report=has_report,
    )


def _find_pytest(words: list[str]) -> tuple[bool, bool, int] | None:
    """(direct, as a module, where its arguments begin), or None when the words do not run pytest."""
    if _PYTEST.fullmatch(words[0]):
        return True, False, 1
    if _PYTHON.fullmatch(words[0]) and words[1:3] == ["-m", "pytest"]:
        return True, True, 3
    for at, word in enumerate(words):
        if _PYTEST.fullmatch(word):
            # `uv run pytest`, `coverage run -m pytest`; but not `make pytest` or `pip install pytest`
            starts = words[at - 1] in ("-m", "run", "exec", "--") or _PYTHON.fullmatch(words[at - 1])
            return (False, words[at - 1] == "-m", at + 1) if starts else None
    return None
