"""Read-only pictures of the state, each from one read; a hundred stories cost no more queries than one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence

from core.domain.approval import ApprovalKind
from core.domain.machine import allowed_commands
from core.domain.needs import why_held
from core.domain.project import Project
from core.domain.story import (
    Cycle,
    Epic,
    EpicState,
    Hold,
    Story,
    StoryState,
    StoryStatus,
    status_from,
    status_of,
)
from core.orchestrator.parking import parked_sentence, takers_of
from core.orchestrator.views import (
    EpicView,
    GateView,
    SprintView,
    StoryDetail,
    StoryTitle,
    StoryView,
    WorkflowView,
)
from core.store import approvals, cycles, gates, github_addresses, needs, pulls, sprints, stories, usage

Why = Callable[[str], str]  # a story's id to what is known of it now, in one sentence

_BEFORE_WORK = (StoryStatus.PROPOSED, StoryStatus.BACKLOG, StoryStatus.PLANNED)


def story_view(conn: sqlite3.Connection, story: Story, why: Why) -> StoryView:
    return story_views(conn, (story,), why)[0]


def story_views(conn: sqlite3.Connection, chosen: Sequence[Story], why: Why) -> tuple[StoryView, ...]:
    ids = json.dumps([story.id for story in chosen])
    at_work = {
        row["story_id"]: cycles.from_row(row)
        for row in conn.execute(
            "SELECT * FROM cycles WHERE story_id IN (SELECT value FROM json_each(?))", (ids,)
        )
    }
    leased = {
        row["story_id"]
        for row in conn.execute(
            "SELECT story_id FROM leases WHERE released_at IS NULL"
            " AND story_id IN (SELECT value FROM json_each(?))",
            (ids,),
        )
    }
    questions: dict[str, list[sqlite3.Row]] = {}
    for row in conn.execute(
        "SELECT story_id, kind, question FROM approvals WHERE state = 'pending'"
        " AND story_id IN (SELECT value FROM json_each(?)) ORDER BY asked_at, rowid",
        (ids,),
    ):
        questions.setdefault(row["story_id"], []).append(row)
    needed = needs.of_stories(conn, [story.id for story in chosen])
    unmet = needs.unmet(conn, needed)
    parked = [cycle.story_id for cycle in at_work.values() if cycle.parked]
    takers = takers_of(conn, parked) if parked else {}
    addresses = github_addresses.of_stories(conn, [story.id for story in chosen])
    views = []
    for story in chosen:
        asked = questions.get(story.id, [])
        runs = story.id in leased
        cycle = at_work.get(story.id)
        status = status_of(
            story,
            cycle,
            leased=runs,
            approval_pending=any(row["kind"] == ApprovalKind.MERGE for row in asked)
            or (runs and bool(asked)),
        )
        held = why_held(unmet.get(story.id, ()))
        question = asked[0]["question"] if asked else ""
        said = _why(status, cycle, question, held, why(story.id))
        if status is StoryStatus.WAITING and cycle is not None and cycle.parked:
            said = parked_sentence(takers.get(story.id, ""), said)
        views.append(
            StoryView(
                story=story,
                status=status,
                cycle=cycle,
                why=said,
                needs=needed.get(story.id, ()),
                addresses=addresses.get(story.id, ()),
            )
        )
    return tuple(views)


def _why(status: StoryStatus, cycle: Cycle | None, question: str, held: str, known: str) -> str:
    match status:
        case StoryStatus.BLOCKED if cycle is not None:
            return cycle.blocked_reason
        case StoryStatus.AWAITING_APPROVAL:
            return question
        case StoryStatus.RUNNING if cycle is not None:
            return known or f"{cycle.state}, attempt {cycle.attempt}"
        case StoryStatus.WAITING:
            return held or known or "waits for a worker."
        case StoryStatus.DONE if cycle is not None and cycle.merge_commit:
            return f"merged as {cycle.merge_commit[:10]}"
        case StoryStatus.STOPPED | StoryStatus.TAKEN if cycle is not None and cycle.held_by:
            return f"by {cycle.held_by}"
        case _ if status in _BEFORE_WORK:
            return held
        case _:
            return ""


def backlog(conn: sqlite3.Connection, project: str, why: Why) -> tuple[StoryView, ...]:
    """What can be planned or is, in order; behind it, what an epic's agent proposes, by number."""
    own = stories.of_project(conn, project, states=(StoryState.BACKLOG, StoryState.PLANNED))
    proposed = stories.of_project(conn, project, states=(StoryState.PROPOSED,))
    return story_views(conn, (*own, *sorted(proposed, key=lambda story: story.number)), why)


def epic_views(conn: sqlite3.Connection, chosen: Sequence[Epic], why: Why) -> tuple[EpicView, ...]:
    return tuple(
        EpicView(
            epic=epic,
            stories=story_views(conn, stories.of_epic(conn, epic.id), why),
            why=epic.error or (why(epic.id) if epic.state is EpicState.DESIGNING else ""),
        )
        for epic in chosen
    )


def sprint_view(conn: sqlite3.Connection, project: str, why: Why) -> SprintView | None:
    sprint = sprints.current(conn, project) or sprints.latest(conn, project)
    if sprint is None:
        return None
    return SprintView(sprint=sprint, stories=story_views(conn, sprints.stories(conn, sprint.id), why))


def story_detail(conn: sqlite3.Connection, story_id: str, why: Why) -> StoryDetail:
    story = stories.get(conn, story_id)
    return StoryDetail(
        view=story_view(conn, story, why),
        gates=tuple(
            GateView(phase=row.phase, attempt=row.attempt, at=row.at, verdict=row.verdict, commit=row.commit)
            for row in gates.of_story(conn, story_id)
        ),
        approvals=approvals.of_story(conn, story_id),
        pull=pulls.find(conn, story_id),
    )


# What `status_of` looks at, of all stories at once.
_FACTS = """
    WITH held AS (SELECT DISTINCT story_id FROM leases WHERE released_at IS NULL),
    asked AS (SELECT story_id, max(kind = 'merge') AS merge FROM approvals WHERE state = 'pending'
              GROUP BY story_id),
    facts AS (
        SELECT s.id, s.title, s.number, s.project, s.state, coalesce(c.blocked_reason, '') <> '' AS blocked,
               coalesce(c.hold, '') AS hold, held.story_id IS NOT NULL AS leased,
               asked.story_id IS NOT NULL AND (asked.merge OR held.story_id IS NOT NULL) AS pending
        FROM stories s LEFT JOIN cycles c ON c.story_id = s.id LEFT JOIN held ON held.story_id = s.id
        LEFT JOIN asked ON asked.story_id = s.id
        WHERE ?1 IS NULL OR s.project = ?1
    )
"""
# A dashboard asks for it every few seconds.
_TALLY = f"""{_FACTS}
    SELECT project,
           sum(state = 'active' AND NOT blocked AND hold <> 'taken' AND NOT pending AND leased) AS running,
           sum(state = 'active' AND NOT blocked AND hold <> 'taken'
               AND (pending OR (NOT leased AND hold <> 'stopped'))) AS waiting,
           sum(state = 'active' AND blocked) AS blocked,
           sum(state = 'done') AS done
    FROM facts WHERE state IN ('active', 'done') GROUP BY project
"""  # noqa: S608 - fixed texts
_TITLES = f"{_FACTS} SELECT * FROM facts ORDER BY project, number DESC"  # noqa: S608


def story_titles(conn: sqlite3.Connection, project: str | None = None) -> tuple[StoryTitle, ...]:
    """One project's stories or all, by project, newest first."""
    return tuple(
        StoryTitle(
            id=row["id"],
            title=row["title"],
            status=status_from(
                StoryState(row["state"]),
                blocked=bool(row["blocked"]),
                hold=Hold(row["hold"]),
                leased=bool(row["leased"]),
                approval_pending=bool(row["pending"]),
            ),
        )
        for row in conn.execute(_TITLES, (project,))
    )


def tallies(conn: sqlite3.Connection, project: str | None = None) -> Mapping[str, dict[str, int]]:
    """How many stories run, wait, are blocked and are done, by project; those without any are left out."""
    return {
        row["project"]: {name: row[name] for name in ("running", "waiting", "blocked", "done")}
        for row in conn.execute(_TALLY, (project,))
    }


def questions(conn: sqlite3.Connection) -> Mapping[str, int]:
    """How many wait for people's answers, by project."""
    rows = conn.execute(
        "SELECT project, count(*) AS n FROM approvals WHERE state = 'pending' GROUP BY project"
    )
    return {row["project"]: row["n"] for row in rows}


def workflow_view(conn: sqlite3.Connection, project: Project) -> WorkflowView:
    return WorkflowView(
        project=project,
        state=project.workflow,
        allowed=allowed_commands(project.workflow),
        sprint=sprints.current(conn, project.name),
        limit=usage.find(conn, project.name),
    )
