"""Batches of the merge queue: who is in one, and whose it still is."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from core.domain.github import Pull
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Cycle
from core.errors import LostRace
from core.orchestrator.jobs import brief_of
from core.orchestrator.publishing import Landing
from core.store import cycles, gates, leases, merges, stories
from core.store.leases import Lease
from core.store.merges import Merge
from core.store.transaction import Transaction
from core.worker.contract import BatchJob, MergeJob, ProjectSetup


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A story of the batch. Without a lease it may be recorded as merged, where it is, but not be merged."""

    cycle: Cycle
    merge: Merge
    lease: Lease | None
    pull: Pull | None = None  # where it comes back as one that may land

    @property
    def story_id(self) -> str:
        return self.merge.story_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    project: str
    owner: str  # the worker that prepares it
    members: tuple[Member, ...]  # in the order in which they are merged
    max_conflicts: int  # a story that did not fit on the main branch so often asks people
    landing: Landing | None = None  # None: its repository is linked with nothing
    as_it_is: bool = False  # a pull request whose checks are of this very commit

    @property
    def by_pull(self) -> bool:
        return self.landing is not None and self.landing.by_pull

    @property
    def stored(self) -> bool:
        """Whether its candidates are known: then the main branch may hold them."""
        return self.members[0].merge.candidate is not None


def holds(tx: Transaction, member: Member) -> bool:
    """Whether the story is this batch's still: no person took it out, its worker lives."""
    if member.lease is None:
        return False
    try:
        leases.check(tx.conn, member.story_id, member.lease.generation)
    except LostRace:
        return False
    cycle = cycles.get(tx.conn, member.story_id)
    return cycle is not None and cycle.state is CycleState.COMMIT


def let_go(tx: Transaction, member: Member) -> None:
    """The story waits for the next batch, unless somebody else has it by now."""
    merge = merges.get(tx.conn, member.merge.id)
    if merge.state is merges.MergeState.OPEN:
        merges.finish(tx, merge.id, "abandoned")
    if holds(tx, member):
        assert member.lease is not None
        leases.release(tx, member.story_id, member.lease.generation)


def put_off(tx: Transaction, batch: Batch) -> None:
    """All are let go; but candidates that are stored stay so: the main branch elsewhere may hold them."""
    for member in batch.members:
        if merges.get(tx.conn, member.merge.id).candidate is None:
            let_go(tx, member)
        elif holds(tx, member):
            assert member.lease is not None
            leases.release(tx, member.story_id, member.lease.generation)


def job_of(conn: sqlite3.Connection, setup: ProjectSetup, batch: Batch) -> BatchJob:
    return BatchJob(project=setup, merges=tuple(_merge_job(conn, setup, member) for member in batch.members))


def _merge_job(conn: sqlite3.Connection, setup: ProjectSetup, member: Member) -> MergeJob:
    cycle = member.cycle
    story = stories.get(conn, cycle.story_id)
    red = gates.last_passed(conn, cycle.story_id, Phase.TEST_RED)
    assert cycle.base_commit is not None
    assert cycle.red_commit is not None
    assert cycle.head_commit is not None
    assert red is not None
    return MergeJob(
        project=setup,
        story=brief_of(story, cycle),
        generation=member.merge.generation,
        base_commit=cycle.base_commit,
        red_commit=cycle.red_commit,
        head_commit=cycle.head_commit,
        red_evidence=red.verdict.evidence,
    )
