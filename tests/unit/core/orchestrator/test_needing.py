"""Stories whose need will never be done: nobody waits in silence."""

from __future__ import annotations

import pytest

from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, WorkflowState
from core.domain.story import StoryStatus
from core.errors import NotAllowed
from core.orchestrator.commands import Commands
from core.store import approvals
from core.store.database import Transaction


async def chain(commands: Commands) -> None:
    """shop-2 needs shop-1, and shop-3 needs shop-2; their sprint runs."""
    await commands.add_story("shop", "First", actor="cli")
    await commands.add_story("shop", "Second", needs=("shop-1",), actor="cli")
    await commands.add_story("shop", "Third", needs=("shop-2",), actor="cli")
    await commands.plan_sprint("shop", actor="cli")
    await commands.start_sprint("shop", actor="cli")


@pytest.mark.parametrize("end", ["skip_story", "abort_story"])
async def test_what_needs_a_story_that_ended_is_blocked_and_people_are_asked(
    started: Commands, end: str
) -> None:
    await chain(started)
    await getattr(started, end)("shop-1", "not now", actor="cli")
    second, third = (await started.story("shop-2")).view, (await started.story("shop-3")).view
    assert (second.status, third.status) == (StoryStatus.BLOCKED, StoryStatus.WAITING)
    assert "shop-1 was" in second.why
    assert "/backlog edit" in second.why
    assert (await started.workflow("shop")).state is WorkflowState.BLOCKED
    told = [event for event in await started.events() if event.kind is EventKind.STORY_BLOCKED]
    assert [event.story_id for event in told] == ["shop-2"]


async def test_new_tries_do_not_help_it_but_other_needs_do(started: Commands) -> None:
    await chain(started)
    await started.skip_story("shop-1", "", actor="cli")
    with pytest.raises(NotAllowed, match="shop-1 was skipped"):
        await started.suggest_fix("shop-2", "Try again.", actor="cli")
    with pytest.raises(NotAllowed, match="shop-1 was skipped"):
        await started.run_phase("shop-2", Phase.DESIGN, actor="cli")
    assert (await started.story("shop-2")).view.status is StoryStatus.BLOCKED
    await started.edit_story("shop-2", needs=(), actor="cli")
    assert (await started.story("shop-2")).view.status is StoryStatus.WAITING
    assert (await started.workflow("shop")).state is WorkflowState.SPRINT_ACTIVE


async def test_another_project_is_told_too(register, orchard: Commands) -> None:
    await register("lib")
    await register("app")
    await orchard.add_story("lib", "Base", actor="cli")
    await orchard.add_story("app", "On top", needs=("lib-1",), actor="cli")
    for project in ("lib", "app"):
        await orchard.plan_sprint(project, actor="cli")
        await orchard.start_sprint(project, actor="cli")
    await orchard.skip_story("lib-1", "", actor="cli")
    assert (await orchard.story("app-1")).view.status is StoryStatus.BLOCKED
    assert (await orchard.workflow("app")).state is WorkflowState.BLOCKED


async def test_it_is_found_when_its_sprint_starts_later(started: Commands) -> None:
    await started.add_story("shop", "First", actor="cli")
    await started.add_story("shop", "Second", needs=("shop-1",), actor="cli")
    await started.plan_sprint("shop", stories=["shop-1"], actor="cli")
    await started.start_sprint("shop", actor="cli")
    await started.skip_story("shop-1", "", actor="cli")
    await started.feedback("shop", "Enough.", actor="cli")
    await started.plan_sprint("shop", actor="cli")
    await started.start_sprint("shop", actor="cli")
    assert (await started.story("shop-2")).view.status is StoryStatus.BLOCKED


async def test_it_is_found_when_a_story_joins_a_sprint_that_runs(started: Commands) -> None:
    await chain(started)
    await started.add_story("shop", "Fourth", needs=("shop-1",), actor="cli")
    await started.add_story("shop", "Fifth", actor="cli")
    await started.start_story("shop-5", actor="cli")  # so that the sprint goes on
    await started.skip_story("shop-1", "", actor="cli")
    assert (await started.start_story("shop-4", actor="cli")).status is StoryStatus.BLOCKED


async def test_nobody_is_asked_to_merge_a_story_whose_need_is_gone(started: Commands) -> None:
    for title in ("First", "Second", "Third"):
        await started.add_story("shop", title, actor="cli")
    await started.plan_sprint("shop", actor="cli")
    await started.start_sprint("shop", actor="cli")
    await started.edit_story("shop-2", needs=("shop-1",), actor="cli")

    def ask(tx: Transaction) -> Approval:
        return approvals.ask(
            tx,
            project="shop",
            story_id="shop-2",
            kind=ApprovalKind.MERGE,
            subject="merge:shop-2",
            question="Merge it?",
            detail="",
            reasons=(),
        )

    asked = await started._store.write(ask)
    await started.skip_story("shop-1", "", actor="cli")
    assert (await started.approval(asked.id)).state is ApprovalState.CANCELLED
    assert (await started.story("shop-2")).view.status is StoryStatus.BLOCKED
