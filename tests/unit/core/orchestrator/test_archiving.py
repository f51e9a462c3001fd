"""A project put away and brought back: the real store, a real file, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import ProjectStatus
from core.errors import InvalidTransition
from core.orchestrator.commands import Commands


async def test_what_is_archived_comes_back_with_all_that_was_known(started: Commands) -> None:
    story = await started.add_story("shop", "Sell apples", actor="cli")
    made = await started.archive_project("shop", actor="discord:1")
    assert made.project.status is ProjectStatus.ARCHIVED
    assert Path(made.path).is_file()
    with pytest.raises(InvalidTransition) as refused:
        await started.start_project("shop", actor="cli")
    assert "/project_reopen shop" in refused.value.hint
    assert (await started.project("shop")).project.status is ProjectStatus.ARCHIVED

    opened = await started.reopen_project("Shop", actor="discord:2")
    assert opened.status is ProjectStatus.PAUSED
    assert [view.story.id for view in (await started.backlog("shop"))] == [story.id]
    events = [(event.kind, event.actor) for event in await started.events() if event.project == "shop"]
    assert (EventKind.PROJECT_ARCHIVED, "discord:1") in events
    assert events[-1] == (EventKind.PROJECT_REOPENED, "discord:2")
    assert Path(made.path).is_file()
    assert (await started.start_project("shop", actor="cli")).status is ProjectStatus.ACTIVE
    with pytest.raises(InvalidTransition):
        await started.reopen_project("shop", actor="cli")
