"""The real core without workers, and what agents and gates would do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bot.localguild import Answer, Person
from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.approval import Approval, ApprovalKind, Asking
from core.domain.event import EventKind
from core.domain.lifecycles import ProjectCommand, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.proposals import parse_proposals
from core.domain.story import Story
from core.orchestrator import designs, reports
from core.orchestrator.commands import Commands
from core.orchestrator.registry import Registry
from core.orchestrator.views import EpicView
from core.security.vault import Vault
from core.store import approvals, cycles, outbox, projects
from core.store import epics as epics_table
from core.store.database import Store, Transaction
from core.worker.contract import PhaseReport
from tests.waiting import until


async def settled(person: Person, answer: Answer) -> Answer:
    """The answer once it says something: a refusal after a deferral takes the place of the placeholder."""

    async def look() -> Answer | None:
        now = await person.look_again(answer)
        return now if now.text or now.modal or now.followups else None

    found: Answer = await until(look, "an answer in words")
    return found


def private(answer: Answer) -> bool:
    """Only the person who asked reads it."""
    said = [*([answer.message] if answer.message else []), *answer.followups]
    return bool(said) and all(message.ephemeral for message in said)


@dataclass
class Orchard:
    """The core, and what agents and gates would do to it."""

    store: Store
    bus: Bus
    clock: SystemClock
    commands: Commands

    async def add_project(self, name: str) -> None:
        def add(tx: Transaction) -> None:
            projects.add(
                tx,
                Project(
                    name=name,
                    path=Path("/srv") / name,
                    main_branch="main",
                    status=ProjectStatus.INITIALIZING,
                    workflow=WorkflowState.IDLE,
                    registered_at=tx.now,
                ),
            )
            projects.move_status(tx, name, ProjectCommand.START)

        await self.store.write(add)

    async def running_story(self, project: str = "shop", title: str = "Add a basket") -> Story:
        """A story whose sprint has started."""
        story = await self.commands.add_story(project, title, actor="cli")
        await self.commands.plan_sprint(project, stories=[story.id], actor="cli")
        await self.commands.start_sprint(project, actor="cli")
        return story

    async def propose(self, text: str, project: str = "shop", wish: str = "A shop") -> EpicView:
        """An epic whose design agent has answered with `text`."""
        epic = (await self.commands.begin_epic(project, wish, actor="cli")).epic
        found = parse_proposals(text)
        assert not found.faults, found.faults
        answer = cast(PhaseReport, SimpleNamespace(session_id=None))

        def take_in(tx: Transaction) -> None:
            begun = epics_table.begin(tx, epic.id)
            designs.take_in(tx, begun, found.proposals, answer)

        await self.store.write(take_in)
        return await self.commands.epic(epic.id)

    async def finished_sprint(self, project: str = "shop") -> Story:
        """A sprint in review: its one story was skipped."""
        story = await self.running_story(project)
        await self.commands.skip_story(story.id, "later", actor="cli")
        return story

    async def emit(self, kind: EventKind, story: Story, **data: Any) -> None:
        await self.store.write(lambda tx: tx.emit(kind, project=story.project, story_id=story.id, data=data))

    async def block(self, story: Story, reason: str = "tried 4 times") -> None:
        def block(tx: Transaction) -> None:
            cycle = cycles.get(tx.conn, story.id)
            assert cycle is not None
            reports.block(tx, cycle, reason)

        await self.store.write(block)

    async def ask(self, story: Story, detail: str = "+print(1)\n", asking: Asking | None = None) -> Approval:
        """A question as an agent's permission request makes it."""
        return await self.store.write(
            lambda tx: approvals.ask(
                tx,
                project=story.project,
                story_id=story.id,
                kind=ApprovalKind.PERMISSION,
                subject=f"permission:{story.id}",
                question="Run rm -rf build?",
                detail=detail,
                reasons=["it deletes files"],
                asking=asking,
            )
        )

    async def posted(self) -> None:
        """Returns when the outbox is empty."""

        async def empty() -> bool:
            return (await self.store.read(outbox.counts))["pending"] == 0

        await until(empty, "an empty outbox")


@asynccontextmanager
async def open_orchard(folder: Path) -> AsyncIterator[Orchard]:
    clock, bus = SystemClock(), Bus()
    async with Store.open(folder / "orchard.db", clock=clock, bus=bus) as store:
        configuration = load(folder, environ={})
        registry = Registry(store, configuration, lambda: load(folder, environ={}))
        vault = Vault(configuration, environ={})
        yield Orchard(store, bus, clock, Commands(store, registry, None, vault=vault))
