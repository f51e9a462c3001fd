"""What comes of a merge, in the store: one transaction a story, so a crash leaves all of it or none."""

from __future__ import annotations

from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState, Phase
from core.domain.story import Cycle, StoryState
from core.ids import branch_of
from core.orchestrator.blocking import block
from core.orchestrator.conflicts import start_again
from core.orchestrator.gate_events import emit_passed, emit_refused
from core.orchestrator.sent_back import tell_sent_back
from core.orchestrator.single_step import stop_after_step
from core.orchestrator.sprint_end import settle_sprint
from core.store import cycles, gates, leases, merges, projects, pulls, stories
from core.store.database import Transaction
from core.worker.contract import MergeReport


def record_conflict(
    tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport, *, max_conflicts: int
) -> Cycle:
    """The main branch moved under the story: it starts again at red, on the new main branch."""
    leases.release(tx, cycle.story_id, report.generation)
    merges.finish(tx, merge_id, "conflict")
    again = start_again(tx, cycle, report.conflicts, report.conflict_detail, max_conflicts=max_conflicts)
    return stop_after_step(tx, again, Phase.COMMIT)


def record_merge_refused(
    tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport, *, max_conflicts: int
) -> Cycle:
    """The gate refused the rebased tree: the agent goes on from there.

    It counts as a conflict does: without that, agents and a broken main branch could go on for ever.
    """
    assert report.verdict is not None
    leases.release(tx, cycle.story_id, report.generation)
    merges.finish(tx, merge_id, "refused")
    gates.add(
        tx, cycle.story_id, phase=Phase.COMMIT, attempt=cycle.attempt, verdict=report.verdict, commit=None
    )
    emit_refused(tx, cycle, Phase.COMMIT, report.verdict)
    count, said = cycle.conflicts + 1, report.verdict.explain()
    back = cycles.move(
        tx,
        cycle.story_id,
        CycleEvent.SENT_BACK,
        state=CycleState.COMMIT,
        base_commit=report.main_commit,
        red_commit=report.rebased_red,
        head_commit=report.rebased_head,
        conflicts=count,
        feedback=said,
        rebase_onto=None,
    )
    reason = "the gate refused it on top of the main branch"
    tell_sent_back(tx, back, cycle.state, reason, conflicts=count)
    if count >= max_conflicts:
        times = "once" if count == 1 else f"{count} times"
        back = block(
            tx, back, f"It did not fit on the main branch {times}. The gate said of it there:\n{said}"
        )
    return stop_after_step(tx, back, Phase.COMMIT)


def record_candidate(tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport) -> None:
    """The candidate passed. It is stored before the main branch moves, so a crash in between is seen."""
    assert report.verdict is not None
    assert report.candidate is not None
    assert report.main_commit is not None
    leases.check(tx.conn, cycle.story_id, report.generation)
    merges.set_candidate(tx, merge_id, report.candidate, report.main_commit)
    gates.add(
        tx,
        cycle.story_id,
        phase=Phase.COMMIT,
        attempt=cycle.attempt,
        verdict=report.verdict,
        commit=report.candidate,
    )
    emit_passed(tx, cycle, Phase.COMMIT, report.verdict, report.candidate)


def record_wanted(tx: Transaction, cycle: Cycle, merge_id: str, report: MergeReport) -> None:
    """The candidate passed, and is to be a pull request: the story waits for what GitHub says of it."""
    assert report.verdict is not None
    assert report.candidate is not None
    assert report.tree is not None
    assert report.main_commit is not None
    leases.release(tx, cycle.story_id, report.generation)
    merges.finish(tx, merge_id, "abandoned")
    gates.add(
        tx,
        cycle.story_id,
        phase=Phase.COMMIT,
        attempt=cycle.attempt,
        verdict=report.verdict,
        commit=report.candidate,
    )
    emit_passed(tx, cycle, Phase.COMMIT, report.verdict, report.candidate)
    pulls.want(
        tx,
        cycle.story_id,
        project=cycle.project,
        branch=branch_of(cycle.story_id),
        candidate=report.candidate,
        tree=report.tree,
        base=report.main_commit,
    )


def record_merged(
    tx: Transaction, cycle: Cycle, merge_id: str, candidate: str, generation: int | None
) -> Cycle:
    """The main branch holds the candidate. `generation` None: a crash left it there, and nobody leases it."""
    if generation is not None:
        leases.release(tx, cycle.story_id, generation)
    merges.finish(tx, merge_id, "merged")
    return record_landed(tx, cycle, candidate)


def record_landed(tx: Transaction, cycle: Cycle, commit: str) -> Cycle:
    """The main branch holds the story, as this commit. Its lease and its merge are the caller's."""
    waited = cycle.state is CycleState.COMMIT
    done = cycles.move(
        tx,
        cycle.story_id,
        CycleEvent.PASSED if waited else CycleEvent.MERGED,
        state=cycle.state,
        merge_commit=commit,
        feedback="",
        hold="",
    )
    pulls.land(tx, cycle.story_id, commit)
    stories.move(tx, cycle.story_id, StoryState.ACTIVE, StoryState.DONE)
    tx.emit(
        EventKind.STORY_MERGED,
        project=cycle.project,
        story_id=cycle.story_id,
        data={"commit": commit, "branch": projects.get(tx.conn, cycle.project).main_branch},
    )
    settle_sprint(tx, cycle.project)
    return done
