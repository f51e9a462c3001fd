"""Child of test_store_kill: makes stories and moves them, says each durable step on stdout, until killed."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState, Phase, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, StoryState
from core.store import cycles, leases, projects, stories
from core.store.database import Store
from core.store.transaction import Transaction


def begin(tx: Transaction, project: str) -> str:
    story = stories.add(
        tx,
        project,
        title="Sell",
        body="",
        acceptance_criteria=(),
        priority=Priority.NORMAL,
        added_by="cli",
    )
    stories.move(tx, story.id, StoryState.BACKLOG, StoryState.ACTIVE)
    cycles.begin(tx, story)
    return story.id


def pass_gate(tx: Transaction, story: str, state: CycleState) -> CycleState:
    """Claim, move, release and the event: one transaction, so a crash shows all of it or nothing."""
    lease = leases.claim(tx, story, phase=Phase(state.value), owner="w", lease_seconds=60)
    moved = cycles.move(tx, story, CycleEvent.PASSED, state=state)
    leases.release(tx, story, lease.generation)
    tx.emit(EventKind.GATE_PASSED, project=moved.project, story_id=story, data={"to": moved.state.value})
    return moved.state


async def work(store: Store, project: str) -> None:
    for _ in count():
        story = await store.write(lambda tx: begin(tx, project))
        say(story, CycleState.DESIGN)
        state = CycleState.DESIGN
        while state.phase is not None:
            state = await store.write(lambda tx, story=story, state=state: pass_gate(tx, story, state))
            say(story, state)


def say(story: str, state: CycleState) -> None:
    """One write call a line: a kill leaves whole lines, and a pipe keeps what the dead wrote."""
    os.write(1, f"{story} {state}\n".encode())


async def main(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        for number in range(8):
            name = f"p{number}"
            if await store.read(lambda conn, name=name: projects.find(conn, name)) is None:
                project = Project(
                    name=name,
                    path=path.parent,
                    main_branch="main",
                    status=ProjectStatus.ACTIVE,
                    workflow=WorkflowState.SPRINT_ACTIVE,
                    registered_at=SystemClock().now(),
                )
                await store.write(lambda tx, project=project: projects.add(tx, project))
        await asyncio.gather(*(work(store, f"p{number}") for number in range(8)))


asyncio.run(main(Path(sys.argv[1])))
