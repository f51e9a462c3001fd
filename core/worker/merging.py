"""A batch with everything around it: the commit gate's tests, and stories taken out in the middle."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence

from core.domain.evidence import SuiteRun, Verdict
from core.domain.lifecycles import Phase
from core.errors import OrchardError
from core.rpc import PeerGone
from core.worker.batch import Dropped, prepare_batch
from core.worker.contract import BatchJob, BatchReport, MergeEnd, MergeReport, Progress
from core.worker.merge import Candidate
from core.worker.steps import Stopped, unless_stopped
from core.worker.suite import Suite
from core.worker.workshop import Services, Workshop

logger = logging.getLogger(__name__)


async def merge_batch(job: BatchJob, services: Services, wishes: Mapping[str, asyncio.Event]) -> BatchReport:
    """The stories' candidates and the gate's word on them.

    Setting a story's wish takes it out; the chain is made again without it. With the last one it ends with
    PeerGone, as the worker's death would: nothing was merged, nothing is wrong with the stories, and whoever
    asked asks again.
    """
    first = job.merges[0].story.id
    async with services.children_of(first) as child:
        try:
            shop = await Workshop.open(job.project, services, on_setup=child("setup"), on_test=child("test"))
            gate = _Gate(shop, services, wishes)
            return await prepare_batch(
                shop.repository, job, judge=gate.judge, keep=shop.worktrees.keep, dropped=gate.dropped
            )
        except PeerGone:
            raise
        except OrchardError as error:
            return _blocked(job, f"{error.message} {error.why}".strip(), error.hint)
        except Exception as error:  # edge: the same as of a phase
            incident = secrets.token_hex(4)
            logger.exception("merge of %s, incident %s", ", ".join(wishes), incident)
            said = f"Orchard itself failed: {type(error).__name__}: {error} (incident {incident})."
            return _blocked(job, said, f"The worker's log holds more under {incident}.")


class _Gate:
    """The commit gate on a chain of candidates."""

    def __init__(self, shop: Workshop, services: Services, wishes: Mapping[str, asyncio.Event]) -> None:
        self._shop = shop
        self._services = services
        self._wishes = wishes

    def dropped(self) -> frozenset[str]:
        return frozenset(story for story, wish in self._wishes.items() if wish.is_set())

    async def judge(self, chain: Sequence[Candidate], base: str) -> Sequence[Verdict]:
        """Raises Dropped when a story is taken out meanwhile, also one that waits or is proven already."""
        others = [wish for wish in self._wishes.values() if not wish.is_set()]
        try:
            return await unless_stopped(self._judge(chain, base), *others)
        except Stopped:
            raise Dropped from None

    async def _judge(self, chain: Sequence[Candidate], base: str) -> Sequence[Verdict]:
        shop, top = self._shop, chain[-1]
        await self._tell(chain)
        environment = await shop.environment(top.commit)
        runner = await shop.runner(top.red, environment, None)
        suite = shop.suite(runner, environment)
        if len(chain) > 1:
            trees = {candidate.tree for candidate in chain} - {await shop.repository.tree_of(base)}
            suite = ChainSuite(suite, top=top.tree, trees=frozenset(trees))
        verdicts: list[Verdict] = []
        for candidate in chain:
            if isinstance(suite, ChainSuite):
                suite.begin()
            verdict = await shop.judge(
                suite,
                candidate.job.story,
                Phase.COMMIT,
                base_commit=base,
                tree=candidate.tree,
                red_commit=candidate.red,
                red_evidence=candidate.job.red_evidence,
            )
            verdicts.append(verdict)
            if not verdict.passed:
                break
        return verdicts

    async def _tell(self, chain: Sequence[Candidate]) -> None:
        others = f", with {len(chain) - 1} more" if len(chain) > 1 else ""
        for candidate in chain:
            await self._services.tell.progress(
                Progress(
                    story_id=candidate.job.story.id,
                    phase=Phase.COMMIT,
                    generation=candidate.job.generation,
                    step="gate",
                    text=f"Orchard checks it on top of {self._shop.setup.main_branch}{others}",
                )
            )


class ChainSuite(Suite):
    """The tests of a chain: each of its trees is answered by the run of its top.

    `begin` before each story's judgement: the further runs that tell flaky tests from broken ones are then
    made once for all stories, not once for each.
    """

    def __init__(self, suite: Suite, *, top: str, trees: frozenset[str]) -> None:
        self._suite = suite
        self._top = top
        self._trees = trees
        self._again: dict[tuple[str, tuple[str, ...]], list[SuiteRun]] = {}
        self._asked: dict[tuple[str, tuple[str, ...]], int] = {}
        self.bench = suite.bench

    def begin(self) -> None:
        self._asked.clear()

    def _of(self, tree: str) -> str:
        return self._top if tree in self._trees else tree

    async def run(self, tree: str) -> SuiteRun:
        return await self._suite.run(self._of(tree))

    async def run_twice(self, tree: str, *, second: tuple[str, ...] = ()) -> tuple[SuiteRun, SuiteRun]:
        return await self._suite.run_twice(self._of(tree), second=second)

    async def run_again(self, tree: str, *, select: tuple[str, ...]) -> SuiteRun:
        question = (self._of(tree), select)
        runs = self._again.setdefault(question, [])
        asked = self._asked.get(question, 0)
        if asked == len(runs):
            runs.append(await self._suite.run_again(question[0], select=select))
        self._asked[question] = asked + 1
        return runs[asked]

    def was_cached(self, tree: str) -> bool:
        return self._suite.was_cached(self._of(tree))


def _blocked(job: BatchJob, error: str, hint: str) -> BatchReport:
    return BatchReport(
        reports=tuple(
            MergeReport(
                story_id=merge.story.id,
                generation=merge.generation,
                end=MergeEnd.BLOCKED,
                error=error,
                hint=hint,
            )
            for merge in job.merges
        )
    )
