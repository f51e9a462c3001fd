"""One attempt at one phase: worktree -> environment -> agent's turn -> gate -> commit.

    run_phase(job, services, cancel) -> PhaseReport

Everything that can go wrong is an end of its own: the gate says no (REFUSED), the agent gave nothing to judge
(AGENT_FAILED), a person must mend something first (BLOCKED), somebody stopped it (CANCELLED). The gate judges
a tree that Orchard wrote from the worktree, in a fresh checkout: never the folder in which the agent could
still be writing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from core.agents import confined
from core.agents.driver import run_turn
from core.agents.prompts import render_prompt
from core.agents.roles import ROLE_OF, Rights, spec_path
from core.agents.turn import (
    AgentText,
    PermissionAsked,
    PermissionDecided,
    ToolEnded,
    ToolStarted,
    Turn,
    TurnEnd,
    TurnEvent,
    TurnKind,
)
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.errors import NotAllowed, NotFound, OrchardError
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.plan import Level, plan_launch
from core.worker.agentbox import agent_sandbox, protected_paths
from core.worker.contract import (
    PermissionAnswer,
    PermissionQuestion,
    PhaseEnd,
    PhaseJob,
    PhaseReport,
    Progress,
)
from core.worker.environment import Environment
from core.worker.found import Worktree
from core.worker.gates.evaluate import file_changes
from core.worker.git import Staged
from core.worker.merge import message_of
from core.worker.runners import Runner
from core.worker.surroundings import AGENT_IDENTITY, Picture, Surroundings, foreign_work
from core.worker.workshop import OnStart, Services, Workshop
from core.worker.worktree import Prepared

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TEXT_CHARACTERS = 4000  # of the agent's closing words
_PROGRESS_CHARACTERS = 200
_PROGRESS_SECONDS = 0.5  # between two pieces of an agent's text


class _Cancelled(Exception):
    """Not an error: somebody stopped this story."""


async def run_phase(job: PhaseJob, services: Services, cancel: asyncio.Event) -> PhaseReport:
    """One attempt, reported. Setting `cancel` ends it, by the agent's stop ladder, as CANCELLED.

    Raises CancelledError only: when the worker itself is told to end.
    """
    async with services.children_of(job.story.id) as child:
        attempt = _Attempt(job, services, cancel, child)
        try:
            return await attempt.play()
        except _Cancelled:
            return attempt.report(PhaseEnd.CANCELLED)
        except OrchardError as error:
            why = f" {error.why}" if error.why else ""
            return attempt.report(PhaseEnd.BLOCKED, error=f"{error.message}{why}", hint=error.hint)
        except Exception as error:  # edge: an error of ours blocks the story, and its number is in the log
            incident = secrets.token_hex(4)
            logger.exception("%s %s, incident %s", job.story.id, job.phase, incident)
            return attempt.report(
                PhaseEnd.BLOCKED,
                error=f"Orchard itself failed: {type(error).__name__}: {error} (incident {incident}).",
                hint=f"The worker's log holds more under {incident}.",
            )


class _Attempt:
    def __init__(
        self, job: PhaseJob, services: Services, cancel: asyncio.Event, child: Callable[[str], OnStart]
    ) -> None:
        self._job = job
        self._services = services
        self._cancel = cancel
        self._child = child
        self._seconds: dict[str, float] = {}
        self._base: str | None = job.base_commit
        self._turn: TurnEnd | None = None
        self._said = 0.0  # when the agent's text was last passed on

    # --- the steps

    async def play(self) -> PhaseReport:
        job = self._job
        async with self._step("worktree", "sets up the worktree"):
            shop = await Workshop.open(
                job.project, self._services, on_setup=self._child("setup"), on_test=self._child("test")
            )
            self._base = job.base_commit or await shop.repository.main_commit(job.project.main_branch)
            start = job.head_commit or self._base
            prepared = await shop.worktrees.ensure(job.story.id, start, spec=job.story.spec, phase=job.phase)
            if prepared.salvage is not None:
                await self._services.tell.salvaged(prepared.salvage)
        async with self._step("environment", "looks for the project's environment"):
            environment = await self._unless_cancelled(shop.environment(start))
            # By the configuration as of `start`: what a refused attempt left in the worktree decides nothing.
            clean = None if prepared.resumed else prepared.worktree.path
            runner = await shop.runner(start, environment, clean)
        if job.phase is Phase.DESIGN and job.story.acceptance_criteria and not job.feedback:
            written = spec_of_story(job.story.title, job.story.body, job.story.acceptance_criteria)
            whole = Staged(tree=await shop.repository.tree_of(start))
            return await self._judge(shop, prepared.worktree, start, whole, environment, runner, written)
        rights = Rights(
            role=ROLE_OF[job.phase], story_id=job.story.id, is_test=lambda path: runner.is_test_path(path)
        )
        outside = await self._agent(shop, prepared, start, environment, runner, rights)
        assert self._turn is not None
        if self._turn.kind is not TurnKind.IDLE:
            return self._without_result(self._turn)
        spec = self._read_spec(prepared.worktree) if job.phase is Phase.DESIGN else None
        staged = await shop.worktrees.stage(prepared.worktree)
        refusals = [*outside, *_nested(staged)]
        if refusals:
            verdict = Verdict(phase=job.phase, refusals=tuple(refusals), evidence=Evidence(tree=staged.tree))
            return self._refused(shop, start, staged.tree, verdict)
        return await self._judge(shop, prepared.worktree, start, staged, environment, runner, spec)

    async def _agent(
        self,
        shop: Workshop,
        prepared: Prepared,
        start: str,
        environment: Environment,
        runner: Runner,
        rights: Rights,
    ) -> tuple[Refusal, ...]:
        """The turn, and what it did where it had nothing to do."""
        job, worktree = self._job, prepared.worktree
        level = Level(job.project.isolation)
        around = Surroundings(shop.repository, shop.worktrees, job.project, story=job.story.id)
        busy = self._services.busy
        busy.add(job.story.id)
        try:
            before: Picture | None = None
            if level is Level.PROCESS:
                shop.worktrees.exclude(*(f"/{target}" for _, target in environment.modules))
                environment.link_into(worktree.path)
                before = await self._picture(around)
            async with self._step("agent", f"{job.agent.name} works"):
                self._turn = await self._run_turn(shop, prepared, environment, runner, rights, start)
            found = []
            foreign = await foreign_work(shop.repository, shop.worktrees, worktree, start=start)
            if foreign is not None:
                found.append(foreign)
            if before is not None:
                after = await self._picture(around, since=before)
                found += await around.compare(before, after, start=start)
            return tuple(found)
        finally:
            busy.discard(job.story.id)

    async def _picture(self, around: Surroundings, since: Picture | None = None) -> Picture:
        async with self._services.checkout:  # a merge of ours in the middle would look like somebody's work
            return await around.picture(self._services.busy, since=since)

    async def _run_turn(
        self,
        shop: Workshop,
        prepared: Prepared,
        environment: Environment,
        runner: Runner,
        rights: Rights,
        start: str,
    ) -> TurnEnd:
        job, worktree = self._job, prepared.worktree
        paths = [entry.path for entry in await shop.repository.entries(start)]
        protected = protected_paths(paths, rights, runner.is_runner_config)

        async def begin(argv: tuple[str, ...], variables: Mapping[str, str], home: Path) -> ContainedProcess:
            (worktree.path / spec_path(job.story.id)).parent.mkdir(parents=True, exist_ok=True)
            sandbox = agent_sandbox(
                job.project,
                job.agent,
                environment,
                rights,
                worktree=worktree.path,
                git_folder=shop.repository.common_dir,
                home=home,
                protected=protected,
                variables={
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

        tree = await shop.repository.tree_of(start)

        async def changed() -> bool:
            if job.phase is Phase.DESIGN:
                return self._read_spec(worktree) != job.story.spec
            return (await shop.worktrees.stage(worktree)).tree != tree

        return await run_turn(
            job.agent,
            Turn(
                prompt=self._prompt(environment, runner, rights),
                cwd=worktree.path,
                home=shop.home_of(job.story.id, job.agent.name),
                transcript=shop.transcript_of(job.story.id, job.phase, job.attempt),
                session_id=job.session_id,
                timeout_seconds=job.project.turn_timeout_seconds,
            ),
            start=begin,
            rights=rights,
            level=Level(job.project.isolation),
            on_event=self._on_event,
            ask=self._ask,
            cancel=self._cancel,
            changed=changed,
        )

    def _prompt(self, environment: Environment, runner: Runner, rights: Rights) -> str:
        job = self._job
        command = runner.command
        if command[:1] == ("python",) and environment.python is not None:
            command = (str(environment.python), *command[1:])
        return render_prompt(
            job.phase,
            job.story,
            attempt=job.attempt,
            rights=rights,
            feedback=job.feedback,
            red=job.red_evidence,
            test_command=" ".join(command),
        )

    async def _judge(
        self,
        shop: Workshop,
        worktree: Worktree,
        start: str,
        staged: Staged,
        environment: Environment,
        runner: Runner,
        spec: str | None,
    ) -> PhaseReport:
        job = self._job
        assert self._base is not None
        async with self._step("gate", "Orchard checks"):
            changed = [change.path for change in await shop.repository.changes(start, staged.tree)]
            fitting = await shop.environment_after(environment, staged.tree, changed)
            suite = shop.suite(runner, fitting)
            verdict = await self._unless_cancelled(
                shop.judge(
                    suite,
                    job.story,
                    job.phase,
                    base_commit=start if job.phase is Phase.DESIGN else self._base,
                    tree=staged.tree,
                    red_commit=job.red_commit,
                    red_evidence=job.red_evidence,
                    spec=spec,
                )
            )
        if not verdict.passed:
            return self._refused(shop, start, staged.tree, verdict)
        if job.phase is Phase.DESIGN:
            return self.report(PhaseEnd.PASSED, verdict=verdict, head_commit=start, spec=spec)
        async with self._step("commit", "commits"):
            head = start
            if changed:
                message = f"{job.phase.value}: {message_of(job.story, job.phase)}"
                head = await shop.worktrees.commit(worktree, staged.tree, parent=start, message=message)
            changes = await file_changes(shop.repository, runner, self._base, head)
            diff = await shop.repository.diff(self._base, head) if job.phase is Phase.REFACTOR else ""
        return self.report(PhaseEnd.PASSED, verdict=verdict, head_commit=head, changes=changes, diff=diff)

    # --- reports

    def _refused(self, shop: Workshop, start: str, tree: str, verdict: Verdict) -> PhaseReport:
        if not any(refusal.code is RefusalCode.FOREIGN_COMMIT for refusal in verdict.refusals):
            shop.worktrees.note_refused(self._job.story.id, commit=start, phase=self._job.phase, tree=tree)
        return self.report(PhaseEnd.REFUSED, verdict=verdict)

    def _without_result(self, turn: TurnEnd) -> PhaseReport:
        ends = {
            TurnKind.CANCELLED: PhaseEnd.CANCELLED,
            TurnKind.FAILED: PhaseEnd.AGENT_FAILED,
            TurnKind.BLOCKED: PhaseEnd.BLOCKED,
        }
        return self.report(ends[turn.kind], error=turn.error, hint=turn.hint)

    def report(self, end: PhaseEnd, **facts: Any) -> PhaseReport:
        job, turn = self._job, self._turn
        report = PhaseReport(
            story_id=job.story.id,
            phase=job.phase,
            generation=job.generation,
            end=end,
            base_commit=self._base,
            session_id=turn.session_id if turn else job.session_id,
            agent_text=turn.text[-_TEXT_CHARACTERS:] if turn else "",
            usage=turn.usage if turn else {},
            seconds={step: round(seconds, 3) for step, seconds in self._seconds.items()},
        )
        return dataclasses.replace(report, **facts)

    # --- talking

    @asynccontextmanager
    async def _step(self, step: str, text: str) -> AsyncIterator[None]:
        if self._cancel.is_set():
            raise _Cancelled
        await self._tell(step, text)
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[step] = self._seconds.get(step, 0.0) + time.monotonic() - began

    async def _tell(self, step: str, text: str) -> None:
        job = self._job
        await self._services.tell.progress(
            Progress(
                story_id=job.story.id,
                phase=job.phase,
                generation=job.generation,
                step=step,
                text=text[:_PROGRESS_CHARACTERS],
            )
        )

    async def _on_event(self, event: TurnEvent) -> None:
        if isinstance(event, ToolStarted):
            await self._tell("tool", event.title or event.kind)
        elif isinstance(event, ToolEnded) and event.failed:
            await self._tell("tool", f"failed: {event.title or event.kind}")
        elif isinstance(event, PermissionAsked):
            await self._tell("tool", f"asks: {event.title}")
        elif isinstance(event, PermissionDecided) and not event.allowed:
            await self._tell("tool", f"not allowed: {event.title} ({event.reason})")
        elif isinstance(event, AgentText) and not event.thought:
            now = time.monotonic()
            if now - self._said >= _PROGRESS_SECONDS:
                self._said = now
                await self._tell("agent", event.text.strip())

    async def _ask(self, asked: PermissionAsked) -> PermissionAnswer:
        job = self._job
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

    async def _unless_cancelled(self, work: Coroutine[Any, Any, T]) -> T:
        """`work`, given up when somebody stops this story."""
        task = asyncio.ensure_future(work)
        wish = asyncio.ensure_future(self._cancel.wait())
        try:
            await asyncio.wait({task, wish}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _Cancelled
            return task.result()
        finally:
            wish.cancel()
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    def _read_spec(self, worktree: Worktree) -> str:
        """What the agent wrote; nothing where there is no plain file, or a link to one elsewhere."""
        try:
            return confined.read_text(worktree.path, spec_path(self._job.story.id))
        except (NotFound, NotAllowed):
            return ""


def _nested(staged: Staged) -> tuple[Refusal, ...]:
    if not staged.nested:
        return ()
    folders = ", ".join(staged.nested)
    return (
        Refusal(
            code=RefusalCode.FOREIGN_COMMIT,
            sentence=f"Git repositories were made inside the worktree: {folders}. What is in them cannot be "
            "part of the story; remove them, and put the files into the worktree itself.",
            files=staged.nested,
        ),
    )


def spec_of_story(title: str, body: str, criteria: tuple[str, ...]) -> str:
    """The design of a story that says itself what is to be built."""
    items = "\n".join(f"- {criterion}" for criterion in criteria)
    parts = [f"# {title}", body.strip(), f"## Acceptance criteria\n\n{items}"]
    return "\n\n".join(part for part in parts if part) + "\n"
