"""One look at the store: what could start, what runs, who has which shared resource."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.domain.github import Pull
from core.domain.lifecycles import Phase, ProjectStatus, WorkflowState
from core.domain.story import Cycle, Priority
from core.orchestrator.scheduling.candidates import Places, Ready
from core.store import cycles, leases, locks, merges, projects, pulls
from core.store.leases import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    active: frozenset[str] = frozenset()  # projects that are started
    ready: Mapping[str, tuple[Ready, ...]] = field(default_factory=dict)
    leases: tuple[tuple[Lease, Priority], ...] = ()
    merging: Mapping[str, str] = field(default_factory=dict)  # project to a story of its open, leased batch
    shared: Mapping[str, Places] = field(default_factory=dict)
    pulls: tuple[Pull, ...] = ()  # of stories that wait for what is said of them outside

    @property
    def batches(self) -> Mapping[str, str]:
        """Project to a story that is leased to be merged."""
        return {lease.project: lease.story_id for lease, _ in self.leases if lease.phase is Phase.COMMIT}


def _ready(
    conn: sqlite3.Connection, project: str, most: tuple[int, int]
) -> tuple[tuple[Cycle, Priority], ...]:
    stories, merges = most
    return cycles.ready(conn, project, most=stories, merges=merges)


def look(conn: sqlite3.Connection, most: Mapping[str, tuple[int, int]]) -> Look:
    """`most`: how many stories of each project are wanted at most, and how many more that wait to be merged;
    no other project is looked into."""
    every = projects.every(conn)
    at_work = leases.at_work(conn)
    leased = {lease.story_id for lease, _ in at_work}
    return Look(
        active=frozenset(project.name for project in every if project.status is ProjectStatus.ACTIVE),
        ready={
            project.name: tuple(
                Ready(cycle=cycle, priority=priority)
                for cycle, priority in _ready(conn, project.name, most[project.name])
            )
            for project in every
            if project.name in most
            and project.status is ProjectStatus.ACTIVE
            and project.workflow is WorkflowState.SPRINT_ACTIVE
        },
        leases=at_work,
        merging={merge.project: merge.story_id for merge in merges.open_of(conn) if merge.story_id in leased},
        shared={
            one.name: Places(
                places=one.places, free=one.free, holders=tuple(hold.story_id for hold in one.holds)
            )
            for one in locks.every(conn)
        },
        pulls=pulls.at_work(conn),
    )
