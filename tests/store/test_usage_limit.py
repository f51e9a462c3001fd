"""A usage limit pauses the sprint, which goes on when it was said, a few times in a row, or by a person."""

from datetime import timedelta

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowCommand, WorkflowState
from core.orchestrator.usage_limit import UsagePolicy, end_usage_pause, next_try, pause_for_usage
from core.store import events, projects, usage

RESUMES = UsagePolicy(resumes=True, tries=2)


@pytest.fixture
def project(tx, new_project):
    return new_project(tx).name


def limit(tx, project, *, said=None, policy=RESUMES):
    pause_for_usage(
        tx,
        project,
        agent="claude",
        reason="5-hour limit",
        said=said,
        policy=policy,
        others="All that depends on anthropic waits with it.",
    )
    return usage.find(tx.conn, project)


def workflow(tx, project):
    return projects.get(tx.conn, project).workflow


def told(tx, kind):
    return [event.data for event in events.latest(tx.conn, kinds=[kind])]


def test_it_pauses_the_sprint_until_the_time_that_was_said(tx, project):
    until = tx.now + timedelta(hours=3)
    pause = limit(tx, project, said=until)
    assert (pause.until, pause.resumes, pause.tries) == (until, True, 1)
    assert workflow(tx, project) is WorkflowState.SPRINT_PAUSED
    (data,) = told(tx, EventKind.USAGE_LIMITED)
    assert (data["agent"], data["until"], data["resumes"]) == ("claude", until.isoformat(), True)
    assert data["others"] == "All that depends on anthropic waits with it."


def test_without_the_wish_it_waits_for_people_even_when_the_time_is_over(tx, project, later):
    pause = limit(tx, project, said=tx.now + timedelta(seconds=5), policy=UsagePolicy())
    assert not pause.resumes
    after = later(10)
    assert usage.due(after.conn, after.now) == ()
    assert not end_usage_pause(after, project)
    assert workflow(after, project) is WorkflowState.SPRINT_PAUSED


def test_it_goes_on_by_itself_at_its_time_and_not_before(tx, project, later):
    limit(tx, project, said=tx.now + timedelta(seconds=100))
    early = later(99)
    assert usage.due(early.conn, early.now) == ()
    assert not end_usage_pause(early, project)
    on_time = later(1)
    assert [pause.project for pause in usage.due(on_time.conn, on_time.now)] == [project]
    assert end_usage_pause(on_time, project)
    assert not end_usage_pause(on_time, project)  # once
    assert workflow(on_time, project) is WorkflowState.SPRINT_ACTIVE
    assert told(on_time, EventKind.USAGE_RESET) == [{"agent": "claude", "by": "orchard"}]


def test_the_times_in_a_row_are_counted_until_a_gate_passes(tx, project, later):
    for tries in (1, 2):
        pause = limit(tx, project)
        assert (pause.tries, pause.resumes) == (tries, True)
        tx = later(4000)
        assert end_usage_pause(tx, project)
    assert limit(tx, project).resumes is False  # a third time in a row people are asked
    usage.end(tx, project, by="cli")
    projects.move_workflow(tx, project, WorkflowCommand.SPRINT_RESUME, actor="cli")
    assert limit(tx, project).tries == 1  # a person said go on
    tx = later(4000)
    end_usage_pause(tx, project)
    tx.emit(EventKind.GATE_PASSED, project=project)
    assert limit(tx, project).tries == 1


def test_a_second_story_at_the_same_limit_only_prolongs_it(tx, project):
    limit(tx, project, said=tx.now + timedelta(hours=1))
    pause = limit(tx, project, said=tx.now + timedelta(hours=2))
    assert (pause.until, pause.tries) == (tx.now + timedelta(hours=2), 1)
    assert limit(tx, project, said=tx.now + timedelta(minutes=1)).until == tx.now + timedelta(hours=2)
    assert len(told(tx, EventKind.USAGE_LIMITED)) == 1


def test_a_sprint_that_a_person_paused_is_not_resumed_by_a_limit(tx, project, later):
    projects.move_workflow(tx, project, WorkflowCommand.SPRINT_PAUSE, actor="cli")
    assert limit(tx, project, said=tx.now + timedelta(seconds=1)) is None
    after = later(60)
    assert usage.due(after.conn, after.now) == ()


def test_a_project_that_does_not_depend_on_it_goes_on(tx, project, new_project):
    other = new_project(tx, "depot").name
    limit(tx, project)
    assert workflow(tx, other) is WorkflowState.SPRINT_ACTIVE


@pytest.mark.parametrize(("tries", "seconds"), [(1, 60), (2, 120), (6, 1920), (7, 3600), (50, 3600)])
def test_an_unsaid_time_is_a_back_off(tx, tries, seconds):
    assert next_try(tx.now, None, tries) == tx.now + timedelta(seconds=seconds)
    assert next_try(tx.now, tx.now - timedelta(hours=1), tries) == tx.now + timedelta(seconds=seconds)
