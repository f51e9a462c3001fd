"""Which agent works: the role's, the project's, or the first of the fallbacks that can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.agents.roles import Role
from core.orchestrator.agent_choice import Choice, Kept, choose


def chosen(
    role: Role = Role.CODE,
    by_role: Mapping[str, str] | None = None,
    agent: str | None = "claude",
    fallbacks: tuple[str, ...] = ("codex", "aider"),
    *,
    absent: str = "",
    keyless: str = "",
    held: Mapping[str, str] | None = None,
    failed: Mapping[str, int] | None = None,
    **more: Any,
) -> Choice:
    return choose(
        role,
        by_role or {},
        agent,
        fallbacks,
        installed=lambda name: name not in absent.split(),
        has_key=lambda name: name not in keyless.split(),
        held=lambda name: (held or {}).get(name, ""),
        failed_starts=lambda name: (failed or {}).get(name, 0),
        **more,
    )


def test_the_project_s_agent_works_where_nothing_is_in_its_way() -> None:
    assert chosen() == Choice(name="claude", wanted="claude")


def test_a_role_of_its_own_comes_before_the_project_s_agent() -> None:
    assert chosen(Role.QA, {"qa": "gemini"}).name == "gemini"
    assert chosen(Role.CODE, {"qa": "gemini"}).name == "claude"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"absent": "claude"}, "codex works in place of claude: claude is not installed."),
        ({"keyless": "claude"}, "codex works in place of claude: claude has no key."),
        (
            {"held": {"claude": "anthropic is at its usage limit"}},
            "codex works in place of claude: anthropic is at its usage limit.",
        ),
        (
            {"failed": {"claude": 2}},
            "codex works in place of claude: claude could not be started 2 times.",
        ),
    ],
)
def test_an_agent_that_cannot_work_is_replaced_and_why_is_said(trouble: dict[str, Any], reason: str) -> None:
    assert chosen(**trouble) == Choice(name="codex", reason=reason, wanted="claude")


def test_the_list_is_gone_through_in_its_order_and_every_problem_is_said() -> None:
    choice = chosen(absent="claude", keyless="codex")

    assert choice.name == "aider"
    assert choice.reason.endswith("claude is not installed; codex has no key.")


def test_one_failed_start_is_no_reason_yet() -> None:
    assert chosen(failed={"claude": 1}).name == "claude"


def test_where_none_can_work_the_wanted_one_is_taken_so_that_its_error_is_seen() -> None:
    assert chosen(absent="claude codex aider") == Choice(name="claude", wanted="claude")


def test_a_conversation_with_a_fallback_goes_on_though_the_wanted_one_is_back() -> None:
    assert chosen(kept=Kept(name="codex", role=Role.QA)).name == "codex"


def test_a_conversation_ends_where_its_agent_is_held_or_gone() -> None:
    kept = Kept(name="codex", role=Role.CODE)

    assert chosen(kept=kept, absent="codex").name == "claude"
    assert chosen(kept=kept, held={"codex": "openai is held"}).name == "claude"
    assert chosen(kept=kept, fallbacks=()).name == "claude"  # people took it off the list


def test_a_role_that_asks_for_another_agent_does_not_go_on_with_an_earlier_role_s() -> None:
    assert chosen(Role.CODE, {"qa": "gemini"}, kept=Kept(name="codex", role=Role.QA)).name == "claude"


def test_without_any_agent_there_is_no_choice() -> None:
    with pytest.raises(ValueError, match="no agent"):
        chosen(agent=None, fallbacks=())


def test_a_fallback_alone_is_an_agent_too() -> None:
    assert chosen(agent=None, fallbacks=("aider",)) == Choice(name="aider", wanted="aider")
