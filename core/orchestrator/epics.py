"""Has the design agent split epics into proposed stories: one agent a project at a time.

Nothing here is the record: an epic that is DESIGNING is designed, by whichever process lives. Each start
takes the next generation, and an answer of an older one changes nothing.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from core.agents.roles import Role
from core.bus import Bus
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectStatus
from core.domain.proposals import parse_proposals
from core.domain.story import Epic
from core.errors import LostRace, OrchardError, Unavailable
from core.orchestrator.back_off import BackOff
from core.orchestrator.crew import Crew
from core.orchestrator.designs import begin_design, fail_design, feedback_of, take_in
from core.orchestrator.dispatcher import Dispatcher
from core.orchestrator.pauses import Pauses, wait_sentence
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.reports import ReviewPolicy
from core.orchestrator.setups import Setups
from core.orchestrator.staffing import Past
from core.orchestrator.usage_limit import UsagePolicy, next_try
from core.rpc import PeerGone
from core.store import epics, projects
from core.store.database import Store, Transaction
from core.wake import Wake
from core.worker.contract import PhaseEnd, PhaseReport

log = logging.getLogger(__name__)


class EpicDesigns:
    """Wakes on events and on a timer; one task an epic while its agent works."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        setups: Setups,
        dispatcher: Dispatcher,
        crew: Crew,
        holds: ProviderHolds,
        *,
        interval_seconds: float,
        back_off: BackOff,
    ) -> None:
        self._store = store
        self._bus = bus
        self._setups = setups
        self._dispatcher = dispatcher
        self._crew = crew
        self._holds = holds
        self._extra_agents = dispatcher.extra_agents
        self._clock = dispatcher.clock
        self._interval = interval_seconds
        self._back_off = back_off
        self._wake = Wake()
        dispatcher.on_grant = self._wake.set
        self._failed_starts: dict[str, Counter[str]] = {}  # by epic and agent, in a row
        self._drives: dict[str, asyncio.Task[None]] = {}  # epic to its task
        self._pauses = Pauses(self._clock)
        self._waits: Mapping[str, str] = {}
        self._soonest = math.inf  # seconds from the last look until an agent's limit is over

    def why(self, epic_id: str) -> str:
        """What a designing epic waits for, in one sentence; empty when nothing is known."""
        return self._waits.get(epic_id, "")

    # -- the loop ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; epics under way are then designed again by the next start."""
        listening = asyncio.create_task(self._listen(), name="epics: listen")
        try:
            while True:
                await self._pass()
                await self._wake.rest(min(self._pauses.next_end(self._interval), self._soonest))
        finally:
            tasks = [listening, *self._drives.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        with self._bus.subscribe() as events:
            async for event in events:
                if event.kind in (EventKind.EPIC_ASKED, EventKind.PROJECT_STARTED) and event.project:
                    self._pauses.end_all_of(event.project)  # a person asked for a start
                    self._wake.set()
                elif self._waits:  # a place may have come free
                    self._wake.set()

    async def _pass(self) -> None:
        designing, active = await self._store.read(
            lambda conn: (
                epics.designing(conn),
                {p.name for p in projects.every(conn) if p.status is ProjectStatus.ACTIVE},
            )
        )
        first: dict[str, Epic] = {}
        waits: dict[str, str] = {}
        self._soonest = math.inf
        for epic in designing:
            if epic.project not in active:
                waits[epic.id] = f"waits: {epic.project} is not started; next when it is."
            elif first.setdefault(epic.project, epic).id != epic.id:
                waits[epic.id] = f"waits: {first[epic.project].id} is designed first."
        ready = [epic for epic in first.values() if not self._is_busy(epic.project)]
        able = [epic for epic in ready if not self._must_wait(epic, waits)]
        self._extra_agents.keep_wishes({epic.id for epic in able})
        for epic in able:
            if not self._extra_agents.enter(epic.id):
                if epic.id not in self._extra_agents.wishes:
                    self._extra_agents.wish(epic.id, epic.project)
                    self._dispatcher.wake()  # it decides, and says why where it does not grant it
                continue
            task = asyncio.create_task(self._drive(epic), name=f"design {epic.id}")
            self._drives[epic.id] = task
            task.add_done_callback(functools.partial(self._driven, epic.id))
        self._waits = waits

    def _is_busy(self, project: str) -> bool:
        return any(epic_id.rpartition("-")[0] == project for epic_id in self._drives)

    def _must_wait(self, epic: Epic, waits: dict[str, str]) -> bool:
        if (seconds := self._crew.supervisor.ready_in(epic.project)) > 0:
            self._pauses.begin(epic.id, seconds, "the project's worker ended unexpectedly.")
        why = self._pauses.why(epic.id)
        # By its row alone: a pause by what was read would outlive what a person asked for meanwhile.
        if (
            not why
            and epic.not_before is not None
            and (left := (epic.not_before - self._clock.now()).total_seconds()) > 0
        ):
            why = wait_sentence("its agent takes no more work", left)
            self._soonest = min(self._soonest, left)
        if why:
            waits[epic.id] = why
        return bool(why)

    def _driven(self, epic_id: str, task: asyncio.Task[None]) -> None:
        self._drives.pop(epic_id, None)
        self._extra_agents.leave(epic_id)
        self._dispatcher.forget(epic_id)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("designing %s failed", epic_id, exc_info=error)
            self._pauses.begin(epic_id, 30.0, f"an error of Orchard itself, see the log: {error}")
        self._wake.set()
        self._dispatcher.wake()

    # -- one epic ----------------------------------------------------------------------------

    async def _drive(self, epic: Epic) -> None:
        agents = self._crew.agents
        try:
            setup = self._setups.project(epic.project)
            past = Past(failed_starts=self._failed_starts.get(epic.id, {}))
            agent = self._crew.staffing.choose(epic.project, Role.DESIGN, past, session_id=None).agent
            policy = self._setups.review_policy(epic.project)
            owner = await self._crew.supervisor.ensure(epic.project)
        except OrchardError as error:
            self._pauses.put_off([epic.id], error)
            return
        try:
            begun, job = await self._store.write(lambda tx: begin_design(tx, epic.id, setup, agent))
            job = await agents.equipped(job)
            report = await agents.run(owner, job)
            await agents.keep(job, report, lambda tx: None)
            self._note_start(epic.id, agent.name, report)
            await self._record(begun, report, agent.name, policy)
        except PeerGone:
            log.info("%s: the worker ended while its agent worked", epic.id)
            self._pauses.begin(epic.id, 0.5, "the project's worker ended.")
            return
        except LostRace as error:
            log.info("%s: %s", epic.id, error)
        except Unavailable as error:  # the model gateway is down
            self._pauses.put_off([epic.id], error)
            return
        await self._clean(epic)

    def _note_start(self, epic_id: str, agent: str, report: PhaseReport) -> None:
        """An agent that cannot be started gives its place to another; a restart forgets that."""
        if report.end is PhaseEnd.AGENT_FAILED and not report.began:
            self._failed_starts.setdefault(epic_id, Counter())[agent] += 1
        else:
            self._failed_starts.pop(epic_id, None)

    async def _record(self, epic: Epic, report: PhaseReport, agent: str, policy: ReviewPolicy) -> None:
        """What the agent's answer does, in one transaction. Raises LostRace for an older generation's."""
        if report.generation != epic.generation:
            raise LostRace(f"an answer of generation {report.generation} came late.")
        said = f"{report.error} {report.hint}".strip()
        retries = policy.max_auto_retry
        match report.end:
            case PhaseEnd.REFUSED:
                refused = report.verdict.explain() if report.verdict is not None else said
                await self._retry(epic, report, refused, retries, PhaseEnd.REFUSED)
            case PhaseEnd.PASSED:
                found = await asyncio.to_thread(parse_proposals, report.spec or "")
                if not found.faults:
                    await self._store.write(lambda tx: take_in(tx, epic, found.proposals, report))
                    return
                await self._retry(epic, report, feedback_of(found.faults), retries, PhaseEnd.REFUSED)
            case PhaseEnd.LIMITED:
                await self._meet_limit(epic, report, agent, policy.usage)
            case PhaseEnd.CANCELLED:
                self._pauses.begin(epic.id, 1.0, "its agent was stopped.")
            case PhaseEnd.PARKED:  # the same attempt goes on, in its session
                session = report.session_id or epic.session_id
                await self._store.write(lambda tx: epics.park(tx, epic, session_id=session))
            case PhaseEnd.BLOCKED | PhaseEnd.CONFLICT:
                await self._store.write(lambda tx: fail_design(tx, epic, said or "The worker cannot work."))
            case PhaseEnd.AGENT_FAILED:
                await self._retry(epic, report, said, retries, PhaseEnd.AGENT_FAILED)

    async def _retry(
        self, epic: Epic, report: PhaseReport, feedback: str, retries: int, end: PhaseEnd
    ) -> None:
        if epic.attempt > retries:
            await self._store.write(lambda tx: fail_design(tx, epic, feedback))
            return
        session = report.session_id or epic.session_id
        await self._store.write(lambda tx: epics.retry(tx, epic, feedback=feedback, session_id=session))
        if seconds := self._back_off.seconds(end, epic.attempt + 1):
            self._pauses.begin(epic.id, seconds, "the agent failed; it tries again.")

    async def _meet_limit(self, epic: Epic, report: PhaseReport, agent: str, policy: UsagePolicy) -> None:
        """It waits for its agent where the project asked for that, and people are asked where it did not. Its
        provider's limit is that of all who depend on it."""
        holds = self._holds
        await holds.met(agent, reason=f"{report.error} {report.hint}".strip(), said=report.limited_until)
        if not holds.why_not(epic.project, Role.DESIGN):  # another agent takes over
            kept = report.session_id or epic.session_id
            await self._store.write(lambda tx: epics.park(tx, epic, session_id=kept))
            return
        reason = report.error or "The provider takes no more work now."
        tries = epic.limits + 1
        if not policy.resumes or tries > policy.tries:
            ends = f" It ends at {_utc(report.limited_until)}." if report.limited_until else ""
            error = f"{agent} takes no more work.{ends} {reason}"
            await self._store.write(lambda tx: fail_design(tx, epic, error))
            return
        until = next_try(self._clock.now(), report.limited_until, tries)
        session = report.session_id or epic.session_id

        def wait(tx: Transaction) -> None:
            said = f"{agent} takes no more work; tried again at {_utc(until)}. {reason}"
            epics.wait(tx, epic, said, until=until, session_id=session)
            tx.emit(
                EventKind.USAGE_LIMITED,
                project=epic.project,
                data={
                    "agent": agent,
                    "reason": reason,
                    "until": until.isoformat(),
                    "resumes": True,
                    "tries": tries,
                    "epic": epic.id,
                },
            )

        await self._store.write(wait)

    async def _clean(self, epic: Epic) -> None:
        """Removes the worktree of an epic that is no longer designed."""
        if not await self._store.read(lambda conn: epics.is_designing(conn, epic.id)):
            await self._dispatcher.remove_worktree(epic.project, epic.id)


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
