"""Pure: the flags of the first documentation (`--discover .`, `--register NAME PATH`) as today's commands."""

from __future__ import annotations

from collections.abc import Sequence

_COMMANDS = {
    "--discover": "discover",
    "--register": "register",
    "--interactive": "shell",
    "--status": "status",
}
_RUNNING = ("--no-discord", "--no-intelligence")  # of run and shell


def translate(argv: Sequence[str]) -> list[str]:
    """`argv` without the program's name, in today's words; what is no alias passes unchanged.

    `--debug --interactive` is `--debug shell --with-orchard`: the flag always started Orchard too. Flags
    alone (`--no-intelligence --no-discord`) run Orchard. --root and --debug may stand anywhere.
    """
    general, words = _general(argv)
    if not words:
        return [*general, "run"] if general == ["--debug"] else general
    leading = [word for word in words if word in _RUNNING]
    if words[0] in _COMMANDS:
        return [*general, *_command(words[0], words[1:], leading)]
    if words[0] not in _RUNNING:
        return [*general, *words]
    rest = [word for word in words if word not in _RUNNING]
    if rest and rest[0] in _COMMANDS:
        return [*general, *_command(rest[0], rest[1:], leading)]
    return [*general, *(rest[:1] or ["run"]), *leading, *rest[1:]]


def _command(flag: str, rest: Sequence[str], leading: Sequence[str]) -> list[str]:
    """How to run says nothing to a command that runs nothing."""
    others = [word for word in rest if word not in _RUNNING]
    if _COMMANDS[flag] == "shell":
        return ["shell", "--with-orchard", *leading, *others]
    return [_COMMANDS[flag], *others]


def _general(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of every command, which typer wants first, and the other words. `--` ends the search."""
    general: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return general, [*rest, word, *words]
        if word == "--debug":
            general = ["--debug", *(each for each in general if each != "--debug")]
        elif word == "--root":
            general += [word, *([following] if (following := next(words, None)) is not None else [])]
        elif word.startswith("--root="):
            general.append(word)
        else:
            rest.append(word)
    return general, rest
