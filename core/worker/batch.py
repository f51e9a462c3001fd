"""A batch of stories made ready for the main branch: a chain of candidates, judged by its top, bisected when
the gate says no. Moves nothing.

What is proven stands on what was proven before it, as if that were merged already; a story that is refused on
such ground is told so by `main_commit`: the refusal counts once that commit is on the main branch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from core.domain.bisection import Bisection
from core.domain.evidence import Verdict
from core.errors import OrchardError
from core.rpc import PeerGone
from core.worker.contract import BatchJob, BatchReport, MergeEnd, MergeJob, MergeReport
from core.worker.git import Repository
from core.worker.gitobjects import MergeResult
from core.worker.merge import Candidate, Keep, both_sides, stand_on


class Dropped(Exception):
    """Not an error: a person took stories out of the batch while it was judged."""


# (a chain, the commit that it stands on) -> the commit gate's verdict on each of its stories by the tests of
# its top; it may stop at the first that is refused. Raises Dropped.
Judge = Callable[[Sequence[Candidate], str], Awaitable[Sequence[Verdict]]]


async def prepare_batch(
    repository: Repository,
    job: BatchJob,
    *,
    judge: Judge,
    keep: Keep,
    dropped: Callable[[], frozenset[str]] = frozenset,
) -> BatchReport:
    """A report for each story that was not dropped. Raises GitFailed, and PeerGone when none is left."""
    main = await repository.main_commit(job.project.main_branch)
    return await _Batch(repository, job, main, judge=judge, keep=keep, dropped=dropped).prepare()


class _Batch:
    def __init__(
        self,
        repository: Repository,
        job: BatchJob,
        main: str,
        *,
        judge: Judge,
        keep: Keep,
        dropped: Callable[[], frozenset[str]],
    ) -> None:
        self._repository = repository
        self._main = main
        self._judge = judge
        self._keep = keep
        self._dropped = dropped
        self._jobs = {merge.story.id: merge for merge in job.merges}
        self._known = Bisection.begin(tuple(self._jobs))
        self._made: dict[tuple[str, str], Candidate | MergeResult] = {}  # by story and what it stands on
        self._verdicts: dict[str, Verdict] = {}
        self._reports: dict[str, MergeReport] = {}  # of those that are not to be merged now

    async def prepare(self) -> BatchReport:
        while self._leave_out_dropped().question:
            alone = self._known.decisive
            try:
                chain = await self._chain()
                if chain is None:
                    continue  # one did not fit
                verdicts = await self._judge(chain, chain[0].onto)
            except PeerGone:
                raise
            except Dropped:
                continue
            except OrchardError as error:
                if alone:
                    self._report(
                        self._known.question[0],
                        MergeEnd.BLOCKED,
                        error=f"{error.message} {error.why}".strip(),
                        hint=error.hint,
                    )
                self._known = self._known.answered(False)
                continue
            passed = all(verdict.passed for verdict in verdicts)
            if passed:
                ids = (candidate.job.story.id for candidate in chain)
                self._verdicts.update(zip(ids, verdicts, strict=True))
            elif alone:
                await self._refuse(chain[0], verdicts[0])
            self._known = self._known.answered(passed)
        await self._report_ready()
        return BatchReport(reports=tuple(self._reports[story] for story in self._jobs))

    def _leave_out_dropped(self) -> Bisection:
        for story in self._dropped() & self._jobs.keys():
            del self._jobs[story]
            self._reports.pop(story, None)
            self._known = self._known.without(story)
        if not self._jobs:
            raise PeerGone("The merge was stopped.")
        return self._known

    # --- candidates

    async def _chain(self) -> tuple[Candidate, ...] | None:
        """The candidates of the question, each on the one before; None when one does not fit."""
        onto = await self._ground()
        chain: list[Candidate] = []
        for story in self._known.question:
            found = await self._stand_on(story, onto)
            if isinstance(found, MergeResult):
                await self._does_not_fit(story, onto, found)
                return None
            chain.append(found)
            onto = found.commit
        return tuple(chain)

    async def _ground(self) -> str:
        """What the question's stories stand on: the top of the proven ones."""
        onto = self._main
        for story in self._known.proven:
            found = await self._stand_on(story, onto)
            assert isinstance(found, Candidate)  # it was when it was proven
            onto = found.commit
        return onto

    async def _stand_on(self, story: str, onto: str) -> Candidate | MergeResult:
        if (found := self._made.get((story, onto))) is None:
            found = self._made[story, onto] = await stand_on(self._repository, self._jobs[story], onto)
        return found

    async def _does_not_fit(self, story: str, onto: str, conflict: MergeResult) -> None:
        on_main = conflict if onto == self._main else await self._stand_on(story, self._main)
        if isinstance(on_main, MergeResult):
            self._report(
                story,
                MergeEnd.CONFLICT,
                main_commit=self._main,
                conflicts=on_main.conflicts,
                conflict_detail=await both_sides(self._repository, on_main),
            )
        else:
            self._report(story, MergeEnd.LEFT_OUT)
        self._known = self._known.without(story)

    # --- reports

    async def _refuse(self, candidate: Candidate, verdict: Verdict) -> None:
        head = await candidate.rebased_head(self._repository)
        if candidate.moved:
            await self._keep(candidate.job.story.id, candidate.red, head)
        self._report(
            candidate.job.story.id,
            MergeEnd.REFUSED,
            main_commit=candidate.onto,
            rebased_red=candidate.red,
            rebased_head=head,
            verdict=verdict,
        )

    async def _report_ready(self) -> None:
        onto = self._main
        for story in self._known.proven:
            candidate = await self._stand_on(story, onto)
            assert isinstance(candidate, Candidate)
            await self._keep(story, candidate.commit)
            self._report(
                story,
                MergeEnd.READY,
                candidate=candidate.commit,
                tree=candidate.tree,
                adds_nothing=candidate.tree == await self._repository.tree_of(onto),
                main_commit=onto,
                verdict=self._verdicts[story],
            )
            onto = candidate.commit

    def _report(self, story: str, end: MergeEnd, **facts: object) -> None:
        job: MergeJob = self._jobs[story]
        self._reports[story] = MergeReport(
            story_id=story,
            generation=job.generation,
            end=end,
            **facts,  # type: ignore[arg-type]
        )
