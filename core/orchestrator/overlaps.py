"""Stories of a project that change the same files: foreseen while they run, the later one rebased early."""

from __future__ import annotations

import sqlite3

from core.domain.event import EventKind
from core.domain.lifecycles import CycleState
from core.domain.overlap import find_overlaps, touching, untold
from core.errors import LostRace
from core.orchestrator.views import OverlapView
from core.store import cycles, events, leases, touched
from core.store.database import Transaction
from core.worker.contract import Touched

_FILES_TOLD = 50  # of a pair; whoever heard of so many need not hear of the rest
_REBASED_IN = (CycleState.TEST_RED, CycleState.CODE_GREEN, CycleState.REFACTOR)


def overlaps(conn: sqlite3.Connection, project: str) -> tuple[OverlapView, ...]:
    """Pairs of stories at work that change the same files now."""
    found = find_overlaps(touched.of_project(conn, project))
    return tuple(OverlapView(first=each.first, later=each.later, files=each.files) for each in found)


def record_touched(tx: Transaction, said: Touched) -> None:
    """What a worker says of a story's files. People are told of a pair once, and again only of more files.

    A word of an older generation counts for nothing.
    """
    try:
        lease = leases.check(tx.conn, said.story_id, said.generation)
    except LostRace:
        return
    touched.replace(tx, said.story_id, said.files)
    for overlap in find_overlaps(touched.of_project(tx.conn, lease.project)):
        if said.story_id not in (overlap.first, overlap.later):
            continue
        told = _told(tx.conn, overlap.first, overlap.later)
        if len(told) < _FILES_TOLD and untold(overlap, told):
            tx.emit(
                EventKind.OVERLAP_FORESEEN,
                project=lease.project,
                story_id=overlap.later,
                data={"other": overlap.first, "files": list(overlap.files[:_FILES_TOLD])},
            )


def _told(conn: sqlite3.Connection, first: str, later: str) -> set[str]:
    """Files of the pair that people heard of."""
    told: set[str] = set()
    for event in events.latest(conn, story_id=later, kinds=[EventKind.OVERLAP_FORESEEN], limit=1000):
        if event.data.get("other") == first:
            told |= set(event.data["files"])
    return told


def mark_rebases(tx: Transaction, project: str, merged: str, commit: str) -> tuple[str, ...]:
    """A story was merged: those at work that change the same files take the new main branch in before their
    next phase. Called in the transaction that records the merge; returns the stories marked. What the merged
    one had changed is forgotten.

    A story in COMMIT meets the main branch in the merge queue, one without a base when it begins.
    """
    files = touched.of_story(tx.conn, merged)
    others = [story for story in touched.of_project(tx.conn, project) if story.story_id != merged]
    marked = []
    for story_id in touching(others, files):
        cycle = cycles.get(tx.conn, story_id)
        if cycle is not None and cycle.base_commit is not None and cycle.state in _REBASED_IN:
            cycles.patch(tx, story_id, state=cycle.state, rebase_onto=commit)
            marked.append(story_id)
    touched.replace(tx, merged, ())
    return tuple(marked)
