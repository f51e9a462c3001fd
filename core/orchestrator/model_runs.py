"""Points an agent's job at the model gateway, and takes that back when the job has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.domain.budget import AccountLimit
from core.gateway.service import Gateway
from core.worker.contract import PhaseJob, PhaseReport

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
        raise NotImplementedError

    async def end(self, job: PhaseJob, report: PhaseReport | None) -> None:
        """Returns when all that its calls took is recorded. Never raises; twice is no harm."""
        raise NotImplementedError
