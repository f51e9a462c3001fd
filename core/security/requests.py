"""Which action each request of the core is. PURE: one entry a method of `Commands`, so one place to ask at.

Faces ask through core.orchestrator.commands.admission; a request that is not named here nobody may make.
Where a request is of every project (none is named), what it shows is filtered by SEE_PROJECT.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.security.access import Action

_REQUESTS: tuple[tuple[Action, tuple[str, ...]], ...] = (
    (Action.SEE_SYSTEM, ("system", "alert_troubles")),
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
    (Action.SEE_PROJECT, ("cycles", "epic", "epics", "events", "news", "why", "story_log", "story_page")),
    (Action.SEE_PROJECT, ("cycle_times", "needs_graph", "changes", "changes_now")),
    (Action.SEE_RESOURCES, ("use_history",)),
    (Action.SEE_TRANSCRIPTS, ("session", "sessions", "search_sessions", "transcript")),
    (Action.SEE_BUDGETS, ("budgets", "spending_history")),
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
    (Action.SEE_ALERTS, ("alerts", "alert", "alert_rules")),
    (Action.ANSWER_ALERT, ("acknowledge_alert", "silence_alert", "unsilence_alert")),
    (Action.RAISE_BUDGET, ("raise_budget",)),
    (Action.RUN_PROJECT, ("start_project", "stop_project", "maintain_project")),
    (Action.ARCHIVE_PROJECT, ("archive_project", "reopen_project")),
    (Action.IMPORT_STATE, ("import_state",)),
    (Action.SEE_PROJECT, ("repositories", "release_notes")),
    (Action.SYNC_REPOSITORY, ("sync_repository", "repository_access")),
    (Action.LINK_REPOSITORY, ("link_repository", "unlink_repository", "repository_hook")),
    (Action.CREATE_USER, ("create_user",)),
    (Action.SEE_USERS, ("users", "linked_account")),
    (Action.SET_LEVEL, ("set_user_level",)),
    (Action.DISABLE_USER, ("disable_user", "enable_user")),
    (Action.RESET_LOGIN, ("reset_password", "reset_second_factor", "link_code", "unlink_account")),
    (Action.LINK_OWN_ACCOUNT, ("redeem_link",)),  # whoever has the code; in chat the code is the right
    (Action.CHANGE_SETTINGS, ("reload_settings",)),
    (Action.INSTALL_AGENT, ("install_agent", "uninstall_agent", "agent_changed", "check_agent")),
    (Action.SEE_AUDIT, ("audit_entries", "audit_latest", "audit_page")),
    (Action.SEE_AUDIT, ("audit_exported", "verify_audit", "note_denied")),
    (Action.BACK_UP, ("back_up",)),
    (Action.GRANT_PROJECT_ACCESS, ("grant_project_access",)),
    (Action.SET_SECRET, ("set_secret", "remove_secret")),
    (Action.SEE_SECRET_NAMES, ("secrets",)),
)
ACTION_OF: Mapping[str, Action] = MappingProxyType(
    {name: action for action, names in _REQUESTS for name in names}
)
"""One entry a method of `Commands`."""
