"""Epics from a wish to approved stories; the agent's answer is put in by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.agents import prompts
from core.agents.setup import AgentSetup
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, WorkflowState
from core.domain.proposals import parse_proposals
from core.domain.story import Epic, EpicState, StoryState, StoryStatus
from core.errors import InvalidInput, LostRace, NotAllowed, NotFound
from core.orchestrator.commands import Commands
from core.orchestrator.designs import begin_design, fail_design, feedback_of, take_in
from core.orchestrator.epics import EpicDesigns
from core.store import epics
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport, ProjectSetup

TWO = """\
## Pay by card
A customer pays.
Estimate: 3
Acceptance criteria:
- it pays

## Refund
Needs: 1
Acceptance criteria:
- it refunds
"""
ONE = "## Pay with cards only\nAcceptance criteria:\n- it pays\n"

SETUP = ProjectSetup(name="shop", path=Path("/x"), main_branch="main", state_path=Path("/y"))
AGENT = AgentSetup(name="replay", kind="acp", argv=("true",))
Answer = Callable[[str, str], Awaitable[Epic]]


def report_of(epic: Epic) -> PhaseReport:
    return PhaseReport(
        story_id=epic.id, phase=Phase.DESIGN, generation=epic.generation, end=PhaseEnd.PASSED, session_id="s1"
    )


async def begun(commands: Commands, epic_id: str) -> tuple[Epic, PhaseJob]:
    return await commands._store.write(lambda tx: begin_design(tx, epic_id, SETUP, AGENT))


@pytest.fixture
def answer(started: Commands) -> Answer:
    async def take(epic_id: str, text: str) -> Epic:
        epic, _ = await begun(started, epic_id)
        found = parse_proposals(text)
        assert found.faults == ()
        await started._store.write(lambda tx: take_in(tx, epic, found.proposals, report_of(epic)))
        return epic

    return take


async def told(commands: Commands, kind: EventKind) -> list[Any]:
    return [event.data for event in await commands.events(limit=1000) if event.kind is kind]


async def test_an_epic_opens_the_backlog_and_waits_for_its_agent(started: Commands) -> None:
    view = await started.begin_epic("SHOP", " Take cards\x00 ", actor="discord:1")
    assert (view.epic.id, view.epic.text, view.epic.state) == ("shop-e1", "Take cards", EpicState.DESIGNING)
    assert (await started.workflow("shop")).state is WorkflowState.BACKLOG_READY
    assert await told(started, EventKind.EPIC_ASKED) == [
        {"epic": "shop-e1", "text": "Take cards", "by": "discord:1"}
    ]
    with pytest.raises(NotAllowed, match="shop-e1 asks for the same"):
        await started.begin_epic("shop", "Take cards", actor="discord:1")  # a double click
    with pytest.raises(NotAllowed) as caught:
        await started.plan_sprint("shop", actor="cli")
    assert "wait for its stories" in caught.value.hint


async def test_what_is_no_epic(started: Commands) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        await started.begin_epic("shop", "\u202e", actor="cli")
    with pytest.raises(InvalidInput, match="20001"):
        await started.begin_epic("shop", "x" * 20_001, actor="cli")
    with pytest.raises(NotFound):
        await started.epic("shop-e1")
    await started.stop_project("shop", actor="cli")
    with pytest.raises(NotAllowed, match="/project_start shop"):
        await started.begin_epic("shop", "x", actor="cli")
    assert (await started.workflow("shop")).state is WorkflowState.IDLE


async def test_no_epic_is_begun_in_a_project_that_was_stopped_meanwhile(started: Commands) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    await started.stop_project("shop", actor="cli")
    with pytest.raises(LostRace, match="shop is paused"):
        await begun(started, "shop-e1")
    assert (await started.epic("shop-e1")).epic.generation == 0


class StandingClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


async def test_what_was_read_before_a_person_asked_for_a_start_keeps_no_epic_waiting(
    started: Commands,
) -> None:
    clock = StandingClock()
    supervisor = SimpleNamespace(ready_in=lambda project: 0.0)
    no: Any = None
    designs = EpicDesigns(
        no,
        no,
        no,
        cast(Any, SimpleNamespace(extra_agents=no, clock=clock)),
        cast(Any, SimpleNamespace(supervisor=supervisor)),
        no,
        interval_seconds=1.0,
        back_off=no,
    )
    epic = (await started.begin_epic("shop", "Take cards", actor="cli")).epic
    waits: dict[str, str] = {}
    assert designs._must_wait(replace(epic, not_before=clock.now() + timedelta(hours=1)), waits)
    assert waits == {epic.id: "waits: its agent takes no more work; next in 3600 s."}
    assert not designs._must_wait(epic, {})


async def test_proposals_stand_apart_until_they_are_approved(started: Commands, answer: Answer) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    await answer("shop-e1", TWO)
    await started.add_story("shop", "other", actor="cli")
    views = await started.backlog("shop")
    assert [(view.story.id, view.status) for view in views] == [
        ("shop-3", StoryStatus.BACKLOG),
        ("shop-1", StoryStatus.PROPOSED),
        ("shop-2", StoryStatus.PROPOSED),
    ]
    assert (views[1].story.estimate, views[1].story.epic_id, views[2].needs) == (3, "shop-e1", ("shop-1",))
    assert await told(started, EventKind.EPIC_PROPOSED) == [
        {"epic": "shop-e1", "stories": ["shop-1", "shop-2"]}
    ]
    with pytest.raises(NotAllowed, match="shop-2 is only proposed"):
        await started.plan_sprint("shop", stories=["shop-2"], actor="cli")
    await started.edit_story("shop-2", title="Refund all", actor="cli")
    (approved,) = await started.approve_stories("shop", [" SHOP-2 "], actor="discord:1")
    assert (approved.story.state, approved.story.title) == (StoryState.BACKLOG, "Refund all")
    assert approved.why == "waits for shop-1 (proposed) to be done first."
    assert (await started.epic("shop-e1")).epic.state is EpicState.PROPOSED
    with pytest.raises(NotAllowed, match=r"shop-2 \(backlog in shop\)"):
        await started.approve_stories("shop", ["shop-2"], actor="cli")
    with pytest.raises(NotFound):
        await started.approve_stories("shop", ["shop-99"], actor="cli")
    with pytest.raises(InvalidInput, match="No story was named"):
        await started.approve_stories("shop", [" "], actor="cli")
    assert [view.story.id for view in await started.approve_stories("shop", actor="cli")] == ["shop-1"]
    assert (await started.epic("shop-e1")).epic.state is EpicState.SETTLED
    with pytest.raises(NotAllowed, match="Nothing is proposed"):
        await started.approve_stories("shop", actor="cli")
    with pytest.raises(NotAllowed, match="is settled"):
        await started.revise_epic("shop-e1", "more", actor="cli")
    assert [data["stories"] for data in await told(started, EventKind.STORIES_APPROVED)] == [
        ["shop-2"],
        ["shop-1"],
    ]


async def test_removing_every_proposal_settles_the_epic_and_empties_the_backlog(
    started: Commands, answer: Answer
) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    await answer("shop-e1", TWO)
    for story in ("shop-2", "shop-1"):
        await started.remove_story(story, actor="cli")
    assert (await started.epic("shop-e1")).epic.state is EpicState.SETTLED
    assert (await started.workflow("shop")).state is WorkflowState.IDLE


async def test_a_backlog_that_waits_for_an_epic_is_not_empty(started: Commands) -> None:
    await started.add_story("shop", "a", actor="cli")
    await started.begin_epic("shop", "x", actor="cli")
    await started.remove_story("shop-1", actor="cli")
    assert (await started.workflow("shop")).state is WorkflowState.BACKLOG_READY


async def test_new_proposals_replace_those_that_nobody_approved(started: Commands, answer: Answer) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    await answer("shop-e1", TWO)
    await started.approve_stories("shop", ["shop-1"], actor="cli")
    view = await started.revise_epic("shop-e1", "No refunds", actor="discord:1")
    assert view.epic.wish == "No refunds"
    with pytest.raises(NotAllowed, match="being designed"):
        await started.revise_epic("shop-e1", "again", actor="cli")
    assert (await started.story("shop-2")).view.status is StoryStatus.PROPOSED  # until the new ones are there
    _, job = await begun(started, "shop-e1")
    assert job.epic
    assert job.session_id == "s1"
    assert job.feedback == prompts.changes_wanted("No refunds")
    assert [one.title for one in parse_proposals(job.story.spec).proposals] == ["Refund"]
    await answer("shop-e1", ONE)
    states = {view.story.id: view.story.state for view in (await started.epic("shop-e1")).stories}
    assert states == {
        "shop-1": StoryState.BACKLOG,
        "shop-2": StoryState.REMOVED,
        "shop-3": StoryState.PROPOSED,
    }


async def test_a_late_answer_changes_nothing(started: Commands, answer: Answer) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    late, _ = await begun(started, "shop-e1")
    await answer("shop-e1", ONE)
    with pytest.raises(LostRace):
        await started._store.write(
            lambda tx: take_in(tx, late, parse_proposals(TWO).proposals, report_of(late))
        )
    assert [view.story.title for view in await started.backlog("shop")] == ["Pay with cards only"]


async def test_a_failed_epic_closes_an_empty_backlog_and_can_be_revised(started: Commands) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    epic, _ = await begun(started, "shop-e1")
    await started._store.write(lambda tx: fail_design(tx, epic, "It wrote nothing."))
    view = await started.epic("shop-e1")
    assert (view.epic.state, view.why) == (EpicState.FAILED, "It wrote nothing.")
    assert (await started.workflow("shop")).state is WorkflowState.IDLE
    assert await told(started, EventKind.EPIC_FAILED) == [
        {"epic": "shop-e1", "error": "It wrote nothing.", "tried": 1}
    ]
    await started.revise_epic("shop-e1", "Smaller", actor="cli")
    assert (await started.workflow("shop")).state is WorkflowState.BACKLOG_READY
    await started.begin_epic("shop", "Another", actor="cli")
    assert [view.epic.id for view in await started.epics("shop")] == ["shop-e2", "shop-e1"]


async def test_what_people_want_stays_said_beside_what_was_wrong(started: Commands, answer: Answer) -> None:
    await started.begin_epic("shop", "Take cards", actor="cli")
    await answer("shop-e1", TWO)
    await started.revise_epic("shop-e1", "No refunds", actor="cli")
    for faults, told in ((("one",), "- one"), (tuple("abcdefghijklmnopqrstuvwxyz"), "And 6 more.")):
        epic, _ = await begun(started, "shop-e1")
        feedback = feedback_of(faults)
        await started._store.write(lambda tx: epics.retry(tx, epic, feedback=feedback, session_id=None))  # noqa: B023
        _, job = await begun(started, "shop-e1")
        assert job.feedback == f"{prompts.changes_wanted('No refunds')}\n\n{feedback}"
        assert told in job.feedback
    await answer("shop-e1", ONE)
    assert (await started.epic("shop-e1")).epic.wish == ""


async def test_epics_only_before_a_sprint(started: Commands) -> None:
    await started.add_story("shop", "a", actor="cli")
    await started.plan_sprint("shop", actor="cli")
    with pytest.raises(NotAllowed, match="SPRINT_PLANNED: /epic is not possible now"):
        await started.begin_epic("shop", "x", actor="cli")
    with pytest.raises(NotAllowed, match="/approve is not possible now"):
        await started.approve_stories("shop", actor="cli")
