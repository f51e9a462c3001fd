"""Each command asks the access matrix: which action it is, and in which project.

`Admitted` stands between a face and the commands: what the table does not name, nobody may do.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from core.domain.budget import Scope
from core.errors import NotAllowed
from core.security.access import RULES, Action, Asker, may

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

EVERY_PROJECT = "*"
"""No project has that name: only a level everywhere reaches it."""

_ACTIONS: tuple[tuple[Action, tuple[str, ...]], ...] = (
    (Action.SEE_SYSTEM, ("system",)),
    (Action.SEE_AGENTS, ("agents", "models")),
    (Action.SEE_INSIGHTS, ("insights",)),
    (Action.SEE_RESOURCES, ("resources",)),
    (Action.SEE_METRICS, ("metrics",)),
    (Action.SET_OWN_NOTICES, ("subscribe", "unsubscribe", "notifications", "set_quiet_hours", "digest")),
    (Action.DISCOVER_PROJECTS, ("discover_projects",)),
    (Action.REGISTER_PROJECT, ("register_project",)),
    (Action.OPTIMIZE_RESOURCES, ("optimize",)),
    (Action.SEE_PROJECT, ("project", "projects", "workflow", "backlog", "story", "stories", "story_titles")),
    (Action.SEE_PROJECT, ("approval", "approvals", "sprint", "burndown", "review", "retrospectives")),
    (Action.SEE_PROJECT, ("cycles", "epic", "epics", "events", "news", "why", "story_log")),
    (Action.SEE_TRANSCRIPTS, ("session", "sessions", "search_sessions", "transcript")),
    (Action.SEE_BUDGETS, ("budgets",)),
    (Action.EDIT_BACKLOG, ("add_story", "edit_story", "prioritize_story", "remove_story")),
    (Action.PLAN_EPIC, ("begin_epic", "revise_epic")),
    (Action.APPROVE_STORIES, ("approve_stories",)),
    (Action.PLAN_SPRINT, ("plan_sprint",)),
    (Action.RUN_SPRINT, ("start_sprint", "pause_sprint", "resume_sprint")),
    (Action.RUN_STORY, ("start_story", "stop_story", "abort_story", "skip_story", "next_phase", "run_phase")),
    (Action.STEER_AGENT, ("steer_story", "suggest_fix")),
    (Action.TAKE_OVER_STORY, ("take_over", "hand_back")),
    (Action.RUN_TESTS, ("run_tests", "stop_tests")),
    (Action.REVIEW_WORK, ("feedback", "request_changes")),
    (Action.LINK_SESSIONS, ("fork_session", "link_session", "unlink_session")),
    (Action.ANSWER_APPROVAL, ("answer_approval",)),
    (Action.RAISE_BUDGET, ("raise_budget",)),
    (Action.RUN_PROJECT, ("start_project", "stop_project")),
    (Action.IMPORT_STATE, ("import_state",)),
    (Action.CREATE_USER, ("create_user",)),
    (Action.SEE_USERS, ("users", "linked_account")),
    (Action.SET_LEVEL, ("set_user_level",)),
    (Action.DISABLE_USER, ("disable_user", "enable_user")),
    (Action.RESET_LOGIN, ("reset_password", "reset_second_factor", "link_code", "unlink_account")),
    (Action.LINK_OWN_ACCOUNT, ("redeem_link",)),  # whoever has the code; in chat the code is the right
    (Action.CHANGE_SETTINGS, ("reload_settings",)),
    (Action.INSTALL_AGENT, ("install_agent", "uninstall_agent", "check_agent")),
    (Action.SEE_AUDIT, ("audit_entries", "audit_page", "audit_exported", "verify_audit", "note_denied")),
    (Action.BACK_UP, ("back_up",)),
    (Action.GRANT_PROJECT_ACCESS, ("grant_project_access",)),
    (Action.SET_SECRET, ("set_secret", "remove_secret")),
    (Action.SEE_SECRET_NAMES, ("secrets",)),
)
ACTIONS: Mapping[str, Action] = {name: action for action, names in _ACTIONS for name in names}
"""One entry a method of `Commands`."""

_PROJECT_NAMED = ("project", "name")
_STORY_NAMED = ("story_id", "epic_id", "scope", "story")

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
    """shop, of shop-3 or shop-3.7."""
    return name.strip().lower().split(".")[0].rpartition("-")[0] or EVERY_PROJECT


class Admitted:
    """The methods of `Commands` for one asker; each raises NotAllowed before anything is done."""

    def __init__(self, commands: Commands, asker: Asker, denied: Denied | None = None) -> None:
        self._commands = commands
        self._asker = asker
        self._denied = denied

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._commands, name)
        if not inspect.iscoroutinefunction(method) and name not in ACTIONS:
            return method
        asks = method if inspect.isfunction(method) or inspect.ismethod(method) else None

        async def call(*args: Any, **kwargs: Any) -> Any:
            said = kwargs if asks is None else inspect.signature(asks).bind(*args, **kwargs).arguments
            await self._admit(name, said)
            return await method(*args, **kwargs)

        return call

    async def _admit(self, name: str, arguments: Mapping[str, Any]) -> None:
        action = ACTIONS.get(name)
        if action is None:
            raise NotAllowed(f"Nobody may ask for {name}.", why="It has no access rule.")
        project = await self._project(name, arguments) if RULES[action].in_project else None
        decision = may(action, self._asker, project)
        if decision.allowed:
            return
        if self._denied is not None:
            await self._denied(action, self._asker, project, decision.why)
        raise NotAllowed(
            decision.why, hint=f"It takes {decision.needs}." if decision.needs else "Ask the owner."
        )

    async def _project(self, name: str, arguments: Mapping[str, Any]) -> str:
        if name == "session" or (name == "raise_budget" and arguments.get("scope") == Scope.STORY):
            return _of_story(str(arguments["name"]))
        if isinstance(asked := arguments.get("approval_id"), str):
            return (await self._commands.approval(asked)).project
        return project_of(arguments)


def admitted(commands: Commands, asker: Asker, denied: Denied | None = None) -> Commands:
    return cast("Commands", Admitted(commands, asker, denied))
