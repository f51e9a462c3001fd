"""Each command asks the access matrix: which action it is (core.security.requests), and in which project.

`Admitted` stands between a face and the commands: what the table does not name, nobody may do, and what is of
every project is shown as far as the asker sees the projects.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from core import ids
from core.domain.budget import Scope
from core.errors import NotAllowed
from core.orchestrator.commands.seeing import FILTERED, shown
from core.security.access import EVERY_PROJECT, NOBODY, RULES, Action, Asker, Decision, may
from core.security.requests import ACTION_OF

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

_PROJECT_NAMED = ("project", "name")
_STORY_NAMED = ("story_id", "epic_id", "scope", "story")

_OF_NO_PROJECT = frozenset(
    {"register_project", "install_agent", "uninstall_agent", "agent_changed", "check_agent", "unsubscribe"}
)
"""What they name is no project that is there, or one may be let go of unseen."""

_ALSO_NAMED = ("linked_id", "source")
"""Another story or session that is looked into: it may be another project's."""

Denied = Callable[[Action, Asker, str | None, str], Awaitable[None]]
"""Hears of each refusal: the action, who asked, the project, why."""


def project_of(arguments: Mapping[str, Any]) -> str:
    """The project that a call is about, by its arguments; EVERY_PROJECT where they name none."""
    for key in _PROJECT_NAMED:
        if isinstance(said := arguments.get(key), str) and said.strip():
            return said.strip().lower()
    for key in _STORY_NAMED:
        if isinstance(said := arguments.get(key), str) and "-" in said:
            return _of_story(said)
    return EVERY_PROJECT


def _of_story(name: str) -> str:
    return ids.project_of(name.strip().lower()) or EVERY_PROJECT


class Admitted:
    """The methods of `Commands` for one asker; each raises NotAllowed before anything is done."""

    def __init__(self, commands: Commands, asker: Asker, denied: Denied | None = None) -> None:
        self._commands = commands
        self._asker = asker
        self._denied = denied

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._commands, name)
        if not inspect.iscoroutinefunction(method) and name not in ACTION_OF:
            return method
        asks = method if inspect.isfunction(method) or inspect.ismethod(method) else None

        async def call(*args: Any, **kwargs: Any) -> Any:
            said = kwargs if asks is None else inspect.signature(asks).bind(*args, **kwargs).arguments
            await self._admit(name, said)
            return shown(name, await method(*args, **kwargs), self._sees)

        return call

    async def _admit(self, name: str, arguments: Mapping[str, Any]) -> None:
        action = ACTION_OF.get(name)
        if action is None:
            raise NotAllowed(f"Nobody may ask for {name}.", why="It has no access rule.")
        project = await self._project(name, arguments)
        if action is Action.ANSWER_ALERT and project == EVERY_PROJECT:
            action = Action.ANSWER_SYSTEM_ALERT
        decision = self._decide(name, action, project)
        for said in (arguments[key] for key in _ALSO_NAMED if isinstance(arguments.get(key), str)):
            if decision.allowed:
                decision = may(Action.SEE_TRANSCRIPTS, self._asker, _of_story(said))
        for said in _needed(arguments, project):
            if decision.allowed:  # what is needed is told of: its state, and that it is there at all
                decision = may(Action.SEE_PROJECT, self._asker, said)
        if decision.allowed:
            return
        if self._denied is not None:
            named = None if project == EVERY_PROJECT else project
            await self._denied(action, self._asker, named, decision.why)
        raise NotAllowed(
            decision.why, hint=f"It takes {decision.needs}." if decision.needs else "Ask the owner."
        )

    def _decide(self, name: str, action: Action, project: str) -> Decision:
        """What names no project may be asked by whoever sees one: they are shown that one."""
        if not RULES[action].in_project:
            decision = may(action, self._asker)
            if not decision.allowed or project == EVERY_PROJECT or name in _OF_NO_PROJECT:
                return decision
            return may(Action.SEE_PROJECT, self._asker, project)
        decision = may(action, self._asker, project)
        if decision.allowed or project != EVERY_PROJECT or name not in FILTERED:
            return decision
        known = {*self._asker.levels.projects, *_only(self._asker)}
        somewhere = (may(action, self._asker, each) for each in known)
        return next((each for each in somewhere if each.allowed), decision)

    def _sees(self, project: str) -> bool:
        return may(Action.SEE_PROJECT, self._asker, project).allowed

    async def _project(self, name: str, arguments: Mapping[str, Any]) -> str:
        if name == "sessions":  # a scope may be a story or a project, and both may have a dash: it is cut
            return EVERY_PROJECT
        if name == "session" or (name == "raise_budget" and arguments.get("scope") == Scope.STORY):
            return _of_story(str(arguments["name"]))
        if isinstance(asked := arguments.get("approval_id"), str):
            return (await self._commands.approval(asked)).project
        if isinstance(asked := arguments.get("alert_id"), str) and self._asker.levels != NOBODY:
            return (await self._commands.alert(asked)).project or EVERY_PROJECT
        return project_of(arguments)


def _needed(arguments: Mapping[str, Any], project: str) -> frozenset[str]:
    """The other projects whose stories are to be waited for."""
    needs = arguments.get("needs") or ()
    named = (ids.project_of(each.strip().lower()) for each in needs if isinstance(each, str))
    return frozenset(filter(None, named)) - {project}


def _only(asker: Asker) -> frozenset[str]:
    """The projects that a token is for, where it is for single ones."""
    return asker.projects or frozenset()


def admitted(commands: Commands, asker: Asker, denied: Denied | None = None) -> Commands:
    return cast("Commands", Admitted(commands, asker, denied))
