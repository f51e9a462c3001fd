"""Takes what is runnable, claims it, has the project's worker do it, and records the report.

Nothing here is the record: a story's place is its cycle row, the right to run it a lease. When this
process or a worker dies at any line, the lease is released and the story goes on from its last passed gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from core.bus import Bus
from core.clock import Clock
from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Cycle
from core.errors import LostRace, OrchardError
from core.executors.local import LocalExecutor
from core.orchestrator.back_off import BackOff
from core.orchestrator.extra_agents import ExtraAgents
from core.orchestrator.jobs import phase_job, run_job
from core.orchestrator.merge_queue import MergeQueue
from core.orchestrator.parking import Parking
from core.orchestrator.pauses import Pauses
from core.orchestrator.reception import Reception
from core.orchestrator.reports import ReviewPolicy, record_phase
from core.orchestrator.setups import Setups
from core.orchestrator.slots import choose
from core.orchestrator.supervisor import SupervisionTimes, Supervisor
from core.orchestrator.worker_requests import WorkerRequests
from core.rpc import PeerGone
from core.store import approvals, cycles, leases, merges
from core.store.database import Store, Transaction
from core.store.leases import Lease
from core.wake import Wake
from core.worker.contract import (
    AgentSetup,
    PhaseEnd,
    PhaseJob,
    PhaseReport,
    Progress,
    ProjectSetup,
    RemoveWorktree,
)

log = logging.getLogger(__name__)


LOOK_AT_MOST = 500  # runnable stories a pass; those behind them wait for the next


class Dispatcher:
    """Wakes on every event and on a timer; one task a story while its phase runs."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        setups: Setups,
        executor: LocalExecutor,
        *,
        clock: Clock,
        lease_seconds: float,
        interval_seconds: float,
        times: SupervisionTimes,
        back_off: BackOff,
    ) -> None:
        self._store = store
        self._bus = bus
        self._setups = setups
        self.clock = clock
        self._lease_seconds = lease_seconds
        self._interval = interval_seconds
        self._back_off = back_off
        self._reception = Reception(
            store,
            lease_seconds=lease_seconds,
            state_path=setups.state_path,
            wake=self.wake,
            asking=setups.asking,
        )
        self.supervisor = Supervisor(executor, self._reception, clock=clock, times=times)
        self.parking = Parking(self.supervisor)
        self._merges = MergeQueue(store, self.supervisor, setups)
        self.requests = WorkerRequests(store, self.supervisor, setups, quiet=self.quiet)
        self.extra_agents = ExtraAgents()
        self._wake = Wake()
        self._drives: dict[str, asyncio.Task[None]] = {}
        self._merging: dict[str, tuple[str, ...]] = {}  # project to the stories that one task merges
        self._cancelled: set[str] = set()  # stories whose task is to end
        self._pauses = Pauses(clock)
        self._waits: Mapping[str, str] = {}

    # -- the loop ----------------------------------------------------------------------------

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Runs until cancelled, then stops every worker and waits for what they report."""
        listening = asyncio.create_task(self._listen(), name="dispatcher: listen")
        try:
            while True:
                await self._pass()
                await self._wake.rest(self._pauses.next_end(self._interval))
        finally:
            listening.cancel()
            await self.supervisor.stop_all()
            await asyncio.gather(*self._drives.values(), listening, return_exceptions=True)

    async def _listen(self) -> None:
        with self._bus.subscribe() as events:
            async for event in events:
                if event.kind is EventKind.APPROVAL_ANSWERED:
                    await self._reception.settle_question(event)
                self.wake()

    async def _pass(self) -> None:
        runnable, running, merging = await self._store.read(
            lambda conn: (cycles.runnable(conn, limit=LOOK_AT_MOST), leases.held(conn), merges.open_of(conn))
        )
        waits: dict[str, str] = {}
        ready: list[Cycle] = []
        leased = {lease.story_id for lease in running}
        busy = {merge.project: merge.story_id for merge in merging if merge.story_id in leased}
        busy |= {project: stories[0] for project, stories in self._merging.items()}
        batches: dict[str, list[Cycle]] = {}
        for cycle in runnable:
            if cycle.story_id in self._drives:
                continue
            if not self._pauses.why(cycle.story_id) and (seconds := self.supervisor.ready_in(cycle.project)):
                self._pauses.begin(cycle.story_id, seconds, "the project's worker ended unexpectedly.")
            if why := self._pauses.why(cycle.story_id):
                waits[cycle.story_id] = why
            elif cycle.state is CycleState.COMMIT and cycle.project in busy:
                waits[cycle.story_id] = f"waits: {busy[cycle.project]} is being merged first."
            elif cycle.state is CycleState.COMMIT and cycle.project in batches:
                batches[cycle.project].append(cycle)  # goes with the first, or after it
            else:
                ready.append(cycle)
                if cycle.state is CycleState.COMMIT:
                    batches[cycle.project] = [cycle]
        choice = choose(ready, self.counts(running, self.extra_agents.places), self._setups.slots())
        for cycle in choice.start:
            if cycle.state is CycleState.COMMIT:
                self._start_batch(batches[cycle.project])
                continue
            task = asyncio.create_task(self._drive(cycle), name=f"drive {cycle.story_id}")
            self._drives[cycle.story_id] = task
            task.add_done_callback(functools.partial(self._driven, cycle.story_id))
        for first, *others in batches.values():
            why = choice.waits.get(first.story_id, f"waits: {first.story_id} is being merged first.")
            waits |= {other.story_id: why for other in others}
        self._waits = {**waits, **choice.waits}

    def _start_batch(self, ready: Sequence[Cycle]) -> None:
        project = ready[0].project
        chosen = tuple(ready[: self._merges.size(project)])
        self._merging[project] = tuple(cycle.story_id for cycle in chosen)
        task = asyncio.create_task(self._drive_batch(chosen), name=f"merge stories of {project}")
        task.add_done_callback(lambda _: self._merging.pop(project, None))
        for story in self._merging[project]:
            self._drives[story] = task
            task.add_done_callback(functools.partial(self._driven, story))

    def counts(self, running: Iterable[Lease], others: Mapping[str, str]) -> Counter[str]:
        """How many places each project has taken: for stories that are leased or driven, one for all that are
        merged together, and for other agents."""
        at_work = {lease.story_id: lease.project for lease in running}
        at_work |= {story: story.rpartition("-")[0] for story in self._drives}
        merged = {lease.story_id for lease in running if lease.phase is Phase.COMMIT}
        merged |= {story for stories in self._merging.values() for story in stories}
        merging = {at_work.pop(story) for story in merged if story in at_work}
        return Counter([*at_work.values(), *merging, *others.values()])

    def _driven(self, story: str, task: asyncio.Task[None]) -> None:
        self._drives.pop(story, None)
        self.parking.over(story)
        self._cancelled.discard(story)
        self._reception.progress.pop(story, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("driving %s failed", story, exc_info=error)
            self._pauses.begin(story, 30.0, f"an error of Orchard itself, see the log: {error}")
        self.wake()

    # -- one story ---------------------------------------------------------------------------

    async def _drive(self, cycle: Cycle) -> None:
        try:
            setup = self._setups.project(cycle.project)
            agent = self._setups.agent(cycle.project)
            owner = await self.supervisor.ensure(cycle.project)
        except OrchardError as error:
            log.warning("%s cannot start: %s", cycle.story_id, error)
            self._pauses.begin(cycle.story_id, 10.0, str(error))
            return
        phase = cycle.state.phase
        assert phase is not None  # runnable cycles are not over
        try:
            lease = await self._store.write(lambda tx: self._claim(tx, cycle, phase, owner, agent.name))
        except LostRace:
            return
        try:
            await self._run_phase(cycle, lease, setup, agent)
        except PeerGone:
            log.info("%s: the worker ended during %s", cycle.story_id, phase)
        except LostRace:
            log.info("%s: an old report was refused", cycle.story_id)
        await self._clean(cycle.project, cycle.story_id)

    async def _drive_batch(self, ready: Sequence[Cycle]) -> None:
        project = ready[0].project
        try:
            self._setups.project(project)
            policy = self._setups.review_policy(project)
            owner = await self.supervisor.ensure(project)
        except OrchardError as error:
            log.warning("%s cannot be merged: %s", ready[0].story_id, error)
            for cycle in ready:
                self._pauses.begin(cycle.story_id, 10.0, str(error))
            return
        try:
            batch = await self._store.write(
                lambda tx: self._merges.claim(
                    tx,
                    ready,
                    owner=owner,
                    lease_seconds=self._lease_seconds,
                    max_conflicts=policy.max_conflicts,
                )
            )
        except LostRace:
            return
        try:
            await self._merges.merge(batch)
        except PeerGone:
            log.info("%s: the worker ended while it merged", project)
        except LostRace:
            log.info("%s: an old report of a merge was refused", project)
        for member in batch.members:
            await self._clean(project, member.story_id)

    def _claim(self, tx: Transaction, cycle: Cycle, phase: Phase, owner: str, agent: str) -> Lease:
        current = cycles.get(tx.conn, cycle.story_id)
        if current is None or current.state is not cycle.state or current.blocked_reason:
            raise LostRace(f"{cycle.story_id} moved on.")
        lease = leases.claim(tx, cycle.story_id, phase=phase, owner=owner, lease_seconds=self._lease_seconds)
        data = {"phase": str(phase), "attempt": cycle.attempt, "agent": agent}
        tx.emit(EventKind.PHASE_STARTED, project=cycle.project, story_id=cycle.story_id, data=data)
        return lease

    async def _run_phase(self, cycle: Cycle, lease: Lease, setup: ProjectSetup, agent: AgentSetup) -> None:
        job = await self._store.read(lambda conn: phase_job(conn, lease, setup, agent))
        if cycle.story_id in self._cancelled:  # the worker would hear of the phase after its cancel
            await self._store.write(lambda tx: leases.release(tx, cycle.story_id, lease.generation))
            return
        report = await run_job(self.supervisor, lease.owner, job)
        if report.generation != lease.generation:
            raise LostRace(f"{cycle.story_id}: a report of generation {report.generation}")
        policy = self._setups.review_policy(cycle.project)
        after = await self._store.write(lambda tx: self._record(tx, job, report, policy))
        if (wait := self._back_off.seconds(report.end, after.attempt)) > 0 and not after.blocked_reason:
            refused = report.end is PhaseEnd.REFUSED
            reason = "the gate said no" if refused else "the agent failed"
            self._pauses.begin(cycle.story_id, wait, f"{reason}; attempt {after.attempt} comes.")

    @staticmethod
    def _record(tx: Transaction, job: PhaseJob, report: PhaseReport, policy: ReviewPolicy) -> Cycle:
        approvals.cancel_of_story(tx, report.story_id, ApprovalKind.PERMISSION)
        after = record_phase(tx, job, report, policy)
        if report.agent_text:
            tx.emit(
                EventKind.AGENT_SAID,
                project=after.project,
                story_id=report.story_id,
                actor="agent",
                data={"phase": str(report.phase), "text": report.agent_text[:1500]},
            )
        return after

    async def _clean(self, project: str, story_id: str) -> None:
        """Removes the worktree of a story that is over; what fails here is found again by the reconciler."""
        after = await self._store.read(lambda conn: cycles.get(conn, story_id))
        if after is not None and after.state.phase is None and project in self.supervisor.running():
            await self.remove_worktree(project, story_id)

    async def remove_worktree(self, project: str, story_id: str) -> bool:
        """Has the project's worker remove it, saving what was not committed; False when that failed."""
        try:
            removal = RemoveWorktree(project=self._setups.project(project), story_id=story_id)
            await self.supervisor.ensure(project)
            await self.supervisor.call_if_running(project, "remove_worktree", removal)
        except OrchardError as error:
            log.warning("the worktree of %s stays for now: %s", story_id, error)
            return False
        return True

    # -- asked by people ---------------------------------------------------------------------

    async def cancel(self, project: str, story_id: str) -> None:
        """Stops what runs for a story; its report, if one comes, is of an old generation."""
        if story_id in self._drives:
            self._cancelled.add(story_id)
        with contextlib.suppress(OrchardError, TimeoutError):
            await self.supervisor.call_if_running(project, "cancel", {"story_id": story_id}, timeout=60.0)
        if story_id not in self._drives:  # else its drive cleans up when it has ended
            await self._clean(project, story_id)

    async def quiet(self, story_id: str, seconds: float) -> bool:
        """Waits until no task is at work for the story; False when one still is after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (task := self._drives.get(story_id)) is not None:
                    await asyncio.wait([task])
                    await asyncio.sleep(0)  # its end is noted by a callback
        return story_id not in self._drives

    def nudge(self, story_id: str) -> None:
        """Whatever back-off the story waits for is over."""
        self._pauses.end(story_id)
        self.wake()

    def release(self, project: str) -> None:
        """A person asked for a new start: nothing of the project waits any longer for its time to come."""
        self.supervisor.release(project)
        self._pauses.end_all_of(project)

    def drives(self, story_id: str) -> bool:
        """Whether a task is at work for the story."""
        return story_id in self._drives or story_id in self.extra_agents

    def forget(self, name: str) -> None:
        """What an agent did for something else than a story is over."""
        self._reception.progress.pop(name, None)

    def why(self, story_id: str) -> str:
        """What the story does or waits for now, in one sentence; empty when nothing is known."""
        if (progress := self._reception.progress.get(story_id)) is not None:
            return f"{progress.phase}: {progress.text}"
        return self._waits.get(story_id, "")

    @property
    def progress(self) -> Mapping[str, Progress]:
        return self._reception.progress
