"""Takes what is runnable, claims it, has the project's worker do it, and records the report.

Nothing here is the record: a story's place is its cycle row, the right to run it a lease. When this
process or a worker dies at any line, the lease is released and the story goes on from its last passed gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core.bus import Bus
from core.clock import Clock
from core.domain.event import EventKind
from core.domain.story import Cycle
from core.errors import LostRace, OrchardError
from core.orchestrator.back_off import BackOff
from core.orchestrator.claims import ClaimDesk, Claims
from core.orchestrator.crew import Crew
from core.orchestrator.floor import Floor
from core.orchestrator.merge_queue import MergeQueue
from core.orchestrator.phase_runs import PhaseRuns
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.publishing import NotNow
from core.orchestrator.scheduling.candidates import Candidate, Kind
from core.orchestrator.scheduling.engine import ResourceEngine
from core.orchestrator.setups import Setups
from core.orchestrator.worker_requests import WorkerRequests
from core.rpc import PeerGone
from core.scheduler.decision import Preemption
from core.store import cycles
from core.store.database import Store
from core.wake import Wake
from core.worker.contract import (
    Progress,
    RemoveWorktree,
)

log = logging.getLogger(__name__)


class Dispatcher:
    """Wakes on every event and on a timer; one task a story while its phase runs."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        setups: Setups,
        crew: Crew,
        *,
        wake: Wake,
        clock: Clock,
        lease_seconds: float,
        interval_seconds: float,
        back_off: BackOff,
        engine: ResourceEngine,
        floor: Floor,
        holds: ProviderHolds,
    ) -> None:
        self._store = store
        self._bus = bus
        self._setups = setups
        self.clock = clock
        self._lease_seconds = lease_seconds
        self._interval = interval_seconds
        self._wake = wake
        self._reception = crew.reception
        self.parking = crew.parking
        self.supervisor = crew.supervisor
        self._pauses = floor.pauses
        self._merges = MergeQueue(store, crew.supervisor, setups)
        self.publishing = self._merges.publishing
        self.requests = WorkerRequests(store, crew.supervisor, setups, quiet=self.quiet)
        self.extra_agents = floor.extra_agents
        self.on_grant: Callable[[], None] = lambda: None
        self._engine = engine
        self._floor = floor
        self._claims = ClaimDesk(
            store, setups, crew.supervisor, crew.staffing, floor.pauses, lease_seconds=lease_seconds
        )
        self._phases = PhaseRuns(
            store,
            setups,
            crew.agents,
            staffing=crew.staffing,
            holds=holds,
            back_off=back_off,
            pauses=floor.pauses,
        )
        self._drives: dict[str, asyncio.Task[None]] = {}
        self._parks: set[asyncio.Task[None]] = set()
        self._cancelled: set[str] = set()  # stories whose task is to end

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
            for task in (listening, *self._parks):
                task.cancel()
            await self.supervisor.stop_all()
            await asyncio.gather(*self._drives.values(), *self._parks, listening, return_exceptions=True)

    async def _listen(self) -> None:
        with self._bus.subscribe() as events:
            async for event in events:
                if event.kind is EventKind.APPROVAL_ANSWERED:
                    await self._reception.settle_question(event)
                self.wake()

    async def _pass(self) -> None:
        choice = await self._engine.choose()
        phases: dict[str, list[Candidate]] = {}
        for candidate in choice.start:
            match candidate.kind:
                case Kind.PHASE:
                    phases.setdefault(candidate.project, []).append(candidate)
                case Kind.MERGE:
                    self._start_batch(candidate)
                case Kind.DESIGN:
                    self.extra_agents.grant(candidate.id)
                    self.on_grant()
        for project, chosen in phases.items():
            self._start_phases(project, chosen)
        for preemption in choice.park:
            self._engine.asked_to_park(preemption.task_id)
            asking = asyncio.create_task(self._park(preemption), name=f"park {preemption.task_id}")
            self._parks.add(asking)
            asking.add_done_callback(self._parks.discard)

    def _start_phases(self, project: str, chosen: Sequence[Candidate]) -> None:
        """All of a project at once: its worker is made ready once, and one transaction claims them."""
        claims = asyncio.create_task(self._claims.claim(project, chosen), name=f"claim for {project}")
        for candidate in chosen:
            (cycle,) = candidate.cycles
            task = asyncio.create_task(self._drive(cycle, claims), name=f"drive {cycle.story_id}")
            self._enter(cycle.story_id, project, task)

    def _start_batch(self, candidate: Candidate) -> None:
        project = candidate.project
        self._floor.merging[project] = tuple(cycle.story_id for cycle in candidate.cycles)
        task = asyncio.create_task(self._drive_batch(candidate), name=f"merge stories of {project}")
        task.add_done_callback(lambda _: self._floor.merging.pop(project, None))
        for cycle in candidate.cycles:
            self._enter(cycle.story_id, project, task)

    def _enter(self, story: str, project: str, task: asyncio.Task[None]) -> None:
        self._drives[story] = task
        self._floor.starting[story] = project
        task.add_done_callback(functools.partial(self._driven, story))

    async def _park(self, preemption: Preemption) -> None:
        story = preemption.task_id
        await self.parking.park(
            preemption.victim,
            story,
            taker=preemption.taker,
            reason=preemption.reason,
            within_seconds=self._setups.global_settings().park_seconds,
        )
        if self.parking.is_parking(story):
            self._engine.reclaimed(preemption)

    def _driven(self, story: str, task: asyncio.Task[None]) -> None:
        self._drives.pop(story, None)
        self._floor.starting.pop(story, None)
        self.parking.over(story)
        self._cancelled.discard(story)
        self._reception.progress.pop(story, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("driving %s failed", story, exc_info=error)
            self._pauses.begin(story, 30.0, f"an error of Orchard itself, see the log: {error}")
        self.wake()

    # -- one story ---------------------------------------------------------------------------

    async def _drive(self, cycle: Cycle, claims: asyncio.Task[Claims | None]) -> None:
        claimed = await asyncio.shield(claims)
        if claimed is None or (lease := claimed.leases.get(cycle.story_id)) is None:
            return
        began = self.clock.monotonic()
        try:
            end = await self._phases.run(
                cycle,
                lease,
                claimed.setup,
                claimed.staff[cycle.story_id],
                is_cancelled=lambda: cycle.story_id in self._cancelled,
            )
            self._engine.observe_phase(cycle.project, self.clock.monotonic() - began, end)
        except PeerGone:
            log.info("%s: the worker ended during %s", cycle.story_id, lease.phase)
        except LostRace:
            log.info("%s: an old report was refused", cycle.story_id)
        await self._clean(cycle.project, cycle.story_id)

    async def _drive_batch(self, candidate: Candidate) -> None:
        project, ready = candidate.project, candidate.cycles
        try:
            self._setups.project(project)
            policy = self._setups.review_policy(project)
            landing = await self.publishing.landing(project)
            owner = await self.supervisor.ensure(project)
        except OrchardError as error:
            self._pauses.put_off([cycle.story_id for cycle in ready], error)
            return
        try:
            batch = await self._store.write(
                lambda tx: self._merges.claim(
                    tx,
                    ready,
                    owner=owner,
                    lease_seconds=self._lease_seconds,
                    max_conflicts=policy.max_conflicts,
                    wants=candidate.wants,
                    landing=landing,
                )
            )
        except LostRace:
            return
        except OrchardError as error:  # a shared resource that is smaller now, or gone
            self._pauses.put_off([cycle.story_id for cycle in ready], error)
            return
        try:
            await self._merges.merge(
                batch, lambda: any(member.story_id in self._cancelled for member in batch.members)
            )
        except PeerGone:
            log.info("%s: the worker ended while it merged", project)
        except LostRace:
            log.info("%s: an old report of a merge was refused", project)
        except NotNow as error:
            self._pauses.put_off([cycle.story_id for cycle in ready], error)
        for member in batch.members:
            await self._clean(project, member.story_id)

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

    def in_work_hours(self, project: str, now: datetime) -> bool:
        return self._setups.in_work_hours(project, now)

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
        return "" if story_id in self._drives else self._engine.why(story_id)

    async def explain(self, story_id: str) -> tuple[str, tuple[str, ...], str]:
        """As `why`, with what is behind it and what has to happen next."""
        sentence, details, following = await self._engine.explain(story_id)
        if story_id in self._drives or story_id in self._reception.progress:
            return self.why(story_id), details, ""
        return sentence, details, following

    @property
    def progress(self) -> Mapping[str, Progress]:
        return self._reception.progress
