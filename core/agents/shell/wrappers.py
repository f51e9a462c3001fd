"""Programs that start the program named in their words: `env`, `xargs`, `timeout`, `nice`. PURE.

Each one's options are listed; one that is not listed might take the next word, and hide the command: Opaque.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.agents.shell.line import Word


class Opaque(ValueError):
    """Which command is started cannot be told; the text says why, without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """`words` is empty when nothing is started. `variables`: the names that are set for it."""

    words: tuple[Word, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrapper:
    flags: frozenset[str] = frozenset()  # options without a value
    values: frozenset[str] = frozenset()  # options whose value is in the same word or the next
    first: int = 0  # words before the command
    assigns: bool = False  # NAME=VALUE before the command
    adds: bool = False  # words that are only known when it runs follow the command's
    ends: frozenset[str] = frozenset()  # options with which nothing is started


def _wrapper(
    flags: str = "",
    values: str = "",
    ends: str = "",
    *,
    first: int = 0,
    assigns: bool = False,
    adds: bool = False,
) -> _Wrapper:
    return _Wrapper(
        flags=frozenset(flags.split()),
        values=frozenset(values.split()),
        ends=frozenset(ends.split()),
        first=first,
        assigns=assigns,
        adds=adds,
    )


WRAPPERS: Mapping[str, _Wrapper] = {
    "env": _wrapper("-i - --ignore-environment -0 --null", "-u --unset", assigns=True),
    "nice": _wrapper("", "-n --adjustment"),
    "ionice": _wrapper("-t", "-c -n --class --classdata"),
    "nohup": _wrapper(),
    "timeout": _wrapper(
        "--preserve-status --foreground -v --verbose", "-k -s --kill-after --signal", first=1
    ),
    "gtimeout": _wrapper("--preserve-status --foreground", "-k -s", first=1),
    "time": _wrapper("-p -v"),
    "stdbuf": _wrapper("", "-i -o -e --input --output --error"),
    "setsid": _wrapper("-w -f -c --wait --fork"),
    "taskset": _wrapper("", "", first=1),
    "xargs": _wrapper(
        "-0 -r -t -x --null --no-run-if-empty", "-n -I -P -L -d -s --max-args --max-procs", adds=True
    ),
    "command": _wrapper("-p", "", ends="-v -V"),
    "builtin": _wrapper(),
    "exec": _wrapper("-c -l"),
    "busybox": _wrapper("", "", ends="--list --help"),
    "toybox": _wrapper(),
    "winpty": _wrapper(),
    "caffeinate": _wrapper("-i -s"),
    "coproc": _wrapper(),
    "noglob": _wrapper(),
    "nocorrect": _wrapper(),
    "!": _wrapper(),
}


def unwrap(name: str, words: Sequence[Word]) -> Wrapped:
    """What the wrapper `name` starts when it is given `words`. Raises Opaque."""
    wrapper = WRAPPERS[name]
    at = 0
    while at < len(words) and (words[at].text.startswith("-") or not words[at].literal):
        option = _literal(words[at])
        if option in wrapper.ends:
            return Wrapped(words=())
        at += 1
        if option == "--":
            break
        if option in wrapper.flags or (name == "nice" and re.fullmatch(r"-\d+", option)):
            continue
        if option in wrapper.values:
            if at == len(words) or not words[at].literal:
                raise Opaque(f"the value of {option} is missing")
            at += 1
        elif not _has_value(option, wrapper):
            raise Opaque(f"an option that is not known: {option[:40]}")
    variables: list[str] = []
    while wrapper.assigns and at < len(words) and "=" in words[at].text:
        if not words[at].literal and words[at].text.partition("\0")[0].count("=") == 0:
            raise Opaque("a variable whose name is only known when it runs")
        variables.append(words[at].text.partition("=")[0])
        at += 1
    for word in words[at : at + wrapper.first]:
        _literal(word)
    inner = list(words[at + wrapper.first :])
    if inner and wrapper.adds:
        # -I puts them anywhere: every word in which they may stand is not known either.
        replaced = _replaced(words[:at])
        inner = [
            Word(text=each.text, literal=each.literal and (not replaced or replaced not in each.text))
            for each in inner
        ]
        inner.append(Word(text="\0", literal=False))
    return Wrapped(words=tuple(inner), variables=tuple(variables))


def _replaced(options: Sequence[Word]) -> str:
    """What xargs -I puts its input in place of; "" when it puts it at the end only."""
    for at, option in enumerate(options):
        if option.text == "-I" and at + 1 < len(options):
            return options[at + 1].text
        if option.text.startswith("-I"):
            return option.text[2:]
    return ""


def _has_value(option: str, wrapper: _Wrapper) -> bool:
    name, equals, _ = option.partition("=")
    if option.startswith("--"):
        return bool(equals) and name in wrapper.values
    return option[:2] in wrapper.values


def _literal(word: Word) -> str:
    if not word.literal:
        raise Opaque("an option that is only known when it runs")
    return word.text
