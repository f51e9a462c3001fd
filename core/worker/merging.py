"""A merge job with everything around it: the commit gate's tests, and being stopped in the middle."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress

from core.domain.evidence import Verdict
from core.domain.lifecycles import Phase
from core.errors import OrchardError
from core.rpc import PeerGone
from core.worker.contract import MergeEnd, MergeJob, MergeReport, Progress
from core.worker.merge import prepare_merge
from core.worker.workshop import Services, Workshop

logger = logging.getLogger(__name__)


async def merge_story(job: MergeJob, services: Services, cancel: asyncio.Event) -> MergeReport:
    """The candidate and the gate's word on it.

    Setting `cancel` ends it with PeerGone, as the worker's death would: nothing was merged, nothing is
    wrong with the story, and whoever asked asks again.
    """
    async with services.children_of(job.story.id) as child:
        shop = await Workshop.open(job.project, services, on_setup=child("setup"), on_test=child("test"))

        async def judge(candidate: str, main: str, red: str) -> Verdict:
            await services.tell.progress(
                Progress(
                    story_id=job.story.id,
                    phase=Phase.COMMIT,
                    generation=job.generation,
                    step="gate",
                    text=f"Orchard checks it on top of {job.project.main_branch}",
                )
            )
            environment = await shop.environment(candidate)
            runner = await shop.runner(red, environment, None)
            return await shop.judge(
                shop.suite(runner, environment),
                job.story,
                Phase.COMMIT,
                base_commit=main,
                tree=await shop.repository.tree_of(candidate),
                red_commit=red,
                red_evidence=job.red_evidence,
            )

        work = asyncio.ensure_future(
            prepare_merge(shop.repository, job, judge=judge, keep=shop.worktrees.keep)
        )
        wish = asyncio.ensure_future(cancel.wait())
        try:
            await asyncio.wait({work, wish}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise PeerGone(f"The merge of {job.story.id} was stopped.")
            return work.result()
        except PeerGone:
            raise
        except OrchardError as error:
            return _blocked(job, f"{error.message} {error.why}".strip(), error.hint)
        except Exception as error:  # edge: the same as of a phase
            incident = secrets.token_hex(4)
            logger.exception("merge of %s, incident %s", job.story.id, incident)
            said = f"Orchard itself failed: {type(error).__name__}: {error} (incident {incident})."
            return _blocked(job, said, f"The worker's log holds more under {incident}.")
        finally:
            wish.cancel()
            if not work.done():
                work.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await work


def _blocked(job: MergeJob, error: str, hint: str) -> MergeReport:
    return MergeReport(
        story_id=job.story.id, generation=job.generation, end=MergeEnd.BLOCKED, error=error, hint=hint
    )
