"""Passwords and values of secrets on their way in: typed unseen, or piped; never words of a command line."""

from __future__ import annotations

import sys

from core.errors import InvalidInput


def ask_unseen(what: str, *, twice: bool) -> str:
    """Typed at the terminal without being shown; without a terminal, all of standard input but its last line
    end. Raises InvalidInput when there is nothing, or the two are not the same.
    """
    if not sys.stdin.isatty():
        said = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    else:
        from getpass import getpass

        try:
            said = getpass(f"{what}: ")
            again = getpass(f"{what}, again: ") if twice and said else said
        except EOFError:  # Ctrl-D
            said = again = ""
        if again != said:
            raise InvalidInput(
                f"The two are not the same {what.lower()}.", hint="Nothing was changed; try again."
            )
    if not said:
        raise InvalidInput(
            f"There is no {what.lower()}.",
            why="Nothing was typed or piped." if sys.stdin.isatty() else "Standard input is empty.",
            hint="Type it when asked, or pipe it in; others could read it on a command line.",
        )
    return said
