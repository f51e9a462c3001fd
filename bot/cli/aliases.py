"""Pure: the flags of the first documentation (`--discover .`, `--register NAME PATH`) as today's commands."""

from __future__ import annotations

from collections.abc import Sequence

_COMMANDS = {
    "--discover": "discover",
    "--register": "register",
    "--interactive": "shell",
    "--status": "status",
}
_FLAGS = ("--debug", "--no-discord", "--no-intelligence")


def translate(argv: Sequence[str]) -> list[str]:
    """`argv` without the program's name, in today's words; what is no alias passes unchanged.

    `--debug --interactive` is `--debug shell --with-orchard`: the flag always started Orchard too.
    """
    words = list(argv)
    chosen = next((word for word in words if word in _COMMANDS), None)
    starts_with_flag = bool(words) and (words[0] in _COMMANDS or words[0] in _FLAGS)
    if not starts_with_flag:
        return words
    flags = [word for word in words if word in _FLAGS]
    rest = [word for word in words if word not in _FLAGS and word != chosen]
    if chosen is None:
        return words if rest else [*_general(flags), "run", *_running(flags)]
    if chosen == "--interactive":
        return [*_general(flags), "shell", "--with-orchard", *_running(flags), *rest]
    return [*_general(flags), _COMMANDS[chosen], *rest]


def _general(flags: Sequence[str]) -> list[str]:
    return ["--debug"] if "--debug" in flags else []


def _running(flags: Sequence[str]) -> list[str]:
    return [flag for flag in flags if flag != "--debug"]
