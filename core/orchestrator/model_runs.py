"""Points an agent's job at the model gateway, and takes that back when the job has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from core.agents.presets import pointed
from core.agents.setup import ModelAccess
from core.domain.budget import AccountLimit
from core.gateway.service import Gateway, RunStart
from core.ids import new_id
from core.worker.contract import PhaseJob

AccountsOf = Callable[[str, str | None], Awaitable[tuple[AccountLimit, ...]]]


class ModelRuns:
    """`accounts`: what a project's story (None: none) counts for."""

    def __init__(self, gateway: Gateway, accounts: AccountsOf) -> None:
        self._gateway = gateway
        self._accounts = accounts

    async def begin(self, job: PhaseJob) -> PhaseJob:
        """The job with an agent that asks the gateway, where its row and a key allow that; else unchanged.

        Raises Unavailable while the gateway is down. Each begun job is ended with `end`.
        """
        use = job.agent.gateway
        if job.by_hand or use is None or not self._gateway.ready(use.provider):
            return job
        project, story = job.project.name, None if job.epic else job.story.id
        run_id = new_id("run")
        token = await self._gateway.open_run(
            RunStart(
                run_id=run_id,
                project=project,
                story_id=story,
                phase=job.phase.value,
                agent=job.agent.name,
                provider=use.provider,
                accounts=await self._accounts(project, story),
            )
        )
        address = self._gateway.base_url(use.provider)
        return replace(
            job,
            agent=pointed(job.agent, address, token),
            model=ModelAccess(base_url=address, token=token, run_id=run_id),
        )

    async def end(self, job: PhaseJob) -> None:
        """Its token is good for nothing any more. Returns when all that its calls took is recorded. Never
        raises; twice is no harm."""
        if job.model is not None:
            await self._gateway.close_run(job.model.run_id)
