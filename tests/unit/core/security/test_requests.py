from __future__ import annotations

import inspect

from core.orchestrator.commands import Commands
from core.security.access import RULES
from core.security.requests import ACTION_OF


def requests() -> set[str]:
    """All that a face can have done, over the control socket or in the same process."""
    methods = inspect.getmembers(Commands, inspect.iscoroutinefunction)
    return {name for name, _ in methods if not name.startswith("_")}


def test_every_request_has_an_action_and_every_entry_is_a_request() -> None:
    assert requests() == set(ACTION_OF)


def test_every_action_of_a_request_has_a_rule() -> None:
    assert set(ACTION_OF.values()) <= set(RULES)


def test_what_is_asked_of_one_project_is_a_right_in_a_project() -> None:
    """A request with a project that must be named is never judged by what somebody is everywhere alone."""
    for name, action in ACTION_OF.items():
        project = inspect.signature(getattr(Commands, name)).parameters.get("project")
        named = project is not None and project.annotation == "str"  # and not "str | None"
        assert not named or RULES[action].in_project or name in {"register_project"}, name
