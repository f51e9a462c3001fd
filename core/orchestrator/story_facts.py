"""What is known of one story, read in one go, for its explanation."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from core.domain.event import Event, EventKind
from core.domain.refused_hosts import first_of_each
from core.orchestrator import overview
from core.orchestrator.explanation import AtWork, Needed, StoryFacts, UsageLimit
from core.store import approvals, events, leases, needs, projects, pulls, sprints, stories, usage

_OF_STORY = (
    EventKind.PHASE_STARTED,
    EventKind.STORY_PARKED,
    EventKind.STORY_STOPPED,
    EventKind.STORY_TAKEN,
    EventKind.STORY_MERGED,
    EventKind.STORY_SKIPPED,
    EventKind.STORY_ABORTED,
    EventKind.STORY_REMOVED,
)
_GOT_ON = (EventKind.GATE_PASSED, EventKind.STORY_SENT_BACK, EventKind.STORY_UNBLOCKED)
_OF_PROJECT = (EventKind.PROJECT_STOPPED, EventKind.WORKFLOW_CHANGED)


def story_facts(
    conn: sqlite3.Connection, story_id: str, *, now: datetime, runs: bool, why: overview.Why
) -> StoryFacts:
    """Raises NotFound. `runs`: there is a running Orchard; `why`: what it says of a story at the moment.

    Hours, settings and what the scheduler knows are the caller's to add.
    """
    story = stories.get(conn, story_id)
    view = overview.story_view(conn, story, why)
    project = projects.get(conn, story.project)
    lease = next((each for each in leases.held(conn, project.name) if each.story_id == story.id), None)
    pause = usage.find(conn, project.name)
    unmet = needs.unmet(conn, [story.id]).get(story.id, ())
    return StoryFacts(
        now=now,
        story=story,
        status=view.status,
        cycle=view.cycle,
        project=project,
        runs=runs,
        sprint=sprints.get(conn, story.sprint_id) if story.sprint_id else None,
        at_work=None
        if lease is None
        else AtWork(phase=lease.phase, since=lease.claimed_at, expires_at=lease.expires_at),
        doing=why(story.id) if lease is not None else "",
        questions=tuple(each for each in approvals.of_story(conn, story.id) if each.answered_at is None),
        unmet=tuple(
            Needed(story=other.story, status=other.status, why=other.why)
            for other in overview.story_views(conn, unmet, why)
        ),
        limit=None
        if pause is None
        else UsageLimit(
            agent=pause.agent,
            reason=pause.reason,
            since=pause.since,
            until=pause.until,
            resumes=pause.resumes,
        ),
        denied=_denied(conn, story.id),
        pull=pulls.find(conn, story.id),
        last={
            **_last(conn, _OF_STORY, story_id=story.id),
            **_last(conn, _OF_PROJECT, project=project.name),
        },
    )


def _denied(conn: sqlite3.Connection, story_id: str) -> tuple[str, ...]:
    kinds = (EventKind.NETWORK_DENIED, *_GOT_ON)
    seen = events.latest(conn, story_id=story_id, kinds=kinds, limit=200)
    past = max((place for place, event in enumerate(seen) if event.kind in _GOT_ON), default=-1)
    told = (event.data for event in first_of_each(seen[past + 1 :]))
    return tuple(f"{data['host']}:{data['port']}" for data in told if data.get("host"))


def _last(
    conn: sqlite3.Connection,
    kinds: tuple[EventKind, ...],
    *,
    project: str | None = None,
    story_id: str | None = None,
) -> dict[EventKind, Event]:
    """The newest of each kind, where there is one."""
    return {
        kind: event
        for kind in kinds
        for event in events.latest(conn, project=project, story_id=story_id, kinds=(kind,), limit=1)
    }
