"""An agent's turn in a story's worktree: what it is shown, what of it is told, what it did elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.agents import confined
from core.agents.driver import run_turn
from core.agents.prompts import not_allowed, render_prompt
from core.agents.roles import Rights, spec_path
from core.agents.turn import (
    AgentText,
    PermissionAsked,
    PermissionDecided,
    ToolEnded,
    ToolStarted,
    Turn,
    TurnEnd,
    TurnEvent,
    TurnSteered,
)
from core.domain.evidence import Refusal
from core.domain.lifecycles import Phase
from core.errors import NotAllowed, NotFound
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.plan import Level, plan_launch
from core.worker.agentbox import agent_sandbox, protected_paths
from core.worker.contract import PermissionAnswer, PermissionQuestion, PhaseJob, Stalled
from core.worker.environment import Environment
from core.worker.found import Worktree
from core.worker.parking import either
from core.worker.runners import Runner
from core.worker.scratch import TEMPORARY, scratch
from core.worker.steps import PhaseSteps
from core.worker.surroundings import AGENT_IDENTITY, Picture, Surroundings, foreign_work
from core.worker.workshop import OnStart, Services, Workshop

_PROGRESS_SECONDS = 0.5  # between two pieces of an agent's text


class AgentTurn:
    """One turn. `end` is how it ended, None before."""

    def __init__(
        self,
        job: PhaseJob,
        services: Services,
        steps: PhaseSteps,
        child: Callable[[str], OnStart],
        *,
        shop: Workshop,
        worktree: Worktree,
        start: str,
        rights: Rights,
        interrupted: bool = False,
    ) -> None:
        self._job = job
        self._services = services
        self._steps = steps
        self._child = child
        self._shop = shop
        self._worktree = worktree
        self._start = start  # the commit where it begins
        self._rights = rights
        self._interrupted = interrupted  # it goes on with what a parked turn left
        self._temporary: Mapping[str, str] = {}  # variables that name the folder for temporary files
        self._said = 0.0  # when the agent's text was last passed on
        self.end: TurnEnd | None = None

    async def play(self, environment: Environment, runner: Runner) -> tuple[TurnEnd, tuple[Refusal, ...]]:
        """The turn, and what it did where it had nothing to do."""
        job, worktree, worktrees = self._job, self._worktree, self._shop.worktrees
        level = Level(job.project.isolation)
        around = Surroundings(self._shop.repository, worktrees, job.project, story=job.story.id)
        busy = self._services.busy
        busy.add(job.story.id)
        try:
            before: Picture | None = None
            if level is Level.PROCESS:
                worktrees.exclude(*(f"/{target}" for _, target in environment.modules))
                environment.link_into(worktree.path)
                before = await self._picture(around)
            steps = self._steps
            async with (
                steps.step("agent", f"{job.agent.name} works"),
                either(steps.stop, steps.park.due) as ending,
            ):
                self.end = await self._run(environment, runner, level, ending)
            found = []
            if job.agent.kind == "command" and not worktrees.is_swapped(worktree):
                # Some commit by themselves and cannot be told otherwise: what they committed stays as changes.
                await worktrees.attach(worktree, self._start)
            foreign = await foreign_work(self._shop.repository, worktrees, worktree, start=self._start)
            if foreign is not None:
                found.append(foreign)
            if before is not None:
                after = await self._picture(around, since=before)
                found += await around.compare(before, after, start=self._start)
            return self.end, tuple(found)
        finally:
            busy.discard(job.story.id)

    async def _picture(self, around: Surroundings, since: Picture | None = None) -> Picture:
        async with self._services.checkout:  # a merge of ours in the middle would look like somebody's work
            return await around.picture(self._services.busy, since=since)

    async def _run(
        self, environment: Environment, runner: Runner, level: Level, ending: asyncio.Event
    ) -> TurnEnd:
        job, shop = self._job, self._shop
        paths = [entry.path for entry in await shop.repository.entries(self._start)]
        protected = protected_paths(paths, self._rights, runner.is_runner_config)

        async def begin(argv: tuple[str, ...], variables: Mapping[str, str], home: Path) -> ContainedProcess:
            return await self._launch(argv, variables, home, environment, protected)

        with self._services.steering_of(job.story.id) as self._steering, self._scratch():
            end = await run_turn(
                job.agent,
                Turn(
                    prompt=self._prompt(environment, runner),
                    cwd=self._worktree.path,
                    home=shop.home_of(job.story.id, job.agent.name),
                    transcript=shop.transcript_of(job.story.id, job.phase, job.attempt),
                    session_id=job.session_id,
                    timeout_seconds=job.project.turn_timeout_seconds,
                    stall_seconds=job.project.stall_seconds,
                    stall_cancel_seconds=job.project.stall_cancel_seconds,
                    model=job.model,
                ),
                start=begin,
                rights=self._rights,
                level=level,
                on_event=self._on_event,
                ask=self._ask,
                cancel=ending,
                changed=self._changed,
                steering=self._steering.queue,
                on_stalled=self._on_stalled,
            )
            self._steering.end(end.steered)
        return end

    @contextmanager
    def _scratch(self) -> Iterator[None]:
        """Where the agent's temporary files go. A sandbox with a file system of its own has its own /tmp."""
        project = self._job.project
        if Level(project.isolation) is not Level.PROCESS:
            yield
            return
        with scratch(project.state_path, project.name, self._job.story.id) as folder:
            self._temporary = dict.fromkeys(TEMPORARY, str(folder))
            yield

    async def _launch(
        self,
        argv: tuple[str, ...],
        variables: Mapping[str, str],
        home: Path,
        environment: Environment,
        protected: tuple[str, ...],
    ) -> ContainedProcess:
        job, worktree = self._job, self._worktree
        (worktree.path / spec_path(job.story.id)).parent.mkdir(parents=True, exist_ok=True)
        sandbox = agent_sandbox(
            job.project,
            job.agent,
            environment,
            self._rights,
            worktree=worktree.path,
            git_folder=self._shop.repository.common_dir,
            home=home,
            protected=protected,
            variables={
                **self._temporary,
                **variables,
                **AGENT_IDENTITY,
                "GIT_OPTIONAL_LOCKS": "0",
                "GIT_TERMINAL_PROMPT": "0",
            },
        )
        plan = plan_launch(argv, sandbox, self._services.machine)
        process = await launch(plan, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        await self._child("agent")(process)
        return process

    async def _changed(self) -> bool:
        if self._job.phase is Phase.DESIGN:
            return read_spec(self._worktree) != self._job.story.spec
        staged = await self._shop.worktrees.stage(self._worktree)
        return staged.tree != await self._shop.repository.tree_of(self._start)

    def _prompt(self, environment: Environment, runner: Runner) -> str:
        job = self._job
        command = runner.command
        if command[:1] == ("python",) and environment.python is not None:
            command = (str(environment.python), *command[1:])
        return render_prompt(
            job.phase,
            job.story,
            attempt=job.attempt,
            rights=self._rights,
            feedback=job.feedback,
            red=job.red_evidence,
            test_command=" ".join(command),
            epic=job.epic,
            interrupted=self._interrupted,
        )

    # --- telling

    async def _on_event(self, event: TurnEvent) -> None:
        tell = self._steps.tell
        if isinstance(event, ToolStarted):
            await tell("tool", event.title or event.kind)
        elif isinstance(event, ToolEnded) and event.failed:
            await tell("tool", f"failed: {event.title or event.kind}")
        elif isinstance(event, PermissionAsked):
            await tell("tool", f"asks: {event.title}")
        elif isinstance(event, PermissionDecided) and not event.allowed:
            await tell("tool", f"not allowed: {event.title} ({event.reason})")
            if event.by == "people" and event.reason and not self._job.epic:  # of an epic nobody was asked
                # Last in here: the refusal itself then goes out before the cancel that these words cause.
                self._steering.queue.put_nowait(not_allowed(event.title, event.reason))
        elif isinstance(event, TurnSteered):
            self._steering.reached(event.text)
        elif isinstance(event, AgentText) and not event.thought:
            now = time.monotonic()
            if now - self._said >= _PROGRESS_SECONDS:
                self._said = now
                await tell("agent", event.text.strip())

    async def _on_stalled(self, seconds: float, doing: str) -> None:
        job = self._job
        await self._services.tell.stalled(
            Stalled(
                story_id=job.story.id,
                phase=job.phase,
                generation=job.generation,
                seconds=seconds,
                doing=doing,
            )
        )

    async def _ask(self, asked: PermissionAsked) -> PermissionAnswer:
        job = self._job
        if self._steps.park.reach_checkpoint():
            # People are not asked what would be withdrawn at once; it is asked anew when the turn goes on.
            await asyncio.get_running_loop().create_future()
        return await self._services.tell.ask(
            PermissionQuestion(
                story_id=job.story.id,
                phase=job.phase,
                generation=job.generation,
                title=asked.title,
                detail=asked.detail,
                reasons=asked.reasons,
            )
        )


def read_spec(worktree: Worktree) -> str:
    """What stands where the design goes; nothing where there is no plain file, or a link to one elsewhere."""
    try:
        return confined.read_text(worktree.path, spec_path(worktree.story_id))
    except (NotFound, NotAllowed):
        return ""
