"""One merge at a time a project: a candidate is proven on top of the main branch, stored, fast-forwarded.

A crash between the stored candidate and the moved branch is met by the next claim: it finds the open merge
and fast-forwards the same candidate, which does nothing when the main branch already holds it.
"""

from __future__ import annotations

import logging
import sqlite3

from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.errors import LostRace, OrchardError
from core.orchestrator.reports import (
    block,
    record_candidate,
    record_conflict,
    record_merge_refused,
    record_merged,
)
from core.orchestrator.setups import Setups
from core.orchestrator.supervisor import Supervisor
from core.rpc import PeerGone, RpcError
from core.store import cycles, gates, leases, merges, stories
from core.store.database import Store, Transaction
from core.store.leases import Lease
from core.store.merges import Merge
from core.worker.contract import (
    FastForwardEnd,
    FastForwardJob,
    FastForwardReport,
    MergeEnd,
    MergeJob,
    MergeReport,
    StoryBrief,
)

log = logging.getLogger(__name__)


class MergeQueue:
    def __init__(self, store: Store, supervisor: Supervisor, setups: Setups) -> None:
        self._store = store
        self._supervisor = supervisor
        self._setups = setups

    def open(self, tx: Transaction, cycle: Cycle, lease: Lease) -> Merge:
        """The project's open merge for this story, made in the claim's transaction.

        Raises LostRace while another story of the project is being merged.
        """
        for merge in merges.open_of(tx.conn, cycle.project):
            if merge.story_id != cycle.story_id:
                raise LostRace(f"{merge.story_id} is being merged.")
            if merge.candidate is not None:
                return merge
            merges.finish(tx, merge.id, "abandoned")  # died before its candidate was proven
        return merges.begin(tx, cycle.project, [(cycle.story_id, lease.generation)])[0]

    async def merge(self, story_id: str, lease: Lease) -> None:
        """Raises PeerGone and LostRace; the open merge then waits for the next claim."""
        cycle, merge = await self._store.read(
            lambda conn: (cycles.get(conn, story_id), _open_merge(conn, story_id))
        )
        assert cycle is not None
        try:
            if merge.candidate is None:
                prepared = await self._prepare(cycle, lease)
                ready = await self._store.write(lambda tx: self._record(tx, cycle, merge, prepared))
                if not ready:
                    return
                merge = await self._store.read(lambda conn: _open_merge(conn, story_id))
            await self._forward(cycle, merge, lease)
        except PeerGone:
            raise
        except (RpcError, OrchardError) as error:
            if isinstance(error, LostRace):
                raise
            log.exception("merging %s failed", story_id)
            reason = str(error)
            await self._store.write(lambda tx: self._give_up(tx, cycle, merge, lease, reason))

    async def _prepare(self, cycle: Cycle, lease: Lease) -> MergeReport:
        story, red = await self._store.read(
            lambda conn: (
                stories.get(conn, cycle.story_id),
                gates.last_passed(conn, cycle.story_id, Phase.TEST_RED),
            )
        )
        assert cycle.base_commit is not None
        assert cycle.red_commit is not None
        assert cycle.head_commit is not None
        assert red is not None
        job = MergeJob(
            project=self._setups.project(cycle.project),
            story=StoryBrief(
                id=story.id,
                title=story.title,
                body=story.body,
                acceptance_criteria=story.acceptance_criteria,
                spec=cycle.spec,
            ),
            generation=lease.generation,
            base_commit=cycle.base_commit,
            red_commit=cycle.red_commit,
            head_commit=cycle.head_commit,
            red_evidence=red.verdict.evidence,
        )
        return await self._supervisor.request(MergeReport, lease.owner, "prepare_merge", job)

    def _record(self, tx: Transaction, cycle: Cycle, merge: Merge, report: MergeReport) -> bool:
        match report.end:
            case MergeEnd.READY:
                record_candidate(tx, cycle, merge.id, report)
                return True
            case MergeEnd.REFUSED:
                record_merge_refused(tx, cycle, merge.id, report)
            case MergeEnd.CONFLICT:
                limit = self._setups.review_policy(cycle.project).max_conflicts
                record_conflict(tx, cycle, merge.id, report, max_conflicts=limit)
            case MergeEnd.BLOCKED:
                leases.release(tx, cycle.story_id, report.generation)
                merges.finish(tx, merge.id, "abandoned")
                block(tx, cycle, f"{report.error} {report.hint}".strip())
        return False

    async def _forward(self, cycle: Cycle, merge: Merge, lease: Lease) -> None:
        assert merge.candidate is not None
        assert merge.main_commit is not None
        job = FastForwardJob(
            project=self._setups.project(cycle.project),
            story_id=cycle.story_id,
            generation=lease.generation,
            candidate=merge.candidate,
            main_commit=merge.main_commit,
        )
        report = await self._supervisor.request(FastForwardReport, lease.owner, "fast_forward", job)
        candidate = merge.candidate
        match report.end:
            case FastForwardEnd.MERGED:
                await self._store.write(
                    lambda tx: record_merged(tx, cycle, merge.id, candidate, lease.generation)
                )
            case FastForwardEnd.MOVED:
                await self._store.write(lambda tx: self._abandon(tx, cycle, merge, lease))
            case FastForwardEnd.BLOCKED:
                reason = f"{report.error} {report.hint}".strip()
                await self._store.write(lambda tx: self._give_up(tx, cycle, merge, lease, reason))

    @staticmethod
    def _abandon(tx: Transaction, cycle: Cycle, merge: Merge, lease: Lease) -> None:
        leases.release(tx, cycle.story_id, lease.generation)
        merges.finish(tx, merge.id, "abandoned")

    def _give_up(self, tx: Transaction, cycle: Cycle, merge: Merge, lease: Lease, reason: str) -> None:
        self._abandon(tx, cycle, merge, lease)
        block(tx, cycle, reason)


def _open_merge(conn: sqlite3.Connection, story_id: str) -> Merge:
    for merge in merges.open_of(conn):
        if merge.story_id == story_id:
            return merge
    raise LostRace(f"{story_id} is not being merged any more.")
