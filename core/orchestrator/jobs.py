"""What a worker is told of a story and of its next phase, and the report that comes of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from core.agents.setup import AgentSetup
from core.domain.lifecycles import Phase
from core.domain.story import Cycle, Story, StoryBrief
from core.errors import OrchardError
from core.orchestrator.supervisor import CancelledInTime, Supervisor
from core.rpc import PeerGone
from core.store import cycles, gates, leases, stories
from core.store.leases import Lease
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport, ProjectSetup

log = logging.getLogger(__name__)


def brief_of(story: Story, cycle: Cycle) -> StoryBrief:
    return StoryBrief(
        id=story.id,
        title=story.title,
        body=story.body,
        acceptance_criteria=story.acceptance_criteria,
        spec=cycle.spec,
    )


def phase_job(conn: sqlite3.Connection, lease: Lease, setup: ProjectSetup, agent: AgentSetup) -> PhaseJob:
    """By the story's row after the claim: a person may have spoken since the story was chosen.

    Raises LostRace when the lease is the story's no longer.
    """
    leases.check(conn, lease.story_id, lease.generation)
    story, cycle = stories.get(conn, lease.story_id), cycles.get(conn, lease.story_id)
    assert cycle is not None  # a lease refers to it
    red = gates.last_passed(conn, story.id, Phase.TEST_RED) if cycle.red_commit else None
    return PhaseJob(
        project=setup,
        agent=agent,
        story=brief_of(story, cycle),
        phase=lease.phase,
        attempt=cycle.attempt,
        generation=lease.generation,
        base_commit=cycle.base_commit,
        red_commit=cycle.red_commit,
        head_commit=cycle.head_commit,
        red_evidence=red.verdict.evidence if red else None,
        feedback=cycle.feedback,
        session_id=cycle.session_id,
        by_hand=cycle.by_hand,
        # What a person left is judged where they worked on it; the newer main branch comes afterwards.
        rebase_onto=None if cycle.by_hand else cycle.rebase_onto,
    )


async def run_job(
    supervisor: Supervisor, owner: str, job: PhaseJob, is_cancelled: Callable[[], bool]
) -> PhaseReport:
    """The worker's report; one that says what happened where the worker could not run the job at all.

    Raises PeerGone when the worker ended, CancelledInTime when it `is_cancelled` before the worker hears of
    it.
    """
    try:
        report = await supervisor.request(PhaseReport, owner, "run_phase", job, is_cancelled=is_cancelled)
    except (PeerGone, CancelledInTime):
        raise
    except (OrchardError, ValueError) as error:
        log.exception("%s: the worker could not run %s", job.story.id, job.phase)
        return PhaseReport(
            story_id=job.story.id,
            phase=job.phase,
            generation=job.generation,
            end=PhaseEnd.BLOCKED if isinstance(error, OrchardError) else PhaseEnd.AGENT_FAILED,
            error=str(error),
        )
    return await supervisor.explained(job.project.name, report)
