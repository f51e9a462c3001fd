"""Which of the stories that may go on get to: each with a worker, an agent and its lease."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.agents.roles import ROLE_OF, Role
from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.domain.story import Cycle
from core.errors import LostRace, OrchardError
from core.orchestrator.pauses import Pauses
from core.orchestrator.scheduling.candidates import Candidate
from core.orchestrator.setups import Setups
from core.orchestrator.staffing import Staffed, Staffing, past_of
from core.orchestrator.supervisor import Supervisor
from core.store import cycles, leases
from core.store.database import Store, Transaction
from core.store.leases import Claim, Claimed, Lease
from core.worker.contract import ProjectSetup

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What one project's claim won, with what its phases need."""

    leases: Mapping[str, Lease]  # by story
    setup: ProjectSetup
    staff: Mapping[str, Staffed]  # by story


class ClaimDesk:
    def __init__(
        self,
        store: Store,
        setups: Setups,
        supervisor: Supervisor,
        staffing: Staffing,
        pauses: Pauses,
        *,
        lease_seconds: float,
    ) -> None:
        self._store = store
        self._setups = setups
        self._supervisor = supervisor
        self._staffing = staffing
        self._pauses = pauses
        self._lease_seconds = lease_seconds

    async def claim(self, project: str, chosen: Sequence[Candidate]) -> Claims | None:
        """None: the project cannot work now, and its stories wait a little."""
        cycles_of = {candidate.id: candidate.cycles[0] for candidate in chosen}
        try:
            setup = self._setups.project(project)
            staff = await self._staff(project, cycles_of)
            if not staff:
                return None
            owner = await self._supervisor.ensure(project)
        except OrchardError as error:
            self._pauses.put_off(cycles_of, error)
            return None

        def claim(tx: Transaction) -> Claimed:
            claimed = leases.claim_all(
                tx,
                [
                    Claim(story_id=story, phase=_phase_of(cycle), wants=candidate.wants)
                    for candidate, (story, cycle) in zip(chosen, cycles_of.items(), strict=True)
                    if story in staff
                ],
                owner=owner,
                lease_seconds=self._lease_seconds,
            )
            for lease in claimed.won:
                cycle = cycles.get(tx.conn, lease.story_id)
                assert cycle is not None  # a lease refers to it
                choice = staff[lease.story_id].choice
                # By its row: another attempt may have ended since the story was chosen.
                data = {"phase": str(lease.phase), "attempt": cycle.attempt, "agent": choice.name}
                if choice.reason:
                    data["why"] = choice.reason
                tx.emit(EventKind.PHASE_STARTED, project=project, story_id=lease.story_id, data=data)
            return claimed

        claimed = await self._store.write(claim)
        for story, why in claimed.lost.items():
            log.info("%s lost its race: %s", story, why)
            if not isinstance(why, LostRace):
                self._pauses.put_off([story], why)
            elif any(candidate.wants for candidate in chosen):
                self._pauses.begin(story, 1.0, str(why))
        return Claims(leases={lease.story_id: lease for lease in claimed.won}, setup=setup, staff=staff)

    async def _staff(self, project: str, cycles_of: Mapping[str, Cycle]) -> Mapping[str, Staffed]:
        """Who works on each story; one for whom nobody can waits a little."""
        pasts = await self._store.read(lambda conn: {story: past_of(conn, story) for story in cycles_of})
        found: dict[str, Staffed] = {}
        for story, cycle in cycles_of.items():
            role, past = ROLE_OF.get(_phase_of(cycle), Role.CODE), pasts[story]
            try:
                found[story] = self._staffing.choose(project, role, past, session_id=cycle.session_id)
            except OrchardError as error:
                self._pauses.put_off([story], error)
        return found


def _phase_of(cycle: Cycle) -> Phase:
    assert cycle.state.phase is not None  # what is over is no candidate
    return cycle.state.phase
