"""The gateway's real process before the scripted model, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from config.settings import ModelGatewaySettings
from core.clock import SystemClock
from core.domain.budget import Account, AccountLimit
from core.gateway.contract import Times
from core.gateway.service import Gateway, ProviderHold, RunStart
from core.store.ledger import Call
from tests.model_server.client import Client
from tests.model_server.server import ModelServer

KEY = "sk-real-0123456789"
_VARIABLES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")


@dataclass(kw_only=True)
class Front:
    """A gateway, what it stands before, and what it told."""

    gateway: Gateway
    model: ModelServer
    http: aiohttp.ClientSession
    state: Path
    calls: dict[str, Call] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)  # calls that came again
    reached: list[tuple[str, Account]] = field(default_factory=list)
    holds: list[ProviderHold] = field(default_factory=list)
    number: int = 0

    async def run(
        self, provider: str, accounts: tuple[AccountLimit, ...] = (), story: str = "shop-1"
    ) -> tuple[str, str]:
        """A new run's id and token."""
        self.number += 1
        start = RunStart(
            run_id=f"run_{self.number}",
            project="shop",
            story_id=story,
            phase="code_green",
            agent="echo",
            provider=provider,
            accounts=accounts,
        )
        return start.run_id, await self.gateway.open_run(start)

    def client(self, provider: str) -> Client:
        return Client(self.gateway.base_url(provider), self.http)

    async def facts(self, provider: str, token: str) -> Any:
        url = f"{self.gateway.base_url(provider)}/_orchard/run"
        async with self.http.get(url, headers={"authorization": f"Bearer {token}"}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


@asynccontextmanager
async def in_front(
    folder: Path, model: ModelServer, *, times: Times | None = None, base_url: str | None = None
) -> AsyncIterator[Front]:
    async with AsyncExitStack() as stack:
        seen: list[Front] = []
        early: list[Call] = []

        async def take(calls: tuple[Call, ...]) -> None:
            for call in calls:
                if not seen:
                    early.append(call)
                    continue
                if call.call_id in seen[0].calls:
                    seen[0].twice.append(call.call_id)
                seen[0].calls[call.call_id] = call

        address = base_url or model.url
        providers = {
            name: {"base_url": address, "key_variables": [variable]}
            for name, variable in zip(("anthropic", "openai", "gemini"), _VARIABLES, strict=True)
        }
        gateway = await stack.enter_async_context(
            Gateway.open(
                folder,
                ModelGatewaySettings.model_validate({"providers": providers}, strict=False),
                dict.fromkeys(_VARIABLES, KEY),
                SystemClock(),
                on_calls=take,
                times=times,
            )
        )
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        front = Front(gateway=gateway, model=model, http=http, state=folder)
        seen.append(front)
        await take(tuple(early))

        async def reached(run_id: str, account: Account) -> None:
            front.reached.append((run_id, account))

        async def held(hold: ProviderHold) -> None:
            front.holds.append(hold)

        gateway.on_reached(reached)
        gateway.on_held(held)
        yield front


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def _model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def _front(tmp_path_factory: pytest.TempPathFactory, _model: ModelServer) -> AsyncIterator[Front]:
    """A process takes a second to start: tests that leave it as it was share one."""
    async with in_front(tmp_path_factory.mktemp("state"), _model) as found:
        yield found


@pytest.fixture
def model(_model: ModelServer) -> ModelServer:
    _model.forget()
    return _model


@pytest_asyncio.fixture(loop_scope="module")
async def front(_front: Front, model: ModelServer) -> AsyncIterator[Front]:
    for told in (_front.calls, _front.twice, _front.reached, _front.holds):
        told.clear()
    yield _front
    for number in range(1, _front.number + 1):
        await _front.gateway.close_run(f"run_{number}")


@pytest.fixture
def open_front(model: ModelServer) -> Callable[..., Any]:
    """A gateway before the scripted model, with what is asked for."""
    return lambda folder, **asked: in_front(folder, model, **asked)
