"""PURE: what core says in Discord's words, in those of the shell and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHELL = {
    "project_start": "start",
    "project_stop": "stop",
    "project_register": "register",
    "project_discover": "discover",
    "project_list": "projects",
    "global_status": "status",
    "backlog add_story": "add",
    "backlog view": "status",
    "sprint plan": "plan",
    "sprint start": "sprint",
    "sprint status": "status",
    "sprint pause": "pause",
    "sprint resume": "resume",
    "suggest_fix": "fix",
    "skip_task": "skip",
    "feedback": "feedback",
    "state": "status",
}
# Of these the command line has its own; the rest are the shell's.
_PROGRAM = frozenset({"start", "stop", "register", "discover", "projects", "status"})
_SLASH = re.compile(r"(?<![\w/.-])/(" + "|".join(sorted(_SHELL, key=len, reverse=True)) + r")\b(?!/)")
_LIST = re.compile(r"Possible now: (?P<names>/[^.]*)\.")


def translated(text: str, *, in_shell: bool) -> str:
    """`/project_start shop` as `start shop` in the shell, `orchard start shop` on the command line."""

    def listed(found: re.Match[str]) -> str:
        names = [name.strip().removeprefix("/") for name in found["names"].split(",")]
        return f"Possible now{'' if in_shell else ' in orchard shell'}: {possible(names)}."

    return _SLASH.sub(lambda found: _word(found[1], in_shell), _LIST.sub(listed, text))


def possible(commands: Iterable[str]) -> str:
    """Workflow commands as the shell's words, each once; those that it does not have are left out."""
    return ", ".join(dict.fromkeys(_SHELL[name] for name in commands if name in _SHELL))


def _word(name: str, in_shell: bool) -> str:
    word = _SHELL[name]
    if in_shell:
        return word
    return f"orchard {word}" if word in _PROGRAM else f"{word} (in orchard shell)"
