"""An agent's turn in a story's worktree: what it is shown, what of it is told, what it did elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from core.agents import confined
from core.agents.driver import run_turn
from core.agents.prompts import not_allowed, render_prompt, template_name
from core.agents.roles import Rights, spec_path
from core.agents.templates import choose_template
from core.agents.transcript import Transcript
from core.agents.turn import (
    AgentText,
    PermissionAsked,
    PermissionDecided,
    ToolEnded,
    ToolStarted,
    Turn,
    TurnEnd,
    TurnEvent,
    TurnStarted,
    TurnSteered,
)
from core.clock import SystemClock
from core.domain.approval import PermissionAnswer
from core.domain.evidence import Refusal
from core.domain.lifecycles import Phase
from core.domain.session import How
from core.errors import NotAllowed, NotFound
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.plan import Level, plan_launch
from core.worker.agentbox import agent_sandbox, loopback_ports, network_rules, protected_paths
from core.worker.contract import PermissionQuestion, PhaseJob, Stalled, TurnFacts
from core.worker.environment import Environment
from core.worker.found import Worktree
from core.worker.network import NetworkWatch
from core.worker.parking import either
from core.worker.past import Past, bring_home
from core.worker.refused_calls import RefusedCalls
from core.worker.runners import Runner
from core.worker.scratch import TEMPORARY, scratch
from core.worker.steps import PhaseSteps
from core.worker.surroundings import AGENT_IDENTITY, Picture, Surroundings, foreign_work
from core.worker.ways_out import WaysOut, open_ways
from core.worker.workshop import OnStart, Services, Workshop

_LINE_BYTES = 16 << 20  # of one message; twice as much of an agent's output is ever held
_PROGRESS_SECONDS = 0.5  # between two pieces of an agent's text


class AgentTurn:
    """One turn. `end` is how it ended, `facts` what it was; None before.

    Neither what is told of it nor what is kept of it holds a secret.
    """

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
        self._level = Level(job.project.isolation_of(rights.role))
        self._ways = WaysOut()
        self._interrupted = interrupted  # it goes on with what a parked turn left
        self._temporary: Mapping[str, str] = {}  # variables that name the folder for temporary files
        self._said = 0.0  # when the agent's text was last passed on
        self._past = Past(job)
        self._shown = self._past.redactor.stream()
        self._started: TurnStarted | None = None
        self._began = SystemClock().now()
        self._template, self._template_problem = choose_template(
            template_name(job.phase, epic=job.epic), job.project.prompts_path
        )
        self.end: TurnEnd | None = None
        self.facts: TurnFacts | None = None
        self.network: NetworkWatch | None = None
        self._refused = RefusedCalls(
            tell=services.tell, story_id=job.story.id, phase=job.phase, generation=job.generation
        )

    async def play(self, environment: Environment, runner: Runner) -> tuple[TurnEnd, tuple[Refusal, ...]]:
        """The turn, and what it did where it had nothing to do."""
        job, worktree, worktrees = self._job, self._worktree, self._shop.worktrees
        level = self._level
        around = Surroundings(self._shop.repository, worktrees, job.project, story=job.story.id)
        try:
            with self._services.busy.within(job.story.id):
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
                    # Some commit by themselves, whatever they are told: what they committed stays as changes.
                    await worktrees.attach(worktree, self._start)
                foreign = await foreign_work(self._shop.repository, worktrees, worktree, start=self._start)
                if foreign is not None:
                    found.append(foreign)
                if before is not None:
                    after = await self._picture(around, since=before)
                    found += await around.compare(before, after, start=self._start)
                return self.end, tuple(found)
        finally:
            await self._refused.end()

    async def _picture(self, around: Surroundings, since: Picture | None = None) -> Picture:
        async with self._services.checkout:  # a merge of ours in the middle would look like somebody's work
            return await around.picture(self._services.busy, since=since)

    async def _run(
        self, environment: Environment, runner: Runner, level: Level, ending: asyncio.Event
    ) -> TurnEnd:
        job, shop = self._job, self._shop
        paths = [entry.path for entry in await shop.repository.entries(self._start)]
        protected = protected_paths(paths, self._rights, runner.is_runner_config)

        transcript = shop.transcript_of(job.story.id, job.phase, job.attempt, job.generation)
        home = shop.home_of(job.story.id, job.agent.name)
        if job.fork is not None:
            await asyncio.to_thread(bring_home, shop.home_of(job.fork.story_id, job.agent.name), home)
        prompt = await self._prompt(environment, runner)

        async def begin(argv: tuple[str, ...], variables: Mapping[str, str], home: Path) -> ContainedProcess:
            return await self._launch(argv, variables, home, environment, protected)

        async with AsyncExitStack() as stack:
            self._steering = stack.enter_context(self._services.steering_of(job.story.id))
            stack.enter_context(self._scratch())
            self._ways = await stack.enter_async_context(self._open_ways(transcript))
            end = await run_turn(
                job.agent,
                Turn(
                    prompt=prompt,
                    cwd=self._worktree.path,
                    home=home,
                    transcript=transcript,
                    session_id=job.session_id,
                    fork_from=job.fork.session_id if job.fork else None,
                    seed=self._past.seed if job.past else None,
                    steering=choose_template("steering", job.project.prompts_path)[0],
                    redactor=self._past.redactor,
                    heading=self._heading(),
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
        self.facts = self._facts(end, transcript)
        clean = self._past.redactor.text
        return replace(end, text=clean(end.text), error=clean(end.error), hint=clean(end.hint))

    def _heading(self) -> Mapping[str, object]:
        """What a transcript says of its turn, should nothing else be left of it."""
        job, template = self._job, self._template
        return {
            "story": job.story.id,
            "phase": job.phase.value,
            "attempt": job.attempt,
            "generation": job.generation,
            "agent": job.agent.name,
            "run": job.model.run_id if job.model else "",
            "template": template.name,
            "template_version": template.version,
            "template_source": template.source,
            **({"template_problem": self._template_problem} if self._template_problem else {}),
        }

    def _facts(self, end: TurnEnd, transcript: Path) -> TurnFacts:
        job, template, started = self._job, self._template, self._started
        folder = job.project.state_path.resolve() / "transcripts"
        return TurnFacts(
            agent=job.agent.name,
            kind=end.kind.value,
            started_at=self._began,
            seconds=end.seconds,
            transcript=transcript.relative_to(folder).as_posix(),
            session_id=end.session_id,
            how=started.how.value if started else How.NONE.value,
            why=self._past.redactor.text(started.why) if started else "",
            template=template.name,
            template_version=template.version,
            template_source=template.source,
            template_problem=self._template_problem,
            prompt_sha256=started.prompt_sha256 if started else "",
            tools=end.tools,
        )

    @contextmanager
    def _scratch(self) -> Iterator[None]:
        """Where the agent's temporary files go. A sandbox with a file system of its own has its own /tmp."""
        project = self._job.project
        if self._level is not Level.PROCESS:
            yield
            return
        with scratch(project.state_path, project.name, self._job.story.id) as folder:
            self._temporary = dict.fromkeys(TEMPORARY, str(folder))
            yield

    @asynccontextmanager
    async def _open_ways(self, transcript: Path) -> AsyncIterator[WaysOut]:
        """A proxy and doors of this turn's own; what they refused is in `denied`."""
        job = self._job

        def note(sentence: str) -> None:
            with Transcript(transcript, SystemClock()) as file:  # cleaned already
                file.add("note", sentence)

        watch = self.network = NetworkWatch(
            self._services.tell,
            what="agent",
            story_id=job.story.id,
            phase=job.phase,
            generation=job.generation,
            clean=self._past.redactor.text,
            note=note,
        )
        async with open_ways(
            level=self._level,
            state_path=job.project.state_path,
            key=f"{job.project.name}/{job.story.id}",
            rules=network_rules(job.project, job.agent, at_gateway=job.model is not None),
            ports=loopback_ports(job.agent, job.model),
            denied=watch.denied,
        ) as ways:
            yield ways
        await watch.end(ways.traffic)

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
            doors=self._ways.doors,
            variables={
                **self._temporary,
                **variables,
                **AGENT_IDENTITY,
                "GIT_OPTIONAL_LOCKS": "0",
                "GIT_TERMINAL_PROMPT": "0",
            },
        )
        plan = plan_launch(argv, sandbox, self._services.machine)
        process = await launch(plan, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=_LINE_BYTES)
        await self._child("agent")(process)
        return process

    async def _changed(self) -> bool:
        if self._job.phase is Phase.DESIGN:
            return read_spec(self._worktree) != self._job.story.spec
        staged = await self._shop.worktrees.stage(self._worktree)
        return staged.tree != await self._shop.repository.tree_of(self._start)

    async def _prompt(self, environment: Environment, runner: Runner) -> str:
        job = self._job
        linked = await self._past.linked()
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
            template=self._template,
            linked=linked,
        )

    # --- telling

    async def _on_event(self, event: TurnEvent) -> None:
        if isinstance(event, AgentText) and not event.thought:
            text = self._shown.add(event.text)
            now = time.monotonic()
            if text.strip() and now - self._said >= _PROGRESS_SECONDS:
                self._said = now
                await self._steps.tell("agent", text.strip())
            return

        async def tell(step: str, text: str) -> None:
            await self._steps.tell(step, self._past.redactor.text(text))

        if isinstance(event, TurnStarted):
            self._started = event
        elif isinstance(event, ToolStarted):
            await tell("tool", event.title or event.kind)
        elif isinstance(event, ToolEnded) and event.failed:
            await tell("tool", f"failed: {event.title or event.kind}")
        elif isinstance(event, PermissionAsked):
            await tell("tool", f"asks: {event.title}")
        elif isinstance(event, PermissionDecided) and not event.allowed:
            if event.refused is not None:
                await self._refused.add(event.refused)
            await tell("tool", f"not allowed: {event.title} ({event.reason})")
            if event.by == "people" and event.reason and not self._job.epic:  # of an epic nobody was asked
                # Last in here: the refusal itself then goes out before the cancel that these words cause.
                self._steering.queue.put_nowait(not_allowed(event.title, event.reason))
        elif isinstance(event, TurnSteered):
            self._steering.reached(event.text)

    async def _on_stalled(self, seconds: float, doing: str) -> None:
        job = self._job
        await self._services.tell.stalled(
            Stalled(
                story_id=job.story.id,
                phase=job.phase,
                generation=job.generation,
                seconds=seconds,
                doing=self._past.redactor.text(doing),
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
                title=self._past.redactor.text(asked.title),
                detail=self._past.redactor.text(asked.detail),
                reasons=asked.reasons,
            )
        )


def read_spec(worktree: Worktree) -> str:
    """What stands where the design goes; nothing where there is no plain file, or a link to one elsewhere."""
    try:
        return confined.read_text(worktree.path, spec_path(worktree.story_id))
    except (NotFound, NotAllowed):
        return ""
