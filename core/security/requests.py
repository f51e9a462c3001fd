"""Which action each request of the core is. PURE: one entry a method of `Commands`, so one place to ask at.

Faces look their request up here and ask `access.may`; one that is not named nobody may make. Where a request
may be of every project (no project named), what it shows is filtered by SEE_PROJECT.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.security.access import Action

_REQUESTS: dict[Action, tuple[str, ...]] = {
    Action.SEE_SYSTEM: ("system", "projects", "story_titles", "approvals", "events", "news", "digest"),
    Action.SEE_AGENTS: ("agents", "models"),
    Action.SEE_INSIGHTS: ("insights",),
    Action.SEE_RESOURCES: ("resources", "why"),
    Action.SEE_METRICS: ("metrics",),
    Action.SET_OWN_NOTICES: ("subscribe", "unsubscribe", "notifications", "set_quiet_hours"),
    Action.DISCOVER_PROJECTS: ("discover_projects",),
    Action.REGISTER_PROJECT: ("register_project",),
    Action.OPTIMIZE_RESOURCES: ("optimize",),
    Action.SEE_PROJECT: (
        "project",
        "backlog",
        "sprint",
        "workflow",
        "story",
        "stories",
        "approval",
        "epics",
        "epic",
        "cycles",
        "burndown",
        "review",
        "retrospectives",
    ),
    Action.SEE_TRANSCRIPTS: ("story_log", "transcript", "sessions", "session", "search_sessions"),
    Action.SEE_BUDGETS: ("budgets",),
    Action.EDIT_BACKLOG: ("add_story", "edit_story", "prioritize_story", "remove_story"),
    Action.PLAN_EPIC: ("begin_epic", "revise_epic"),
    Action.APPROVE_STORIES: ("approve_stories",),
    Action.PLAN_SPRINT: ("plan_sprint",),
    Action.RUN_SPRINT: ("start_sprint", "pause_sprint", "resume_sprint"),
    Action.RUN_STORY: (
        "start_story",
        "next_phase",
        "run_phase",
        "suggest_fix",
        "skip_story",
        "abort_story",
        "stop_story",
    ),
    Action.STEER_AGENT: ("steer_story",),
    Action.TAKE_OVER_STORY: ("take_over", "hand_back"),
    Action.RUN_TESTS: ("run_tests", "stop_tests"),
    Action.REVIEW_WORK: ("feedback", "request_changes"),
    Action.LINK_SESSIONS: ("fork_session", "link_session", "unlink_session"),
    Action.ANSWER_APPROVAL: ("answer_approval",),
    Action.RAISE_BUDGET: ("raise_budget",),
    Action.RUN_PROJECT: ("start_project", "stop_project"),
    Action.IMPORT_STATE: ("import_state",),
    Action.CHANGE_SETTINGS: ("reload_settings",),
    Action.INSTALL_AGENT: ("install_agent", "uninstall_agent", "check_agent"),
}

ACTION_OF: Mapping[str, Action] = MappingProxyType(
    {request: action for action, requests in _REQUESTS.items() for request in requests}
)
