"""PURE: what core says in Discord's words, in those of the shell and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHELL = {
    "project_start": "start",
    "project_stop": "stop",
    "project_pause": "stop",
    "project_resume": "start",
    "project_maintain": "maintain",
    "project_archive": "archive",
    "project_reopen": "reopen",
    "project_register": "register",
    "project_discover": "discover",
    "project_list": "projects",
    "project_status": "status",
    "global_status": "status",
    "state": "status",
    "digest": "digest",
    "backlog view": "backlog",
    "backlog add_story": "add",
    "backlog edit": "edit",
    "backlog prioritize": "prioritize",
    "backlog remove": "remove",
    "epic": "epic",
    "approve": "approve",
    "sprint plan": "plan",
    "sprint start": "sprint",
    "sprint status": "status",
    "sprint pause": "pause",
    "sprint resume": "resume",
    "sprint review": "review",
    "sprint burndown": "burndown",
    "sprint history": "history",
    "request_changes": "changes",
    "feedback": "feedback",
    "story show": "story",
    "story stop": "stop",
    "story steer": "steer",
    "story takeover": "takeover",
    "story handback": "handback",
    "tdd start": "go",
    "tdd next": "next",
    "tdd design": "phase design",
    "tdd test": "phase test",
    "tdd code": "phase code",
    "tdd refactor": "phase refactor",
    "tdd commit": "phase commit",
    "tdd abort": "abort",
    "tdd run_tests": "tests",
    "tdd stop_tests": "tests",
    "tdd logs": "log",
    "tdd status": "cycles",
    "tdd overview": "cycles",
    "suggest_fix": "fix",
    "skip_task": "skip",
    "resource_status": "resources",
    "resource_optimize": "optimize",
    "why": "why",
    "alerts": "alerts",
    "budget show": "budget",
    "budget raise": "raise",
    "session list": "sessions",
    "session show": "session",
    "session search": "search",
    "session fork": "fork",
    "session link": "link",
    "session unlink": "unlink",
    "agents": "agents",
    "insights": "insights",
    "github link": "github link",
    "github unlink": "github unlink",
    "github status": "github status",
    "github sync": "github sync",
    "github notes": "github notes",
}
# Drawn for Discord; in the browser they are the charts of the project's page.
_PICTURES = frozenset(
    {"chart burndown", "chart cost", "chart cycle_time", "chart dependencies", "chart resources"}
)
# Whom Discord calls, and when, is a person's own affair there.
_DISCORD_ONLY = _PICTURES | {"link", "subscribe", "unsubscribe", "subscriptions", "quiet_hours"}
KNOWN = frozenset(_SHELL) | _DISCORD_ONLY

# Of these the command line has its own; the others are reached by `orchard do`.
PROGRAM = frozenset(
    {
        *(
            "start",
            "stop",
            "maintain",
            "archive",
            "reopen",
            "register",
            "discover",
            "projects",
            "status",
            "approve",
            "import",
            "story",
            "log",
        ),
        *("resources", "optimize", "why", "reload", "budget", "github", "alerts"),
    }
)
# What stands in groups there.
_PROGRAM_WORDS = {
    "budget raise": "orchard budget --raise",
    "session list": "orchard sessions list",
    "session show": "orchard sessions show",
    "session search": "orchard sessions search",
    "session fork": "orchard sessions fork",
    "session link": "orchard sessions link",
    "session unlink": "orchard sessions unlink",
    "agents": "orchard agents list",
}
SLASH = re.compile(r"(?<![\w/.-])/(" + "|".join(sorted(KNOWN, key=len, reverse=True)) + r")\b(?![/_])")
_LIST = re.compile(r"Possible now: (?P<names>/[^.]*)\.")


def translated(text: str, *, in_shell: bool) -> str:
    """`/project_start shop` as `start shop` in the shell, `orchard start shop` on the command line."""

    def listed(found: re.Match[str]) -> str:
        names = [name.strip().removeprefix("/") for name in found["names"].split(",")]
        return f"Possible now{'' if in_shell else ' with orchard do'}: {possible(names)}."

    return SLASH.sub(lambda found: _word(found[1], in_shell), _LIST.sub(listed, text))


def possible(commands: Iterable[str]) -> str:
    """Commands of Discord as the shell's words, each once; those that it does not have are left out."""
    return ", ".join(dict.fromkeys(_SHELL[name] for name in commands if name in _SHELL))


def typed(line: str, *, in_shell: bool) -> str:
    """A line of the shell, as it is typed there or on the command line."""
    if in_shell:
        return line
    return f"orchard {line}" if line.split()[0] in PROGRAM else f"orchard do {line}"


def _word(name: str, in_shell: bool) -> str:
    if name in _DISCORD_ONLY:
        return f"/{name} in Discord"
    if not in_shell and name in _PROGRAM_WORDS:
        return _PROGRAM_WORDS[name]
    return typed(_SHELL[name], in_shell=in_shell)
