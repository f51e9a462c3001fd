"""Each command of the command line asks the access matrix, as whoever sits at the machine.

What it then asks of the core is asked there once more: this table is for what needs no store.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bot.cli.terminal import refuse
from core.errors import NotAllowed
from core.security.access import AT_THE_MACHINE, EVERY_PROJECT, Action, require

if TYPE_CHECKING:
    import typer

_BY_ACTION: tuple[tuple[Action, tuple[str, ...]], ...] = (
    (Action.SEE_SYSTEM, ("status", "doctor", "shell", "do", "demo")),  # what they then do is asked by itself
    (Action.CHANGE_SETTINGS, ("run", "reload")),
    (Action.SEE_PROJECT, ("projects", "story", "log")),
    (Action.REGISTER_PROJECT, ("register",)),
    (Action.DISCOVER_PROJECTS, ("discover",)),
    (Action.RUN_PROJECT, ("start", "stop", "maintain")),
    (Action.ARCHIVE_PROJECT, ("archive", "reopen")),
    (Action.IMPORT_STATE, ("import",)),
    (Action.ANSWER_APPROVAL, ("approve",)),
    (Action.SEE_RESOURCES, ("resources", "why", "simulate")),
    (Action.OPTIMIZE_RESOURCES, ("optimize",)),
    (Action.SEE_BUDGETS, ("budget",)),
    (Action.SEE_ALERTS, ("alerts",)),  # what answers one is asked by itself
    (Action.SEE_AGENTS, ("agents list",)),
    (Action.INSTALL_AGENT, ("agents install", "agents uninstall", "agents check")),
    (Action.SEE_TRANSCRIPTS, ("sessions list", "sessions show", "sessions search")),
    (Action.LINK_SESSIONS, ("sessions fork", "sessions link", "sessions unlink")),
    (Action.SEE_PROJECT, ("github status", "github notes")),
    (Action.SYNC_REPOSITORY, ("github sync",)),
    (Action.LINK_REPOSITORY, ("github link", "github unlink", "github hook")),
    (Action.CREATE_USER, ("users create",)),
    (Action.SEE_USERS, ("users list",)),
    (Action.SET_LEVEL, ("users grant",)),
    (Action.DISABLE_USER, ("users disable",)),
    (Action.RESET_LOGIN, ("users reset", "users link", "users unlink")),
    (Action.SET_SECRET, ("secrets set", "secrets remove")),
    (Action.SEE_SECRET_NAMES, ("secrets list",)),
    (Action.SEE_AUDIT, ("audit verify", "audit show", "audit export")),
    (Action.CHANGE_STORE_KEY, ("key change",)),
    (Action.BACK_UP, ("backup",)),
    (Action.RESTORE, ("restore",)),
    (Action.TEST_ISOLATION, ("isolation show", "isolation test")),
)
ACTIONS: Mapping[str, Action] = {name: action for action, names in _BY_ACTION for name in names}
"""One entry a command, by its words."""


def admit_all(app: typer.Typer, prefix: str = "") -> None:
    """Puts the question in front of every command that is in `app` now."""
    for info in app.registered_commands:
        assert info.callback is not None
        name = info.name or info.callback.__name__.replace("_", "-")
        info.callback = _asking(f"{prefix}{name}", info.callback)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        admit_all(group.typer_instance, f"{prefix}{group.name} ")


def _asking(path: str, callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def asked(*args: Any, **kwargs: Any) -> Any:
        try:
            if (action := ACTIONS.get(path)) is None:
                raise NotAllowed(f"Nobody may run 'orchard {path}'.", why="It has no access rule.")
            require(action, AT_THE_MACHINE, EVERY_PROJECT)
        except NotAllowed as error:
            refuse(error)
        return callback(*args, **kwargs)

    return asked
