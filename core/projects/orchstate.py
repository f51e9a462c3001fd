"""The readable picture of a project in its `.orch-state` folder. PURE: rows in, JSON documents out.

The shapes are those that tools around `.orch-state` share: one `backlog.json` with epics, stories and
sprints, a file a sprint, a file a TDD cycle, and `status.json`. What they have no word for stands under
`metadata.orchard`. The store is the record; nothing reads these files back but `orchard import`, and that
passes over its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.domain.evidence import Evidence, Verdict
from core.domain.lifecycles import CycleState, Phase
from core.domain.project import Project
from core.domain.story import Cycle, Epic, EpicState, Priority, Sprint, Story, StoryState, StoryStatus

FOLDER = ".orch-state"
BACKLOG = "backlog.json"
STATUS = "status.json"
SPRINTS = "sprints"
CYCLES = "tdd_cycles"
MARK = "generated_by"
OWN = "orchard"

Document = Mapping[str, Any]

PRIORITIES: Mapping[Priority, int] = {
    Priority.CRITICAL: 1,
    Priority.HIGH: 2,
    Priority.NORMAL: 3,
    Priority.LOW: 4,
}
_STORY_STATUS: Mapping[StoryStatus, str] = {
    StoryStatus.PLANNED: "sprint",
    StoryStatus.WAITING: "in_progress",
    StoryStatus.RUNNING: "in_progress",
    StoryStatus.STOPPED: "in_progress",
    StoryStatus.TAKEN: "in_progress",
    StoryStatus.AWAITING_APPROVAL: "review",
    StoryStatus.BLOCKED: "blocked",
    StoryStatus.DONE: "done",
}
_TEST_STATUS: Mapping[CycleState, str] = {
    CycleState.CODE_GREEN: "red",
    CycleState.REFACTOR: "green",
    CycleState.COMMIT: "refactor",
    CycleState.DONE: "complete",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryFacts:
    """A story with what is known of its cycle. `verdicts` are of its gates, oldest first."""

    story: Story
    status: StoryStatus
    cycle: Cycle | None = None
    needs: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFacts:
    project: Project
    epics: tuple[Epic, ...]
    stories: tuple[StoryFacts, ...]
    sprints: tuple[Sprint, ...]  # oldest first


def documents(facts: ProjectFacts, *, updated: datetime) -> dict[str, Document]:
    """Path below `.orch-state` to document. `updated` is the time of the last change, not of the writing: the
    same facts make the same documents."""
    kept = tuple(each for each in facts.stories if each.story.state is not StoryState.REMOVED)
    sprints = {sprint.id: _sprint(sprint, kept) for sprint in facts.sprints}
    cycles = {each.story.id: _cycle(each, each.cycle) for each in kept if each.cycle is not None}
    current = next((sprint for sprint in facts.sprints if sprint.ended_at is None), None)
    made: dict[str, Document] = {
        BACKLOG: {
            MARK: OWN,
            "project_name": facts.project.name,
            "created": _time(facts.project.registered_at),
            "updated": _time(updated),
            "current_sprint_id": sprint_id(current) if current else None,
            "epics": [_epic(epic, kept) for epic in facts.epics],
            "stories": [_story(each, facts.sprints) for each in kept],
            "sprints": list(sprints.values()),
        },
        STATUS: {
            MARK: OWN,
            "project_name": facts.project.name,
            "current_state": str(facts.project.workflow),
            "status": str(facts.project.status),
            "current_sprint_id": sprint_id(current) if current else None,
            "active_tdd_cycles": [cycle["id"] for cycle in cycles.values() if cycle["completed_at"] is None],
            "blocked_stories": [each.story.id for each in kept if each.status is StoryStatus.BLOCKED],
            "updated": _time(updated),
        },
    }
    for document in sprints.values():
        made[f"{SPRINTS}/{document['id']}.json"] = {MARK: OWN, **document}
    for document in cycles.values():
        made[f"{CYCLES}/{document['id']}.json"] = {MARK: OWN, **document}
    return made


def without_tests(verdict: Verdict) -> Verdict:
    """As much of a verdict as a document shows. The names of a suite's tests are long, the verdicts many."""
    kept = Evidence(changed_files=verdict.evidence.changed_files, passed_count=verdict.evidence.passed_count)
    return replace(verdict, evidence=kept)


def sprint_id(sprint: Sprint) -> str:
    """A name for files and readers; the store's own id is random."""
    return f"sprint-{sprint.number}"


def cycle_id(story_id: str) -> str:
    return f"cycle-{story_id}"


def _epic(epic: Epic, stories: tuple[StoryFacts, ...]) -> Document:
    own = [each for each in stories if each.story.epic_id == epic.id]
    over = epic.state is EpicState.SETTLED and all(each.status is StoryStatus.DONE for each in own)
    first, _, _ = epic.text.partition("\n")
    return {
        "id": epic.id,
        "title": first[:200],
        "description": epic.text,
        "created_at": _time(epic.asked_at),
        "status": "completed" if own and over else "active",
        "priority": "medium",
        "stories": [each.story.id for each in own],
        "acceptance_criteria": [],
        "tags": [],
        "metadata": {OWN: {"state": str(epic.state), "asked_by": epic.asked_by, "error": epic.error}},
    }


def _story(each: StoryFacts, sprints: tuple[Sprint, ...]) -> Document:
    story = each.story
    sprint = next((sprint for sprint in sprints if sprint.id == story.sprint_id), None)
    return {
        "id": story.id,
        "title": story.title,
        "description": story.body,
        "created_at": _time(story.added_at),
        "status": _STORY_STATUS.get(each.status, "backlog"),
        "priority": PRIORITIES[story.priority],
        "epic_id": story.epic_id,
        "story_points": story.estimate,
        "acceptance_criteria": list(story.acceptance_criteria),
        "sprint_id": sprint_id(sprint) if sprint else None,
        "labels": list(story.labels),
        "dependencies": list(each.needs),
        "tdd_cycle_id": cycle_id(story.id) if each.cycle else None,
        "test_status": _TEST_STATUS.get(each.cycle.state, "not_started") if each.cycle else "not_started",
        "test_files": _test_files(each),
        "metadata": {
            OWN: {
                "status": str(each.status),
                "priority": str(story.priority),
                "added_by": story.added_by,
                "links": list(story.links),
                "merge_commit": each.cycle.merge_commit if each.cycle else None,
                "blocked_reason": each.cycle.blocked_reason if each.cycle else "",
            }
        },
    }


def _sprint(sprint: Sprint, stories: tuple[StoryFacts, ...]) -> dict[str, Any]:
    own = [each for each in stories if each.story.sprint_id == sprint.id]
    done = [each for each in own if each.status is StoryStatus.DONE]
    status = "completed" if sprint.ended_at else "active" if sprint.started_at else "planned"
    return {
        "id": sprint_id(sprint),
        "name": f"Sprint {sprint.number}",
        "goal": sprint.goal,
        "description": "",
        "created_at": _time(sprint.planned_at),
        "start_date": _time(sprint.started_at),
        "end_date": _time(sprint.ended_at),
        "status": status,
        "story_ids": [each.story.id for each in own],
        "capacity": sum(_points(each) for each in own),
        "velocity": sum(_points(each) for each in done) if sprint.ended_at else None,
        "retrospective_notes": [sprint.retrospective] if sprint.retrospective else [],
        "active_tdd_cycles": [
            cycle_id(each.story.id) for each in own if each.cycle and each.cycle.state.phase is not None
        ],
        "metadata": {},
    }


def _cycle(each: StoryFacts, cycle: Cycle) -> dict[str, Any]:
    """Shared tools know five states and no abort: the outcome says how it ended."""
    over = cycle.state.phase is None
    passed = [verdict for verdict in each.verdicts if verdict.passed]
    state = Phase.COMMIT if cycle.state is CycleState.DONE else cycle.state.phase or Phase.DESIGN
    completed = _time(cycle.updated_at) if over else None
    evidence = passed[-1].evidence if passed else None
    task = {
        "id": f"{cycle_id(each.story.id)}-task",
        "cycle_id": cycle_id(each.story.id),
        "description": each.story.title,
        "acceptance_criteria": list(each.story.acceptance_criteria),
        "current_state": str(state),
        "test_files": _test_files(each),
        "source_files": [],
        "design_notes": cycle.spec,
        "ci_status": "not_run",
        "started_at": _time(cycle.started_at),
        "completed_at": completed,
    }
    return {
        "id": cycle_id(each.story.id),
        "story_id": each.story.id,
        "current_state": str(state),
        "current_task_id": None if over else task["id"],
        "tasks": [task],
        "started_at": _time(cycle.started_at),
        "completed_at": completed,
        "total_test_runs": len(each.verdicts),
        "total_refactors": sum(verdict.phase is Phase.REFACTOR for verdict in passed),
        "total_commits": sum(verdict.phase is not Phase.DESIGN for verdict in passed),
        "ci_status": "not_run",
        "outcome": str(cycle.state) if over else "open",
        "metadata": {
            OWN: {
                "status": str(each.status),
                "attempt": cycle.attempt,
                "head_commit": cycle.head_commit,
                "merge_commit": cycle.merge_commit,
                "blocked_reason": cycle.blocked_reason,
                "passed": evidence.passed_count if evidence else None,
                "refusals": [refusal.sentence for verdict in each.verdicts for refusal in verdict.refusals],
            }
        },
    }


def _test_files(each: StoryFacts) -> list[str]:
    """What the story changed when its tests were red: test files only, the gate saw to that."""
    files: dict[str, None] = {}
    for verdict in each.verdicts:
        if verdict.passed and verdict.phase is Phase.TEST_RED:
            files |= dict.fromkeys(verdict.evidence.changed_files)
    return list(files)


def _points(each: StoryFacts) -> int:
    return 1 if each.story.estimate is None else each.story.estimate


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
