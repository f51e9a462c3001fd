"""One phase of a story by the project's worker, from its lease to the report's effect on the store."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from core.agents.redaction import Redactor
from core.agents.roles import ROLE_OF, Role
from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.domain.story import Cycle
from core.errors import LostRace, OrchardError
from core.gateway.refusal import RefusalKind
from core.known_secrets import known_secrets
from core.orchestrator.agent_runs import AgentRuns
from core.orchestrator.back_off import BackOff
from core.orchestrator.jobs import phase_job
from core.orchestrator.pauses import Pauses
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.reports import ReviewPolicy, record_phase
from core.orchestrator.setups import Setups
from core.orchestrator.staffing import Staffed, Staffing, past_of
from core.orchestrator.supervisor import CancelledInTime
from core.store import approvals, leases
from core.store.database import Store, Transaction
from core.store.leases import Lease
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport, ProjectSetup

_CAUSE_CHARACTERS = 240


class PhaseRuns:
    def __init__(
        self,
        store: Store,
        setups: Setups,
        agents: AgentRuns,
        *,
        staffing: Staffing,
        holds: ProviderHolds,
        back_off: BackOff,
        pauses: Pauses,
    ) -> None:
        self._store = store
        self._setups = setups
        self._agents = agents
        self._staffing = staffing
        self._holds = holds
        self._back_off = back_off
        self._pauses = pauses

    async def run(
        self,
        cycle: Cycle,
        lease: Lease,
        setup: ProjectSetup,
        staffed: Staffed,
        is_cancelled: Callable[[], bool],
    ) -> PhaseEnd:
        """How it ended; CANCELLED also where it could not begin, and waits.

        Raises PeerGone when the worker ended, LostRace for a report of an older generation.
        """
        job = await self._store.read(lambda conn: phase_job(conn, lease, setup, staffed.agent))
        if not staffed.goes_on:  # another agent's conversation, in another agent's HOME
            job = dataclasses.replace(job, session_id=None)
        try:
            job = await self._agents.equipped(job)
        except OrchardError as error:
            await self._release(lease)
            self._pauses.put_off([cycle.story_id], error)
            return PhaseEnd.CANCELLED
        try:
            report = await self._agents.run(lease.owner, job, is_cancelled)
        except CancelledInTime:
            await self._release(lease)
            return PhaseEnd.CANCELLED
        if report.generation != lease.generation:
            raise LostRace(f"{cycle.story_id}: a report of generation {report.generation}")
        after = await self._keep(job, report)
        if (wait := self._back_off.seconds(report.end, after.attempt)) > 0 and not after.blocked_reason:
            reason = "the gate said no"
            if report.end is not PhaseEnd.REFUSED:
                reason = f"the agent failed{_cause(report, known_secrets.redactor)}"
            self._pauses.begin(cycle.story_id, wait, f"{reason}, attempt {after.attempt} comes.")
        return report.end

    async def _release(self, lease: Lease) -> None:
        await self._store.write(lambda tx: leases.release(tx, lease.story_id, lease.generation))

    async def _keep(self, job: PhaseJob, report: PhaseReport) -> Cycle:
        story, project = job.story.id, job.project.name
        policy = self._setups.review_policy(project)
        if report.end is PhaseEnd.AGENT_FAILED and not report.began:
            past = await self._store.read(lambda conn: past_of(conn, story))
            role, name = ROLE_OF.get(job.phase, Role.CODE), job.agent.name
            other = self._staffing.has_other(project, role, name, past)
            policy = dataclasses.replace(policy, starts_again=other)
        if report.end is PhaseEnd.LIMITED:
            return await self._meet_limit(job, report, policy)
        return await self._agents.keep(job, report, lambda tx: _record(tx, job, report, policy))

    async def _meet_limit(self, job: PhaseJob, report: PhaseReport, policy: ReviewPolicy) -> Cycle:
        """Its provider's limit is that of all who depend on it."""
        provider = self._holds.provider_of(job.agent.name)
        dependents = await self._holds.dependents(provider)
        policy = dataclasses.replace(policy, pauses=False)

        def record(tx: Transaction) -> Cycle:
            after = _record(tx, job, report, policy)
            self._holds.meet(
                tx,
                provider,
                kind=RefusalKind.QUOTA.value,
                reason=f"{report.error} {report.hint}".strip(),
                said=report.limited_until,
                by=dependents,
            )
            return after

        after = await self._agents.keep(job, report, record)
        await self._holds.settle()
        return after


def _cause(report: PhaseReport, redactor: Redactor) -> str:
    """Such as " (it exited with code 1)": one line, without any key, and without the word by which what comes
    next is found in a wait."""
    said = redactor.text(report.error.strip().partition("\n")[0]).replace("; ", ", ").rstrip(". ")
    short = said if len(said) <= _CAUSE_CHARACTERS else f"{said[:_CAUSE_CHARACTERS].rstrip()} …"
    return f" ({short})" if short else ""


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
