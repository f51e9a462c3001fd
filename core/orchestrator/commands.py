"""Everything a person can ask of Orchard. The faces parse, authorise, call one method here, and render."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psutil

from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import Event, EventKind
from core.domain.lifecycles import (
    WORKFLOW,
    CycleEvent,
    CycleState,
    ProjectCommand,
    ProjectStatus,
    WorkflowCommand,
    WorkflowFact,
    WorkflowState,
)
from core.domain.machine import allowed_commands, next_state
from core.domain.project import Project
from core.domain.story import Priority, Story, StoryState
from core.errors import InvalidInput, InvalidTransition, NotAllowed, NotFound
from core.orchestrator import overview
from core.orchestrator.registry import Registry
from core.orchestrator.reports import settle_sprint
from core.orchestrator.views import (
    Candidate,
    ProjectView,
    Registration,
    SprintView,
    StoryDetail,
    StoryView,
    SystemView,
    WorkerView,
    WorkflowView,
)
from core.store import approvals, cycles, events, leases, merges, projects, sprints, stories
from core.store.database import Store, Transaction

TITLE_LIMIT = 200
TEXT_LIMIT = 20_000
CRITERIA_LIMIT = 50


class Engine(Protocol):
    """What runs the stories, where it runs; absent for a command line beside no running Orchard."""

    def why(self, story_id: str) -> str: ...
    def worker_view(self, project: str) -> WorkerView: ...
    async def prepare(self, project: Project) -> None:
        """Checks that the project can work here (agent, isolation) and starts its worker."""
        ...

    async def halt(self, project: str) -> None: ...
    async def cancel(self, project: str, story_id: str) -> None: ...


class Commands:
    """Methods raise OrchardError: what happened, why, what to do next.

    `actor` names who asks: "discord:<user id>", "cli", "shell".
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        engine: Engine | None,
        *,
        started_at: datetime | None = None,
        isolation: str = "",
        discord_status: Callable[[], str] = lambda: "",
    ) -> None:
        self._store = store
        self._registry = registry
        self._engine = engine
        self._started_at = started_at
        self._isolation = isolation
        self.discord_status = discord_status

    # -- looking -----------------------------------------------------------------------------

    async def system(self) -> SystemView:
        return SystemView(
            running=self._engine is not None,
            startup_complete=self._started_at is not None,
            started_at=self._started_at,
            projects=await self.projects(),
            pending_approvals=await self.approvals(),
            isolation=self._isolation,
            discord=self.discord_status(),
            cpu_percent=psutil.cpu_percent(),
            memory_percent=psutil.virtual_memory().percent,
            unusable={name: str(error) for name, error in self._registry.unusable().items()},
        )

    async def projects(self) -> tuple[ProjectView, ...]:
        return await self._store.read(
            lambda conn: tuple(self._project_view(conn, project) for project in projects.every(conn))
        )

    async def project(self, name: str) -> ProjectView:
        return await self._store.read(lambda conn: self._project_view(conn, _find(conn, name)))

    async def backlog(self, project: str) -> tuple[StoryView, ...]:
        return await self._store.read(
            lambda conn: overview.backlog(conn, _find(conn, project).name, self._why)
        )

    async def sprint(self, project: str) -> SprintView:
        view = await self._store.read(
            lambda conn: overview.sprint_view(conn, _find(conn, project).name, self._why)
        )
        if view is None:
            raise NotFound(f"{project} has no sprint yet.", hint="Plan one: /sprint plan.")
        return view

    async def workflow(self, project: str) -> WorkflowView:
        def look(conn: sqlite3.Connection) -> WorkflowView:
            found = _find(conn, project)
            return WorkflowView(
                project=found,
                state=found.workflow,
                allowed=allowed_commands(found.workflow),
                sprint=sprints.current(conn, found.name),
            )

        return await self._store.read(look)

    async def story(self, story_id: str) -> StoryDetail:
        return await self._store.read(
            lambda conn: overview.story_detail(conn, story_id.strip().lower(), self._why)
        )

    async def stories(self, project: str | None = None) -> tuple[StoryView, ...]:
        def look(conn: sqlite3.Connection) -> tuple[StoryView, ...]:
            name = _find(conn, project).name if project else None
            return overview.story_views(conn, stories.of_project(conn, name), self._why)

        return await self._store.read(look)

    async def approvals(self, project: str | None = None) -> tuple[Approval, ...]:
        return await self._store.read(
            lambda conn: approvals.pending(conn, _find(conn, project).name if project else None)
        )

    async def approval(self, approval_id: str) -> Approval:
        return await self._store.read(lambda conn: approvals.get(conn, approval_id))

    async def events(
        self, *, after: int = 0, project: str | None = None, story_id: str | None = None, limit: int = 100
    ) -> tuple[Event, ...]:
        return await self._store.read(
            lambda conn: events.since(
                conn, after, project=project, story_id=story_id, limit=max(1, min(limit, 1000))
            )
        )

    # -- projects ----------------------------------------------------------------------------

    async def register_project(self, name: str, path: Path, *, actor: str) -> Registration:
        return await self._registry.register(name, path, actor=actor)

    async def discover_projects(self, paths: Sequence[Path]) -> tuple[Candidate, ...]:
        return await self._registry.discover(paths)

    async def start_project(self, name: str, *, actor: str) -> Project:
        """What kept it from starting before may be mended: the settings are read anew."""
        await self._registry.refresh()
        try:
            project = await self._store.read(lambda conn: _find(conn, name))
        except NotFound:
            project = await self._registry.take_in(name.strip().lower())
        if (problem := self._registry.problem(project.name)) is not None:
            raise problem
        if self._engine is not None:
            await self._engine.prepare(project)
        if project.status is ProjectStatus.ACTIVE:
            return project

        def start(tx: Transaction) -> Project:
            moved = projects.move_status(tx, project.name, ProjectCommand.START)
            tx.emit(EventKind.PROJECT_STARTED, project=moved.name, actor=actor)
            return moved

        return await self._store.write(start)

    async def stop_project(self, name: str, *, actor: str) -> Project:
        """Pauses the project: its agents are stopped, what they left is kept, nothing new starts."""
        project = await self._store.read(lambda conn: _find(conn, name))
        if project.status is not ProjectStatus.ACTIVE:
            raise NotAllowed(
                f"{project.name} is {project.status}: there is nothing to stop.",
                hint=f"/project_start {project.name} lets it work.",
            )

        def stop(tx: Transaction) -> Project:
            moved = projects.move_status(tx, project.name, ProjectCommand.PAUSE)
            tx.emit(EventKind.PROJECT_STOPPED, project=moved.name, actor=actor)
            return moved

        stopped = await self._store.write(stop)
        if self._engine is not None:
            await self._engine.halt(project.name)
        return stopped

    # -- backlog and sprint ------------------------------------------------------------------

    async def add_story(
        self,
        project: str,
        title: str,
        *,
        body: str = "",
        acceptance_criteria: Sequence[str] = (),
        priority: Priority = Priority.NORMAL,
        actor: str,
    ) -> Story:
        title = _checked("title", title, TITLE_LIMIT)
        body = _checked("text", body, TEXT_LIMIT, required=False)
        criteria = tuple(
            c for c in (_checked("criterion", c, 1000, required=False) for c in acceptance_criteria) if c
        )
        if len(criteria) > CRITERIA_LIMIT:
            raise InvalidInput(
                f"A story may have {CRITERIA_LIMIT} acceptance criteria, not {len(criteria)}.",
                hint="Split it into smaller stories.",
            )

        def add(tx: Transaction) -> Story:
            found = _allowed(tx.conn, project, WorkflowCommand.BACKLOG_ADD_STORY)
            story = stories.add(
                tx,
                found.name,
                title=title,
                body=body,
                acceptance_criteria=criteria,
                priority=priority,
                added_by=actor,
            )
            if found.workflow is WorkflowState.IDLE:
                projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
            return story

        return await self._store.write(add)

    async def plan_sprint(
        self, project: str, *, stories: Sequence[str] = (), goal: str = "", actor: str
    ) -> SprintView:
        """Chooses stories of the backlog for the next sprint; none named: all of them."""
        goal = _checked("goal", goal, 500, required=False)

        def plan(tx: Transaction) -> SprintView:
            found = _allowed(tx.conn, project, WorkflowCommand.SPRINT_PLAN)
            chosen = _chosen(tx.conn, found.name, stories)
            projects.move_workflow(tx, found.name, WorkflowCommand.SPRINT_PLAN, actor=actor)
            sprints.plan(tx, found.name, [story.id for story in chosen], goal, actor)
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(plan)

    async def start_sprint(self, project: str, *, actor: str) -> SprintView:
        def start(tx: Transaction) -> SprintView:
            found = _allowed(tx.conn, project, WorkflowCommand.SPRINT_START)
            if found.status is not ProjectStatus.ACTIVE:
                raise NotAllowed(
                    f"{found.name} is {found.status}: its sprint cannot start.",
                    hint=f"Start the project first: /project_start {found.name}.",
                )
            sprint = sprints.current(tx.conn, found.name)
            assert sprint is not None  # SPRINT_PLANNED has one
            projects.move_workflow(tx, found.name, WorkflowCommand.SPRINT_START, actor=actor)
            sprints.start(tx, sprint.id)
            for story in sprints.stories(tx.conn, sprint.id):
                if story.state is StoryState.PLANNED:
                    stories.move(tx, story.id, StoryState.PLANNED, StoryState.ACTIVE)
                    cycles.begin(tx, story)
            tx.emit(
                EventKind.SPRINT_STARTED,
                project=found.name,
                actor=actor,
                data={"sprint": sprint.number, "goal": sprint.goal},
            )
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(start)

    async def pause_sprint(self, project: str, *, actor: str) -> SprintView:
        """No new phase starts; what runs comes to its end."""
        return await self._move_sprint(project, WorkflowCommand.SPRINT_PAUSE, actor)

    async def resume_sprint(self, project: str, *, actor: str) -> SprintView:
        return await self._move_sprint(project, WorkflowCommand.SPRINT_RESUME, actor)

    async def _move_sprint(self, project: str, command: WorkflowCommand, actor: str) -> SprintView:
        def move(tx: Transaction) -> SprintView:
            found = _allowed(tx.conn, project, command)
            projects.move_workflow(tx, found.name, command, actor=actor)
            settle_sprint(tx, found.name)  # stories may have ended while it was paused
            return self._sprint_view(tx.conn, found.name)

        return await self._store.write(move)

    async def feedback(self, project: str, text: str, *, actor: str) -> WorkflowView:
        """Ends the review: what people say is kept, and the next sprint can be planned."""
        text = _checked("feedback", text, TEXT_LIMIT)

        def close(tx: Transaction) -> str:
            found = _allowed(tx.conn, project, WorkflowCommand.FEEDBACK)
            projects.move_workflow(tx, found.name, WorkflowCommand.FEEDBACK, actor=actor)
            tx.emit(EventKind.SPRINT_REVIEWED, project=found.name, actor=actor, data={"text": text})
            if stories.of_project(tx.conn, found.name, states=(StoryState.BACKLOG,)):
                projects.move_workflow(tx, found.name, WorkflowFact.BACKLOG_FILLED, actor=actor)
            return found.name

        return await self.workflow(await self._store.write(close))

    # -- helping a story ---------------------------------------------------------------------

    async def suggest_fix(self, story_id: str, text: str, *, actor: str) -> StoryView:
        """Gives a blocked story new tries; the text reaches the agent's next prompt."""
        text = _checked("suggestion", text, TEXT_LIMIT)

        def help_on(tx: Transaction) -> StoryView:
            story = stories.get(tx.conn, story_id.strip().lower())
            cycle = cycles.get(tx.conn, story.id)
            if cycle is None or not cycle.blocked_reason:
                raise NotAllowed(
                    f"{story.id} is not blocked.", hint="A fix can be suggested for a blocked story only."
                )
            found = _allowed(tx.conn, story.project, WorkflowCommand.SUGGEST_FIX)
            cycles.unblock(tx, story.id, f"{cycle.feedback}\n\nA person suggests: {text}".strip())
            projects.move_workflow(tx, found.name, WorkflowCommand.SUGGEST_FIX, actor=actor)
            tx.emit(
                EventKind.STORY_UNBLOCKED,
                project=story.project,
                story_id=story.id,
                actor=actor,
                data={"by": actor, "text": text},
            )
            return overview.story_view(tx.conn, story, self._why)

        return await self._store.write(help_on)

    async def skip_story(self, story_id: str, reason: str, *, actor: str) -> StoryView:
        """Takes a story out of its sprint. Commits stay at `refs/orchard/stories/<story>`, what was not
        committed at `refs/orchard/salvage/<story>/<n>`."""
        reason = _checked("reason", reason, TEXT_LIMIT, required=False)

        def skip(tx: Transaction) -> StoryView:
            story = stories.get(tx.conn, story_id.strip().lower())
            if story.state is not StoryState.ACTIVE:
                raise NotAllowed(f"{story.id} is {story.state}: only a story of a running sprint is skipped.")
            found = _allowed(tx.conn, story.project, WorkflowCommand.SKIP_TASK)
            cycle = cycles.get(tx.conn, story.id)
            assert cycle is not None  # ACTIVE stories have one
            open_merges = [m for m in merges.open_of(tx.conn, story.project) if m.story_id == story.id]
            if any(merge.candidate for merge in open_merges):
                raise NotAllowed(
                    f"{story.id} is being merged this moment.", hint="Look again in a few seconds."
                )
            for merge in open_merges:
                merges.finish(tx, merge.id, "abandoned")
            for lease in leases.held(tx.conn, story.project):
                if lease.story_id == story.id:
                    leases.release(tx, story.id, lease.generation)
            approvals.cancel_of_story(tx, story.id)
            cycles.move(tx, story.id, CycleEvent.ABORTED, state=cycle.state)
            moved = stories.move(tx, story.id, StoryState.ACTIVE, StoryState.SKIPPED)
            projects.move_workflow(tx, found.name, WorkflowCommand.SKIP_TASK, actor=actor)
            tx.emit(
                EventKind.STORY_SKIPPED,
                project=story.project,
                story_id=story.id,
                actor=actor,
                data={"by": actor, "reason": reason},
            )
            settle_sprint(tx, story.project)
            return overview.story_view(tx.conn, moved, self._why)

        view = await self._store.write(skip)
        if self._engine is not None:
            await self._engine.cancel(view.story.project, view.story.id)
        return view

    async def answer_approval(
        self, approval_id: str, approve: bool, *, reason: str = "", actor: str
    ) -> Approval:
        """The first answer wins. Rejecting needs a reason: the agent works by it."""
        reason = _checked("reason", reason, TEXT_LIMIT, required=not approve)

        def answer(tx: Transaction) -> Approval:
            answered = approvals.answer(
                tx,
                approval_id,
                state=ApprovalState.APPROVED if approve else ApprovalState.REJECTED,
                by=actor,
                reason=reason,
            )
            if answered.kind is not ApprovalKind.MERGE:
                return answered
            if approve:
                cycles.move(tx, answered.story_id, CycleEvent.PASSED, state=CycleState.REFACTOR)
                return answered
            cycles.move(
                tx,
                answered.story_id,
                CycleEvent.SENT_BACK,
                state=CycleState.REFACTOR,
                feedback=f"A person rejected the change: {reason}",
            )
            tx.emit(
                EventKind.STORY_SENT_BACK,
                project=answered.project,
                story_id=answered.story_id,
                actor=actor,
                data={
                    "from": str(CycleState.REFACTOR),
                    "to": str(CycleState.CODE_GREEN),
                    "reason": reason,
                },
            )
            return answered

        return await self._store.write(answer)

    # -- inside ------------------------------------------------------------------------------

    def _why(self, story_id: str) -> str:
        return self._engine.why(story_id) if self._engine is not None else ""

    def _sprint_view(self, conn: sqlite3.Connection, project: str) -> SprintView:
        view = overview.sprint_view(conn, project, self._why)
        assert view is not None  # asked for right after it was made
        return view

    def _project_view(self, conn: sqlite3.Connection, project: Project) -> ProjectView:
        problem = self._registry.problem(project.name)
        views = overview.story_views(conn, stories.of_project(conn, project.name), self._why)
        return ProjectView(
            project=project,
            priority=self._registry.priority(project.name),
            worker=self._engine.worker_view(project.name) if self._engine else WorkerView(state="stopped"),
            pending_approvals=len(approvals.pending(conn, project.name)),
            not_in_force=self._registry.not_in_force(project.name),
            problem=str(problem) if problem is not None else "",
            **overview.tally(views),
        )


def _find(conn: sqlite3.Connection, name: str) -> Project:
    return projects.get(conn, name.strip().lower())


def _allowed(conn: sqlite3.Connection, project: str, command: WorkflowCommand) -> Project:
    """The project, when its state allows the command; else NotAllowed with what it allows."""
    found = _find(conn, project)
    try:
        next_state(WORKFLOW, found.workflow, command, entity=found.name)
    except InvalidTransition:
        allowed = ", ".join(f"/{c}" for c in allowed_commands(found.workflow))
        raise NotAllowed(
            f"{found.name} is {found.workflow}: /{command} is not possible now.",
            why=_REASONS.get((found.workflow, command), ""),
            hint=f"Possible now: {allowed}.",
        ) from None
    return found


_REASONS = {
    (WorkflowState.IDLE, WorkflowCommand.SPRINT_PLAN): "The backlog is empty: add a story first.",
    (WorkflowState.BACKLOG_READY, WorkflowCommand.SPRINT_START): "No sprint is planned yet.",
    (WorkflowState.SPRINT_ACTIVE, WorkflowCommand.SPRINT_PLAN): "A sprint runs already.",
    (WorkflowState.SPRINT_ACTIVE, WorkflowCommand.SPRINT_START): "The sprint runs already.",
    (WorkflowState.SPRINT_REVIEW, WorkflowCommand.SPRINT_PLAN): "The last sprint waits for its review.",
    (WorkflowState.SPRINT_REVIEW, WorkflowCommand.BACKLOG_ADD_STORY): "The last sprint waits for its review.",
    (WorkflowState.BLOCKED, WorkflowCommand.SPRINT_START): "A story is out of retries and needs a person.",
}


def _chosen(conn: sqlite3.Connection, project: str, wanted: Sequence[str]) -> list[Story]:
    backlog = {story.id: story for story in stories.of_project(conn, project, states=(StoryState.BACKLOG,))}
    if not wanted:
        if not backlog:
            raise NotAllowed(f"The backlog of {project} is empty.", hint="Add a story: /backlog add_story.")
        return list(backlog.values())
    names = dict.fromkeys(word.strip().lower() for word in wanted if word.strip())
    if unknown := [name for name in names if name not in backlog]:
        raise NotFound(
            f"Not in the backlog of {project}: {', '.join(unknown)}.",
            hint=f"In the backlog: {', '.join(list(backlog)[:20]) or 'nothing'}.",
        )
    return [backlog[name] for name in names]


def _checked(what: str, text: str, limit: int, *, required: bool = True) -> str:
    cleaned = "".join(
        c for c in text.replace("\r\n", "\n") if c == "\n" or c == "\t" or c.isprintable()
    ).strip()
    if required and not cleaned:
        raise InvalidInput(f"The {what} is empty.", hint=f"Say something as {what}.")
    if len(cleaned) > limit:
        raise InvalidInput(
            f"The {what} has {len(cleaned)} characters; {limit} are possible.", hint="Make it shorter."
        )
    return cleaned
