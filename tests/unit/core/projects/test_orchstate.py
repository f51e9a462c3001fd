"""The picture in `.orch-state`, and what is read back from another tool's."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import CycleState, Phase, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import (
    Cycle,
    Epic,
    EpicState,
    Priority,
    Sprint,
    Story,
    StoryState,
    StoryStatus,
)
from core.projects.foreignstate import NOTES_LIMIT, is_own, read_state
from core.projects.orchstate import BACKLOG, STATUS, ProjectFacts, StoryFacts, documents, without_tests

T0 = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PROJECT = Project(
    name="shop",
    path=Path("/code/shop"),
    main_branch="main",
    status=ProjectStatus.ACTIVE,
    workflow=WorkflowState.SPRINT_ACTIVE,
    registered_at=T0,
)
SPRINT = Sprint(
    id="sprint_9f", project="shop", number=2, goal="A cart", planned_at=T0, started_at=T0, ended_at=None
)
STORY = Story(
    id="shop-3",
    project="shop",
    number=3,
    title="Empty the cart",
    body="One button.",
    acceptance_criteria=("the cart is empty",),
    priority=Priority.HIGH,
    state=StoryState.ACTIVE,
    sprint_id=SPRINT.id,
    added_by="discord:7",
    added_at=T0,
    estimate=3,
    labels=("ui",),
    epic_id="shop-e1",
)
CYCLE = Cycle(
    story_id="shop-3",
    project="shop",
    state=CycleState.REFACTOR,
    attempt=2,
    base_commit="b",
    red_commit="r",
    head_commit="h",
    session_id=None,
    spec="# Empty the cart",
    feedback="",
    blocked_reason="",
    merge_commit=None,
    generation=4,
    started_at=T0,
    updated_at=T0 + timedelta(minutes=5),
)
RED = Verdict(
    phase=Phase.TEST_RED, evidence=Evidence(red=("test_cart.py::test_a",), changed_files=("test_cart.py",))
)
REFUSED = Verdict(
    phase=Phase.CODE_GREEN, refusals=(Refusal(code=RefusalCode.STILL_RED, sentence="test_a still fails."),)
)
GREEN = Verdict(phase=Phase.CODE_GREEN, evidence=Evidence(passed_count=12))
EPIC = Epic(
    id="shop-e1",
    project="shop",
    number=1,
    text="Carts\nPeople want carts.",
    state=EpicState.SETTLED,
    asked_by="cli",
    asked_at=T0,
    attempt=1,
    generation=1,
    feedback="",
    session_id=None,
    error="",
)


def facts(*stories: StoryFacts) -> ProjectFacts:
    return ProjectFacts(project=PROJECT, epics=(EPIC,), stories=stories, sprints=(SPRINT,))


def at_work() -> StoryFacts:
    return StoryFacts(
        story=STORY,
        status=StoryStatus.RUNNING,
        cycle=CYCLE,
        needs=("shop-1",),
        verdicts=(RED, REFUSED, GREEN),
    )


def test_a_story_at_work_is_in_every_document() -> None:
    made = documents(facts(at_work()), updated=T0)
    assert set(made) == {BACKLOG, STATUS, "sprints/sprint-2.json", "tdd_cycles/cycle-shop-3.json"}
    (story,) = made[BACKLOG]["stories"]
    assert (story["status"], story["priority"], story["story_points"]) == ("in_progress", 2, 3)
    assert story["dependencies"] == ["shop-1"]
    assert story["sprint_id"] == made[BACKLOG]["current_sprint_id"] == "sprint-2"
    assert made[BACKLOG]["epics"][0]["stories"] == ["shop-3"]
    assert made["sprints/sprint-2.json"]["story_ids"] == ["shop-3"]
    assert made["sprints/sprint-2.json"]["capacity"] == 3
    cycle = made["tdd_cycles/cycle-shop-3.json"]
    assert (cycle["current_state"], cycle["completed_at"], cycle["outcome"]) == ("refactor", None, "open")
    assert cycle["tasks"][0]["test_files"] == ["test_cart.py"]
    assert cycle["total_test_runs"] == 3
    assert cycle["metadata"]["orchard"]["refusals"] == ["test_a still fails."]
    assert made[STATUS]["active_tdd_cycles"] == ["cycle-shop-3"]
    assert made[STATUS]["current_state"] == "SPRINT_ACTIVE"


@pytest.mark.parametrize(
    ("state", "shown", "outcome"),
    [(CycleState.DONE, "commit", "done"), (CycleState.ABORTED, "design", "aborted")],
)
def test_a_cycle_that_is_over_says_how(state: CycleState, shown: str, outcome: str) -> None:
    over = replace(at_work(), cycle=replace(CYCLE, state=state, merge_commit="m"))
    cycle = documents(facts(over), updated=T0)["tdd_cycles/cycle-shop-3.json"]
    assert (cycle["current_state"], cycle["outcome"]) == (shown, outcome)
    assert cycle["completed_at"] == CYCLE.updated_at.isoformat()
    assert cycle["current_task_id"] is None


@pytest.mark.parametrize("status", StoryStatus)
def test_every_status_has_a_word_that_other_tools_know(status: StoryStatus) -> None:
    made = documents(facts(replace(at_work(), status=status)), updated=T0)
    known = {"backlog", "sprint", "in_progress", "review", "done", "blocked"}
    assert made[BACKLOG]["stories"][0]["status"] in known
    assert made[BACKLOG]["stories"][0]["metadata"]["orchard"]["status"] == str(status)


def test_a_removed_story_is_gone_and_the_same_facts_make_the_same_documents() -> None:
    removed = replace(at_work(), story=replace(STORY, state=StoryState.REMOVED))
    assert documents(facts(removed), updated=T0)[BACKLOG]["stories"] == []
    assert documents(facts(at_work()), updated=T0) == documents(facts(at_work()), updated=T0)


def test_its_own_files_are_not_read_as_anothers() -> None:
    made = documents(facts(at_work()), updated=T0)
    assert all(is_own(document) for document in made.values())
    state = read_state(made)
    assert (state.stories, state.epics, state.sprints) == ((), (), ())


FOREIGN: dict[str, Any] = {
    "epics": [{"id": "epic-1", "title": "Carts", "description": "People want carts."}],
    "stories": [
        {
            "id": "story-a",
            "title": "Fill the cart",
            "description": "With things.",
            "status": "done",
            "priority": 1,
            "acceptance_criteria": ["it is full"],
            "story_points": 5,
            "labels": ["ui"],
            "epic_id": "epic-1",
            "sprint_id": "sprint-1",
        },
        {
            "id": "story-b",
            "title": "Empty it",
            "description": "",
            "status": "in_progress",
            "priority": "medium",
            "dependencies": ["story-a", "story-x", "story-b"],
        },
        {"description": "No title here\nbut two lines"},
        {"id": "story-a", "title": "Again"},
        {"id": "story-c"},
        "not a story",
    ],
    "sprints": [
        {
            "id": "sprint-1",
            "goal": "First",
            "status": "completed",
            "start_date": "2026-01-05T09:00:00",
            "end_date": "2026-01-16T17:00:00Z",
            "retrospective": {"what_went_well": ["tests"], "action_items": ["more of them"]},
        },
        {"id": "sprint-2", "goal": "Second", "status": "active", "start_date": "2026-01-19"},
    ],
}


def test_another_tools_backlog_is_read() -> None:
    state = read_state({BACKLOG: FOREIGN})
    first, second, third = state.stories
    assert (first.key, first.done, first.priority, first.estimate) == ("story-a", True, Priority.CRITICAL, 5)
    assert (first.epic, first.sprint, first.acceptance_criteria) == ("epic-1", "sprint-1", ("it is full",))
    assert (second.done, second.priority, second.needs) == (False, Priority.NORMAL, ("story-a",))
    assert (third.title, third.body) == ("No title here", "but two lines")
    assert state.epics[0].text == "Carts\n\nPeople want carts."
    (sprint,) = state.sprints
    assert sprint.retrospective == "Went well: tests\nTo do: more of them"
    assert sprint.started_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    told = "\n".join(state.notes)
    for said in (
        "story-b was in_progress",
        "story-x",
        "story-a is there twice",
        "story-c has no title",
        "no object",
    ):
        assert said in told


def test_a_sprints_own_file_counts_and_is_not_counted_twice() -> None:
    state = read_state({BACKLOG: FOREIGN, "sprints/sprint-1.json": FOREIGN["sprints"][0]})
    assert [sprint.key for sprint in state.sprints] == ["sprint-1"]


def test_stories_that_need_each_other_keep_one_of_the_needs() -> None:
    circle = [{"id": a, "title": a, "dependencies": [b]} for a, b in ("ab", "bc", "ca")]
    state = read_state({BACKLOG: {"stories": circle}})
    assert {story.key: story.needs for story in state.stories} == {"a": ("b",), "b": ("c",), "c": ()}
    assert any("c and a need each other" in note for note in state.notes)


def test_a_flood_of_oddities_is_told_shortly() -> None:
    state = read_state({BACKLOG: {"stories": [{"id": str(number)} for number in range(500)]}})
    assert len(state.notes) == NOTES_LIMIT + 1
    assert state.notes[-1] == "and 450 more such things"


FIELDS = [
    "id",
    "title",
    "description",
    "status",
    "priority",
    "story_points",
    "dependencies",
    "labels",
    "stories",
    "epics",
    "sprints",
    "start_date",
    "end_date",
    "retrospective",
    "goal",
    "epic_id",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)


@given(backlog=JSON, sprint=JSON)
def test_no_json_is_too_odd(backlog: object, sprint: object) -> None:
    state = read_state({BACKLOG: backlog, "sprints/x.json": sprint})
    keys = {story.key for story in state.stories}
    assert len(keys) == len(state.stories)
    for story in state.stories:
        assert story.title
        assert set(story.needs) <= keys - {story.key}
        assert story.estimate is None or 0 <= story.estimate <= 1000
    assert all(sprint.started_at <= sprint.ended_at for sprint in state.sprints)
    json.dumps(state.notes)


def test_no_document_needs_the_names_of_a_suites_tests() -> None:
    names = tuple(f"test_{number}" for number in range(1000))
    whole = at_work()
    whole = replace(
        whole,
        verdicts=tuple(
            replace(each, evidence=replace(each.evidence, base_passed=names, red_collected=names))
            for each in whole.verdicts
        ),
    )
    kept = replace(whole, verdicts=tuple(map(without_tests, whole.verdicts)))
    assert "test_999" not in repr(kept)
    assert documents(facts(kept), updated=T0) == documents(facts(whole), updated=T0)
