"""One attempt at one phase: rebase, worktree -> environment -> agent's turn -> gate -> commit.

    run_phase(job, services, cancel, park) -> PhaseReport

Everything that can go wrong is an end of its own: the gate says no (REFUSED), the agent gave nothing to judge
(AGENT_FAILED), its provider wants a pause (LIMITED), the story no longer fits on the main branch (CONFLICT),
a person must mend something first (BLOCKED), somebody stopped it (CANCELLED), it made place for another
project (PARKED: what the agent did stays where it is, and the phase goes on there). The gate judges a tree
that Orchard wrote from the worktree, in a fresh checkout: never the folder in which the agent could still be
writing. Two attempts are unlike the others: one by hand has no agent and takes the worktree as a person left
it; an epic's has no gate, and its file is the result.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
from collections.abc import Callable
from typing import Any

from core.agents.roles import ROLE_OF, Rights, spec_path
from core.agents.turn import TurnEnd, TurnKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.errors import OrchardError
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport
from core.worker.environment import Environment
from core.worker.found import Worktree
from core.worker.gates.evaluate import file_changes
from core.worker.gitobjects import Staged
from core.worker.merge import Rebased, message_of, rebase_story
from core.worker.parking import ParkWish
from core.worker.runners import Runner
from core.worker.steps import PhaseSteps, Stopped, unless_stopped
from core.worker.touching import Touching
from core.worker.turns import AgentTurn, read_spec
from core.worker.workshop import OnStart, Services, Workshop
from core.worker.worktree import Prepared

logger = logging.getLogger(__name__)

_TEXT_CHARACTERS = 4000  # of the agent's closing words


async def run_phase(
    job: PhaseJob, services: Services, cancel: asyncio.Event, park: ParkWish | None = None
) -> PhaseReport:
    """One attempt, reported. Setting `cancel` ends it, by the agent's stop ladder, as CANCELLED.

    `park` ends an agent that does not end by itself in its time in the same way, as PARKED; one that has not
    begun does not begin. What an agent has ended is judged, however long that takes.

    Raises CancelledError only: when the worker itself is told to end.
    """
    async with services.children_of(job.story.id) as child:
        attempt = _Attempt(job, services, cancel, park or ParkWish(), child)
        report = await _reported(attempt, job)
        await attempt.say_touched()
        return report


async def _reported(attempt: _Attempt, job: PhaseJob) -> PhaseReport:
    try:
        return await attempt.play()
    except Stopped:
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
        self,
        job: PhaseJob,
        services: Services,
        cancel: asyncio.Event,
        park: ParkWish,
        child: Callable[[str], OnStart],
    ) -> None:
        self._job = job
        self._services = services
        self._steps = PhaseSteps(job, services.tell, cancel, park)
        self._child = child
        self._base: str | None = job.base_commit
        self._red: str | None = job.red_commit
        self._rebased: Rebased | None = None
        self._agent: AgentTurn | None = None
        self._touching: Touching | None = None
        self._put_off = False  # the main branch is not taken in yet
        self._tree: str | None = None  # what the worktree holds, once it is known: a commit or a tree

    # --- the steps

    async def play(self) -> PhaseReport:
        job, steps = self._job, self._steps
        async with steps.step("worktree", "sets up the worktree"):
            shop = await Workshop.open(
                job.project, self._services, on_setup=self._child("setup"), on_test=self._child("test")
            )
            parked = await self._parked_at(shop)
            self._base = (
                job.base_commit or parked or await shop.repository.main_commit(job.project.main_branch)
            )
            start = job.head_commit or self._base
            # What a person or a parked turn left stands on the old commits: it goes on there, and is taken
            # along later.
            self._put_off = job.rebase_onto is not None and parked is not None
            if job.rebase_onto is not None and parked is None and not job.by_hand:
                rebased = await self._rebase(shop, job.rebase_onto, self._base)
                if rebased.conflicts:
                    return self.report(
                        PhaseEnd.CONFLICT,
                        conflicts=rebased.conflicts,
                        conflict_detail=rebased.conflict_detail,
                    )
                self._base, self._red = rebased.base, rebased.red
                start = rebased.head or rebased.base
            prepared = await self._prepare(shop, start)
        async with steps.step("environment", "looks for the project's environment"):
            environment = await self._environment(shop, start)
            if environment is None:
                return await self._parked_before(shop, prepared, start)
            # By the configuration as of `start`: what a refused attempt left in the worktree decides nothing.
            clean = None if prepared.resumed else prepared.worktree.path
            runner = await shop.runner(start, environment, clean)
        if self._needs_nobody:
            whole = Staged(tree=await shop.repository.tree_of(start))
            return await self._judge(
                shop, prepared.worktree, start, whole, environment, runner, spec_of_story(job)
            )
        outside: tuple[Refusal, ...] = ()
        parks = False
        if not job.by_hand:
            if steps.park.asked.is_set():
                return await self._parked_before(shop, prepared, start)
            turn, outside = await self._turn(shop, prepared, start, environment, runner)
            parks = turn.kind is TurnKind.CANCELLED and not steps.stop.is_set()
            if turn.kind is not TurnKind.IDLE and not parks:
                return await self._without_result(shop, prepared.worktree, start, turn)
        spec = self._read_spec(prepared.worktree) if job.phase is Phase.DESIGN else None
        staged = await shop.worktrees.stage(prepared.worktree)
        refusals = [*outside, *_nested(staged)]
        if refusals:
            verdict = Verdict(phase=job.phase, refusals=tuple(refusals), evidence=Evidence(tree=staged.tree))
            return self._refused(shop, start, staged.tree, verdict)
        if parks:
            return self._parked(shop, start, staged.tree)
        if job.epic:
            return self._proposed(start, spec or "")
        return await self._judge(shop, prepared.worktree, start, staged, environment, runner, spec)

    @property
    def _needs_nobody(self) -> bool:
        """Whether the story says itself what is to be built."""
        job = self._job
        told = job.phase is Phase.DESIGN and bool(job.story.acceptance_criteria) and not job.feedback
        return told and not job.epic and not job.by_hand

    async def _rebase(self, shop: Workshop, onto: str, base: str) -> Rebased:
        job = self._job
        rebased = await rebase_story(
            shop.repository,
            story=job.story,
            onto=onto,
            base=base,
            red=job.red_commit,
            head=job.head_commit,
            keep=shop.worktrees.keep,
        )
        if not rebased.conflicts and rebased.base != base:  # else it stood there already
            self._rebased = rebased
        return rebased

    async def _prepare(self, shop: Workshop, start: str) -> Prepared:
        """The worktree, and what was saved from it told."""
        job = self._job
        story, worktrees = job.story, shop.worktrees
        with self._services.busy.within(story.id):
            if job.by_hand:
                adopted = await worktrees.adopt(story.id, start, spec=story.spec, phase=job.phase)
                prepared, salvages = Prepared(worktree=adopted.worktree, resumed=True), adopted.salvages
            else:
                prepared = await worktrees.ensure(story.id, start, spec=story.spec, phase=job.phase)
                salvages = () if prepared.salvage is None else (prepared.salvage,)
        for salvage in salvages:
            await self._services.tell.salvaged(salvage)
        if not job.epic:  # nobody waits for what an epic touches: it becomes stories
            assert self._base is not None
            self._touching = Touching(
                repository=shop.repository,
                worktree=prepared.worktree,
                base=self._base,
                generation=job.generation,
                tell=self._services.tell,
            )
        return prepared

    async def _turn(
        self, shop: Workshop, prepared: Prepared, start: str, environment: Environment, runner: Runner
    ) -> tuple[TurnEnd, tuple[Refusal, ...]]:
        job = self._job
        self._agent = AgentTurn(
            job,
            self._services,
            self._steps,
            self._child,
            shop=shop,
            worktree=prepared.worktree,
            start=start,
            interrupted=prepared.parked,
            rights=Rights(role=ROLE_OF[job.phase], story_id=job.story.id, is_test=runner.is_test_path),
        )
        if self._touching is None:
            return await self._agent.play(environment, runner)
        async with self._touching.watched():
            return await self._agent.play(environment, runner)

    def _read_spec(self, worktree: Worktree) -> str:
        spec = read_spec(worktree)
        # A person who wrote nothing has no other design than the story's own.
        if self._job.by_hand and not spec.strip() and self._job.story.acceptance_criteria:
            return spec_of_story(self._job)
        return spec

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
        job, steps = self._job, self._steps
        assert self._base is not None
        self._tree = start if job.phase is Phase.DESIGN else staged.tree
        async with steps.step("gate", "Orchard checks"):
            changed = [change.path for change in await shop.repository.changes(start, staged.tree)]
            fitting = await shop.environment_after(environment, staged.tree, changed)
            suite = shop.suite(runner, fitting)
            verdict = await steps.unless_stopped(
                shop.judge(
                    suite,
                    job.story,
                    job.phase,
                    base_commit=start if job.phase is Phase.DESIGN else self._base,
                    tree=staged.tree,
                    red_commit=self._red,
                    red_evidence=job.red_evidence,
                    spec=spec,
                )
            )
        if not verdict.passed:
            return self._refused(shop, start, staged.tree, verdict)
        if job.phase is Phase.DESIGN:
            return self.report(PhaseEnd.PASSED, verdict=verdict, head_commit=start, spec=spec)
        async with steps.step("commit", "commits"):
            head = start
            if changed:
                message = f"{job.phase.value}: {message_of(job.story, job.phase)}"
                head = await shop.worktrees.commit(worktree, staged.tree, parent=start, message=message)
            self._tree = head
            changes = await file_changes(shop.repository, runner, self._base, head)
            diff = await shop.repository.diff(self._base, head) if job.phase is Phase.REFACTOR else ""
        return self.report(PhaseEnd.PASSED, verdict=verdict, head_commit=head, changes=changes, diff=diff)

    # --- making place

    async def _parked_at(self, shop: Workshop) -> str | None:
        """The commit on which a parked turn of this phase goes on; None when there is none, or when the story
        stands elsewhere now."""
        job = self._job
        if job.by_hand:
            return None
        parked = await shop.worktrees.parked_at(job.story.id, job.phase)
        return parked if parked == (job.head_commit or job.base_commit or parked) else None

    async def _environment(self, shop: Workshop, start: str) -> Environment | None:
        """None when its making took longer than the place may be kept."""
        steps = self._steps
        try:
            return await unless_stopped(shop.environment(start), steps.stop, steps.park.due)
        except Stopped:
            if steps.stop.is_set():
                raise
            return None

    async def _parked_before(self, shop: Workshop, prepared: Prepared, start: str) -> PhaseReport:
        """No agent has worked: what was found in the worktree is for the next one, as it was for this."""
        if not prepared.resumed:
            return self._makes_place(base_commit=self._job.base_commit)
        staged = await shop.worktrees.stage(prepared.worktree)
        return self._parked(shop, start, staged.tree, interrupted=prepared.parked)

    def _parked(self, shop: Workshop, start: str, tree: str, *, interrupted: bool = True) -> PhaseReport:
        job = self._job
        shop.worktrees.note_left(job.story.id, commit=start, phase=job.phase, tree=tree, parked=interrupted)
        self._tree = tree
        return self._makes_place()

    def _makes_place(self, **facts: Any) -> PhaseReport:
        park, turn = self._steps.park, self._agent.end if self._agent else None
        session = (turn.session_id if turn else None) or self._job.session_id
        facts = {"parked_for": park.taker, "parked_reason": park.reason, "session_id": session, **facts}
        return self.report(PhaseEnd.PARKED, **facts)

    # --- reports

    def _proposed(self, start: str, spec: str) -> PhaseReport:
        job = self._job
        if spec.strip():
            return self.report(PhaseEnd.PASSED, head_commit=start, spec=spec)
        return self.report(
            PhaseEnd.AGENT_FAILED,
            error=f"{job.agent.name} wrote no proposals into {spec_path(job.story.id)}.",
            hint="Try again, or say more about what is wanted.",
        )

    def _refused(self, shop: Workshop, start: str, tree: str, verdict: Verdict) -> PhaseReport:
        if not any(refusal.code is RefusalCode.FOREIGN_COMMIT for refusal in verdict.refusals):
            shop.worktrees.note_left(self._job.story.id, commit=start, phase=self._job.phase, tree=tree)
        return self.report(PhaseEnd.REFUSED, verdict=verdict)

    async def _without_result(
        self, shop: Workshop, worktree: Worktree, start: str, turn: TurnEnd
    ) -> PhaseReport:
        ends = {
            TurnKind.CANCELLED: PhaseEnd.CANCELLED,
            TurnKind.FAILED: PhaseEnd.AGENT_FAILED,
            TurnKind.BLOCKED: PhaseEnd.BLOCKED,
            TurnKind.LIMITED: PhaseEnd.LIMITED,
        }
        if turn.kind is TurnKind.LIMITED:  # its session goes on later, and in the files that it knows
            staged = await shop.worktrees.stage(worktree)
            shop.worktrees.note_left(
                self._job.story.id, commit=start, phase=self._job.phase, tree=staged.tree
            )
        refused = self._agent.network.hint if self._agent and self._agent.network else ""
        hint = " ".join(part for part in (turn.hint, refused) if part)
        return self.report(ends[turn.kind], error=turn.error, hint=hint, limited_until=turn.limited_until)

    def report(self, end: PhaseEnd, **facts: Any) -> PhaseReport:
        job, rebased = self._job, self._rebased
        turn = self._agent.end if self._agent else None
        report = PhaseReport(
            story_id=job.story.id,
            phase=job.phase,
            generation=job.generation,
            end=end,
            base_commit=self._base,
            session_id=turn.session_id if turn else job.session_id,
            agent_text=turn.text[-_TEXT_CHARACTERS:] if turn else "",
            agent_exit=turn.exit_code if turn else None,
            began=turn.began if turn else True,
            turn=self._agent.facts if self._agent else None,
            usage=turn.usage if turn else {},
            seconds={step: round(seconds, 3) for step, seconds in self._steps.seconds.items()},
            rebased_base=rebased.base if rebased else None,
            rebased_red=rebased.red if rebased else None,
            rebased_head=rebased.head if rebased else None,
            rebase_put_off=self._put_off,
        )
        return dataclasses.replace(report, **facts)

    async def say_touched(self) -> None:
        if self._touching is not None:
            await self._touching.say(self._tree)


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


def spec_of_story(job: PhaseJob) -> str:
    """The design of a story that says itself what is to be built."""
    story = job.story
    items = "\n".join(f"- {criterion}" for criterion in story.acceptance_criteria)
    parts = [f"# {story.title}", story.body.strip(), f"## Acceptance criteria\n\n{items}"]
    return "\n\n".join(part for part in parts if part) + "\n"
