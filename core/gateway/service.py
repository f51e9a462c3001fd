"""The control plane's side of the model gateway: starts its process, opens runs, takes in what it metered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from core.clock import Clock
from core.domain.budget import Account, AccountLimit
from core.gateway.contract import ProviderHold as ProviderHold
from core.gateway.contract import RunStart as RunStart
from core.gateway.contract import Times
from core.store.ledger import Call

TakeCalls = Callable[[tuple[Call, ...]], Awaitable[object]]
TakeReached = Callable[[str, Account], Awaitable[object]]
TakeHold = Callable[[ProviderHold], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    alive: bool
    restarts: int
    in_flight: int = 0
    held: int = 0
    calls: int = 0
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    holds: Mapping[str, ProviderHold] = field(default_factory=dict)  # by provider
    problem: str = ""  # why it is not alive


class Gateway:
    """Use `open`; one event loop only."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        state_path: Path,
        settings: object,
        environ: Mapping[str, str],
        clock: Clock,
        *,
        times: Times = Times(),  # noqa: B008 - frozen
    ) -> AsyncIterator[Gateway]:
        """Binds its addresses, takes in what an earlier life left in the journal, and starts the process."""
        raise NotImplementedError
        yield

    def ready(self, provider: str) -> bool:
        """Whether agents can be pointed at it for that provider: it is enabled, and there is a key."""
        raise NotImplementedError

    def base_url(self, provider: str) -> str:
        """For agents; without a slash at the end."""
        raise NotImplementedError

    async def open_run(self, run: RunStart) -> str:
        """The token for the run. Raises Unavailable while there is no gateway."""
        raise NotImplementedError

    async def close_run(self, run_id: str) -> None:
        """Ends the token; returns when all that the run's calls took is recorded. Never raises."""
        raise NotImplementedError

    async def set_accounts(self, accounts: tuple[AccountLimit, ...]) -> None:
        """Other limits, or more that was spent. Never raises."""
        raise NotImplementedError

    def on_calls(self, take: TakeCalls) -> None:
        """`take` records calls, each of which may come twice; what it raised for comes again."""
        raise NotImplementedError

    def on_reached(self, take: TakeReached) -> None:
        raise NotImplementedError

    def on_held(self, take: TakeHold) -> None:
        raise NotImplementedError

    async def view(self) -> GatewayView:
        raise NotImplementedError
