"""The whole state x command product: each pair either moves as designed or is refused with words."""

import itertools

import pytest

from core.domain.lifecycles import (
    CYCLE,
    PROJECT,
    WORKFLOW,
    CycleEvent,
    CycleState,
    ProjectCommand,
    ProjectStatus,
    WorkflowCommand,
    WorkflowFact,
    WorkflowState,
)
from core.domain.machine import allowed_commands, next_state
from core.errors import InvalidTransition

# The product as people read it: one line a state, written by hand from the design's table.
EXPECTED_WORKFLOW = {
    "IDLE": {
        "epic": "BACKLOG_READY",
        "a story entered the empty backlog": "BACKLOG_READY",
    },
    "BACKLOG_READY": {
        "epic": "BACKLOG_READY",
        "approve": "BACKLOG_READY",
        "sprint plan": "SPRINT_PLANNED",
        "nothing is left in the backlog, and no epic is being designed": "IDLE",
    },
    "SPRINT_PLANNED": {
        "sprint plan": "SPRINT_PLANNED",
        "sprint start": "SPRINT_ACTIVE",
        "sprint status": "SPRINT_PLANNED",
    },
    "SPRINT_ACTIVE": {
        "sprint status": "SPRINT_ACTIVE",
        "sprint pause": "SPRINT_PAUSED",
        "suggest_fix": "SPRINT_ACTIVE",
        "skip_task": "SPRINT_ACTIVE",
        "every story is done or skipped": "SPRINT_REVIEW",
        "nothing is runnable and a story is out of retries": "BLOCKED",
        "the agent ran into its usage limit": "SPRINT_PAUSED",
    },
    "SPRINT_PAUSED": {
        "sprint status": "SPRINT_PAUSED",
        "sprint resume": "SPRINT_ACTIVE",
        "the usage limit's time is over, and resuming by itself was asked for": "SPRINT_ACTIVE",
    },
    "SPRINT_REVIEW": {
        "sprint status": "SPRINT_REVIEW",
        "request_changes": "BACKLOG_READY",
        "feedback": "IDLE",
    },
    "BLOCKED": {"sprint status": "BLOCKED", "suggest_fix": "SPRINT_ACTIVE", "skip_task": "SPRINT_ACTIVE"},
}
BACKLOG = ("backlog view", "backlog add_story", "backlog prioritize", "backlog edit", "backlog remove")

EXPECTED_CYCLE = {
    "design": {"passed": "test_red", "aborted": "aborted", "merged": "done"},
    "test_red": {
        "passed": "code_green",
        "sent back": "design",
        "conflicted": "test_red",
        "aborted": "aborted",
        "merged": "done",
    },
    "code_green": {
        "passed": "refactor",
        "sent back": "test_red",
        "conflicted": "test_red",
        "aborted": "aborted",
        "merged": "done",
    },
    "refactor": {
        "passed": "commit",
        "sent back": "code_green",
        "conflicted": "test_red",
        "aborted": "aborted",
        "merged": "done",
    },
    "commit": {
        "passed": "done",
        "sent back": "code_green",
        "conflicted": "test_red",
        "aborted": "aborted",
    },
    "done": {},
    "aborted": {},
}

EXPECTED_PROJECT = {
    "initializing": {"start": "active", "archive": "archived"},
    "active": {"pause": "paused", "maintain": "maintenance"},
    "paused": {"start": "active", "maintain": "maintenance", "archive": "archived"},
    "maintenance": {"start": "active", "archive": "archived"},
    "archived": {"reopen": "paused"},
}


def _arrow(state, event):
    return f"{state}--{event}"


def _product(states, events):
    pairs = itertools.product(states, events)
    return [pytest.param(state, event, id=_arrow(state, event)) for state, event in pairs]


def _check(table, expected, state, event):
    if event in expected:
        assert next_state(table, state, event, entity="x") == expected[event]
        return
    with pytest.raises(InvalidTransition) as refused:
        next_state(table, state, event, entity="shop")
    assert "shop" in str(refused.value)
    assert str(state) in str(refused.value)
    assert str(event) in str(refused.value)


@pytest.mark.parametrize(("state", "event"), _product(WorkflowState, [*WorkflowCommand, *WorkflowFact]))
def test_workflow(state, event):
    expected = EXPECTED_WORKFLOW[state] | {"state": str(state)}
    if state != "SPRINT_REVIEW":
        expected |= {command: str(state) for command in BACKLOG}
    _check(WORKFLOW, expected, state, event)


@pytest.mark.parametrize(("state", "event"), _product(CycleState, CycleEvent))
def test_cycle(state, event):
    _check(CYCLE, EXPECTED_CYCLE[state], state, event)


@pytest.mark.parametrize(("state", "event"), _product(ProjectStatus, ProjectCommand))
def test_project(state, event):
    _check(PROJECT, EXPECTED_PROJECT[state], state, event)


@pytest.mark.parametrize("state", WorkflowState)
def test_every_workflow_state_can_be_left_or_looked_at(state):
    assert WorkflowCommand.STATE in allowed_commands(state)
    assert any(target != state for (source, _), target in WORKFLOW.items() if source == state)


def test_every_cycle_comes_to_an_end_from_anywhere():
    ends = {CycleState.DONE, CycleState.ABORTED}
    for state in set(CycleState) - ends:
        assert (state, CycleEvent.ABORTED) in CYCLE
        seen, todo = set(), [state]
        while todo:
            here = todo.pop()
            seen.add(here)
            todo += [target for (source, _), target in CYCLE.items() if source == here and target not in seen]
        assert CycleState.DONE in seen
