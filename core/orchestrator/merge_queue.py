"""Stories onto the main branch, in batches, one at a time a project: candidates are proven on top of the main
branch and of each other, stored, and fast-forwarded together.

A crash between the stored candidates and the moved branch is met by the next claim: it finds the open batch
and fast-forwards the same candidates, which does nothing where the main branch already holds them.

In a project with a repository elsewhere the main branch here follows that one first, and candidates are
pushed there before it is fast-forwarded here: what counts is what is there, and nothing here is to be undone
when it is refused. Where each story is a pull request, a proven candidate becomes one, and the story comes
back when it may land.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from config.github_settings import MergeBy
from core.domain.event import EventKind
from core.domain.github import Pull, PullState
from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.errors import LostRace, OrchardError
from core.orchestrator.batches import Batch, Member, holds, job_of, let_go, put_off
from core.orchestrator.blocking import block
from core.orchestrator.merge_reports import (
    record_candidate,
    record_conflict,
    record_landed,
    record_merge_refused,
    record_merged,
    record_wanted,
)
from core.orchestrator.overlaps import mark_rebases
from core.orchestrator.publishing import Landing, NotNow, Publishing
from core.orchestrator.setups import Setups
from core.orchestrator.supervisor import CancelledInTime, Supervisor
from core.rpc import PeerGone, RpcError
from core.store import cycles, leases, locks, merges, pulls
from core.store.database import Store, Transaction
from core.store.leases import Lease
from core.worker.contract import (
    BatchReport,
    FastForwardEnd,
    FastForwardJob,
    FastForwardReport,
    ForwardStep,
    MergeEnd,
    MergeReport,
)
from core.worker.remote_contract import PushEnd, PushReport

log = logging.getLogger(__name__)


class MergeQueue:
    def __init__(self, store: Store, supervisor: Supervisor, setups: Setups) -> None:
        self._store = store
        self._supervisor = supervisor
        self._setups = setups
        self.publishing = Publishing(store, supervisor, setups)

    # -- claiming ----------------------------------------------------------------------------

    def size(self, project: str) -> int:
        """How many stories of a project are merged together at most."""
        return self._setups.settings(project).merge_batch_size

    def claim(
        self,
        tx: Transaction,
        ready: Sequence[Cycle],
        *,
        owner: str,
        lease_seconds: float,
        max_conflicts: int,
        wants: Mapping[str, int] | None = None,
        landing: Landing | None = None,
    ) -> Batch:
        """The project's batch, with a lease for each of its stories.

        That is the one whose candidates a crash left stored, whoever is in it, else a new one of those of
        `ready` (one project's, in the order of the queue) that are ready still. Raises LostRace when there
        are none, or while a batch of the project is at work. `wants`: places of shared resources that its
        gates take; its first story has them for all. Raises LostRace, too, when somebody else has them. Where
        each story is a pull request it is a batch of one: none is to hold another's work.
        """
        project = ready[0].project
        held = {lease.story_id for lease in leases.held(tx.conn, project)}
        left = merges.open_of(tx.conn, project)
        for merge in left:
            if merge.story_id in held:
                raise LostRace(f"{merge.story_id} is being merged.")

        def take(story_id: str) -> Lease | None:
            try:
                return leases.claim(
                    tx, story_id, phase=Phase.COMMIT, owner=owner, lease_seconds=lease_seconds
                )
            except LostRace:
                return None

        for merge in left:
            if merge.candidate is None:
                merges.finish(tx, merge.id, "abandoned")  # died before it was proven, or was left out
        found = [(merge, take(merge.story_id)) for merge in left if merge.candidate is not None]
        if not found:
            taken: list[Lease] = []
            for each in ready:
                if (lease := take(each.story_id)) is not None:
                    taken.append(lease)
                    if landing is not None and landing.by_pull:
                        break
            if not taken:
                raise LostRace(f"No story of {project} is ready to be merged any more.")
            if wants:
                locks.acquire(tx, taken[0].story_id, wants, lease_seconds=lease_seconds)
            begun = merges.begin(tx, project, [(lease.story_id, lease.generation) for lease in taken])
            found = list(zip(begun, taken, strict=True))
        members = []
        for merge, lease in found:
            cycle = cycles.get(tx.conn, merge.story_id)
            assert cycle is not None  # a merge refers to it
            pull = pulls.find(tx.conn, cycle.story_id) if landing is not None and landing.by_pull else None
            members.append(Member(cycle=cycle, merge=merge, lease=lease, pull=pull))
            if lease is not None:
                data = {"phase": str(Phase.COMMIT), "attempt": cycle.attempt}
                tx.emit(EventKind.PHASE_STARTED, project=project, story_id=cycle.story_id, data=data)
        return Batch(
            project=project,
            owner=owner,
            members=tuple(members),
            max_conflicts=max_conflicts,
            landing=landing,
        )

    # -- merging -----------------------------------------------------------------------------

    async def merge(self, batch: Batch, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Raises PeerGone and LostRace; the open batch then waits for the next claim. Raises NotNow when the
        repository elsewhere, or how the main branch stands to it, lets nothing land for now. `is_cancelled`:
        whether a story of it was, which nobody tells a worker that has not heard of the batch yet."""
        try:
            refused: tuple[MergeReport, ...] = ()
            if batch.landing is not None:
                tip = await self.publishing.follow(batch.project, batch.owner, batch.landing)
                going = await self._as_it_is(batch, tip)
                if going is None:
                    return
                batch = going
            if not batch.stored:
                reports = await self._prepare(batch, is_cancelled)
                left, refused = await self._store.write(lambda tx: self._record(tx, batch, reports))
                if left is None:
                    return
                batch = left
            await self._forward(batch, refused)
        except (CancelledInTime, NotNow):  # none is to wait until its lease is over
            await self._store.write(lambda tx: put_off(tx, batch))
            raise
        except (PeerGone, LostRace):
            raise
        except (RpcError, OrchardError) as error:
            log.exception("merging %s failed", ", ".join(member.story_id for member in batch.members))
            reason = str(error)
            await self._store.write(lambda tx: self._give_up(tx, batch, reason))

    async def _as_it_is(self, batch: Batch, tip: str) -> Batch | None:
        """A pull request that may land, and still stands on the main branch's tip, is landed as it is: its
        gate has passed there. None: GitHub merges, not this queue."""
        assert batch.landing is not None
        (first, *_) = batch.members
        pull = first.pull
        if batch.stored or pull is None or pull.state is not PullState.LANDABLE:
            return batch
        if batch.landing.merge_by is MergeBy.GITHUB:
            await self._store.write(lambda tx: self._hand_back(tx, first))
            return None
        if pull.base != tip or pull.head != pull.candidate:
            return batch

        def store(tx: Transaction) -> Batch | None:
            if not holds(tx, first) or not _still_landable(tx, pull):
                let_go(tx, first)
                return None
            merge = merges.set_candidate(tx, first.merge.id, pull.candidate, pull.base)
            return replace(batch, members=(replace(first, merge=merge),), as_it_is=True)

        return await self._store.write(store)

    def _hand_back(self, tx: Transaction, member: Member) -> None:
        pulls.not_landable(tx, member.story_id)
        let_go(tx, member)

    async def _prepare(self, batch: Batch, is_cancelled: Callable[[], bool]) -> tuple[MergeReport, ...]:
        setup = self._setups.project(batch.project)
        job = await self._store.read(lambda conn: job_of(conn, setup, batch))
        report = await self._supervisor.request(
            BatchReport, batch.owner, "prepare_merge", job, is_cancelled=is_cancelled
        )
        return report.reports

    def _record(
        self, tx: Transaction, batch: Batch, reports: Sequence[MergeReport]
    ) -> tuple[Batch | None, tuple[MergeReport, ...]]:
        """What was found, in one transaction. Returns what is to be fast-forwarded, and the refusals that
        count only once what they stand on is on the main branch."""
        by_story = {report.story_id: report for report in reports}
        bases = {report.candidate for report in reports}
        ready: list[Member] = []
        later: list[MergeReport] = []
        whole = True  # a candidate stands on those before it: all that come after a dropped one fall with it
        for member in batch.members:
            report = by_story.get(member.story_id)
            dropped = not holds(tx, member)
            whole &= not (dropped and report is not None and report.end is MergeEnd.READY)
            if dropped:
                continue
            if report is None or report.generation != member.merge.generation:
                let_go(tx, member)
            elif report.end is MergeEnd.READY and batch.by_pull and member.pull and report.adds_nothing:
                # Its pull request was merged by hand a moment ago, or all of it came in with another.
                main = str(report.main_commit)
                let_go(tx, member)
                record_landed(tx, member.cycle, main)
                mark_rebases(tx, batch.project, member.story_id, main)
            elif report.end is MergeEnd.READY and whole and self._waits_for_checks(tx, batch, member):
                record_wanted(tx, member.cycle, member.merge.id, report)
            elif report.end is MergeEnd.READY and whole:
                record_candidate(tx, member.cycle, member.merge.id, report)
                if batch.by_pull:
                    member = replace(member, pull=_stand_on(tx, member, report))
                ready.append(replace(member, merge=merges.get(tx.conn, member.merge.id)))
            elif report.end is MergeEnd.REFUSED and report.main_commit in bases:
                if whole:
                    later.append(report)
                    ready.append(member)
                else:
                    let_go(tx, member)
            else:
                self._record_left(tx, member, report, batch.max_conflicts)
        landing = [member for member in ready if member.merge.candidate is not None]
        if landing:
            return replace(batch, members=tuple(ready)), tuple(later)
        for member in ready:
            let_go(tx, member)
        return None, ()

    @staticmethod
    def _waits_for_checks(tx: Transaction, batch: Batch, member: Member) -> bool:
        """Whether the candidate is one for a pull request, and not one that goes in at once."""
        if batch.landing is None or not batch.by_pull:
            return False
        landable = member.pull is not None and _still_landable(tx, member.pull)
        return batch.landing.up_to_date or not landable

    def _record_left(self, tx: Transaction, member: Member, report: MergeReport, max_conflicts: int) -> None:
        cycle, merge = member.cycle, member.merge
        match report.end:
            case MergeEnd.REFUSED:
                record_merge_refused(tx, cycle, merge.id, report, max_conflicts=max_conflicts)
            case MergeEnd.CONFLICT:
                record_conflict(tx, cycle, merge.id, report, max_conflicts=max_conflicts)
            case MergeEnd.BLOCKED:
                let_go(tx, member)
                block(tx, cycle, f"{report.error} {report.hint}".strip())
            case MergeEnd.LEFT_OUT | MergeEnd.READY:
                let_go(tx, member)

    async def _forward(self, batch: Batch, refused: Sequence[MergeReport]) -> None:
        steps = [member for member in batch.members if member.merge.candidate is not None]
        leased = [member.lease is not None for member in steps]
        first = steps[0].merge.main_commit
        assert first is not None
        job = FastForwardJob(
            project=self._setups.project(batch.project),
            main_commit=first,
            steps=tuple(
                ForwardStep(story_id=member.story_id, candidate=str(member.merge.candidate))
                for member in steps
            ),
            go=len(steps) if all(leased) else leased.index(False),
        )
        if batch.landing is not None and job.go:
            pushed = await self._push(batch, steps[: job.go])
            if not pushed:
                return
            job = replace(job, go=pushed)
        report = await self._supervisor.request(FastForwardReport, batch.owner, "fast_forward", job)
        if batch.landing is not None and job.go and report.landed < job.go:
            # They are on the main branch that counts. That the one here cannot follow is told by the next.
            report = FastForwardReport(end=FastForwardEnd.MERGED, landed=job.go)
        await self._store.write(lambda tx: self._landed(tx, batch, report, refused))

    # -- elsewhere ---------------------------------------------------------------------------

    async def _push(self, batch: Batch, steps: Sequence[Member]) -> int:
        """These members' candidates to the main branch there: so many of them as it takes. 0: it holds none,
        and all are let go. Raises NotNow when that is not known, or when nothing can be pushed for now."""
        assert batch.landing is not None
        last = steps[-1]
        if batch.by_pull and (pull := last.pull) is not None and pull.head != last.merge.candidate:
            report = await self.publishing.push_branch(batch.owner, batch.landing, pull)
            if report.end is not PushEnd.PUSHED:
                return await self._not_pushed(batch, steps, report, own_branch=True)
        report = await self._push_main(batch, last)
        if report.end is PushEnd.PUSHED:
            return len(steps)
        if report.end is not PushEnd.REFUSED or len(steps) == 1:
            return await self._not_pushed(batch, steps, report)
        for taken, member in enumerate(steps):  # what it takes goes in, and only whose turn it is is at fault
            report = await self._push_main(batch, member)
            if report.end is PushEnd.PUSHED:
                continue
            await self._not_pushed(batch, [member], report, left=steps[taken:] if taken else None)
            return taken
        return len(steps)

    async def _push_main(self, batch: Batch, member: Member) -> PushReport:
        assert batch.landing is not None
        commit = str(member.merge.candidate)
        return await self.publishing.push_main(batch.project, batch.owner, batch.landing, commit)

    async def _not_pushed(
        self,
        batch: Batch,
        steps: Sequence[Member],
        report: PushReport,
        *,
        own_branch: bool = False,
        left: Sequence[Member] | None = None,
    ) -> int:
        """`steps` are told why. `left`: who is let go; None: the whole batch."""
        unsure = left is not None and report.end is PushEnd.DENIED
        if unsure or report.end is PushEnd.UNREACHABLE:  # something is there: the candidates stay stored
            raise NotNow(report.error, hint=report.hint)

        def record(tx: Transaction) -> None:
            for member in batch.members if left is None else left:
                held = holds(tx, member)
                let_go(tx, member)
                if held and member in steps and report.end is not PushEnd.DENIED:
                    self._record_not_pushed(tx, batch, member, report, own_branch=own_branch)

        await self._store.write(record)
        if report.end is PushEnd.DENIED:
            raise NotNow(report.error, hint=report.hint)
        return 0

    @staticmethod
    def _record_not_pushed(
        tx: Transaction, batch: Batch, member: Member, report: PushReport, *, own_branch: bool
    ) -> None:
        """Refused or overtaken. One that was overtaken on the main branch is simply proven again."""
        if own_branch:  # who looks after pull requests pushes it, and says what is in the way
            _want_again(tx, member.story_id)
        elif report.end is PushEnd.REFUSED and member.pull is not None and not batch.as_it_is:
            pulls.not_landable(tx, member.story_id)  # the checks were of what it was before: they are awaited
        elif report.end is PushEnd.REFUSED:
            by_github = " Or let GitHub merge: github.merge_by: github." if batch.by_pull else ""
            block(tx, member.cycle, f"{report.error} {report.hint}{by_github}".strip())

    # -- what comes of it --------------------------------------------------------------------

    def _landed(
        self, tx: Transaction, batch: Batch, report: FastForwardReport, refused: Sequence[MergeReport]
    ) -> None:
        """The main branch holds the candidates of the first `report.landed` that have one."""
        steps = [member for member in batch.members if member.merge.candidate is not None]
        waiting = [member for member in batch.members if member not in steps]
        merged = steps[: report.landed]
        tip = str(merged[-1].merge.candidate) if merged else ""
        for member in merged:
            record_merged(
                tx,
                member.cycle,
                member.merge.id,
                str(member.merge.candidate),
                member.lease.generation if member.lease else None,
            )
            mark_rebases(tx, member.cycle.project, member.story_id, tip)
        # These stood on nothing, or on what has landed now: all of it, else their ground is not the branch's.
        whole = len(merged) == len(steps)
        spoken = {each.story_id: each for each in refused}
        for member in waiting:
            if whole and member.story_id in spoken and holds(tx, member):
                self._record_left(tx, member, spoken[member.story_id], batch.max_conflicts)
            else:
                let_go(tx, member)
        for member in steps[report.landed :]:
            let_go(tx, member)
        if report.end is FastForwardEnd.BLOCKED and report.landed < len(steps):
            member = steps[report.landed]
            block(tx, member.cycle, f"{report.error} {report.hint}".strip())

    def _give_up(self, tx: Transaction, batch: Batch, reason: str) -> None:
        for member in batch.members:
            held = holds(tx, member)
            let_go(tx, member)
            if held:
                block(tx, member.cycle, reason)


def _still_landable(tx: Transaction, pull: Pull) -> bool:
    now = pulls.find(tx.conn, pull.story_id)
    return now is not None and now.state is PullState.LANDABLE and now.candidate == pull.candidate


def _stand_on(tx: Transaction, member: Member, report: MergeReport) -> Pull:
    assert report.candidate is not None
    assert report.tree is not None
    assert report.main_commit is not None
    return pulls.stands_on(
        tx, member.story_id, candidate=report.candidate, tree=report.tree, base=report.main_commit
    )


def _want_again(tx: Transaction, story_id: str) -> None:
    pull = pulls.get(tx.conn, story_id)
    pulls.want(
        tx,
        story_id,
        project=pull.project,
        branch=pull.branch,
        candidate=pull.candidate,
        tree=pull.tree,
        base=pull.base,
    )
