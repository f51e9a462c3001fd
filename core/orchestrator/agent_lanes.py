"""How an agent that is checked reaches its model: directly, or by a model gateway made for the check."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from config.loader import Configuration
from config.settings import ModelProvider
from core.agents.check_turns import Direct, Lane
from core.agents.conformance import Metered
from core.agents.presets import pointed
from core.agents.rows import AgentRow
from core.agents.setup import AgentSetup
from core.clock import SystemClock
from core.gateway.addresses import BUILT_IN
from core.gateway.contract import RunStart
from core.gateway.service import Gateway
from core.store.ledger import Call

_STAND_IN_KEY = "orchard-check"  # for an upstream on this machine that wants no real one


@asynccontextmanager
async def lane_of(
    configuration: Configuration,
    environ: Mapping[str, str],
    row: AgentRow,
    *,
    ready: bool,
    direct: bool,
    upstream: str | None,
) -> AsyncIterator[Lane]:
    """`ready`: it is told another address than its provider's."""
    if not ready or row.gateway is None:
        yield Direct()
    elif direct:
        yield _Straight(base_url=str(upstream))
    else:
        async with _through_gateway(configuration, environ, row.gateway.provider, upstream) as lane:
            yield lane


@dataclass(frozen=True, slots=True, kw_only=True)
class _Straight:
    """To a model server that was named, past any gateway."""

    base_url: str

    @property
    def by(self) -> str:
        return f"directly, at {self.base_url}"

    async def begin(self, setup: AgentSetup, turn: str) -> AgentSetup:
        return pointed(setup, self.base_url, _STAND_IN_KEY)

    async def end(self, turn: str) -> Metered | None:
        return None


@asynccontextmanager
async def _through_gateway(
    configuration: Configuration, environ: Mapping[str, str], provider: str, upstream: str | None
) -> AsyncIterator[Lane]:
    """A gateway of its own, so that a check counts for no project and meets no budget."""
    settings = configuration.settings.global_.model_gateway
    settings = settings.model_copy(update={"port": 0, "enabled": True})
    if upstream is not None:
        known = settings.providers.get(provider) or BUILT_IN.get(provider)
        variables = known.key_variables if known is not None else ("ORCHARD_CHECK_KEY",)
        if not any(environ.get(each) for each in variables):
            environ = {**environ, variables[0]: _STAND_IN_KEY}
        there = ModelProvider(base_url=upstream, key_variables=variables)
        settings = settings.model_copy(update={"providers": {**settings.providers, provider: there}})
    lane = _ByGateway(provider)
    with TemporaryDirectory(prefix="orchard-check-") as folder:
        async with Gateway.open(
            Path(folder), settings, environ, SystemClock(), on_calls=lane.take
        ) as gateway:
            lane.gateway = gateway
            yield lane


class _ByGateway:
    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: dict[str, Call] = {}  # by id: each may be told twice
        self.gateway: Gateway | None = None

    @property
    def by(self) -> str:
        return f"the model gateway, provider {self._provider}"

    async def take(self, calls: tuple[Call, ...]) -> None:
        self._calls.update({call.call_id: call for call in calls})

    async def begin(self, setup: AgentSetup, turn: str) -> AgentSetup:
        assert self.gateway is not None
        run = RunStart(
            run_id=f"check-{turn}",
            project="check",
            story_id=None,
            phase="check",
            agent=setup.name,
            provider=self._provider,
        )
        token = await self.gateway.open_run(run)
        return pointed(setup, self.gateway.base_url(self._provider), token)

    async def end(self, turn: str) -> Metered | None:
        assert self.gateway is not None
        await self.gateway.close_run(f"check-{turn}")
        calls = [call for call in self._calls.values() if call.run_id == f"check-{turn}"]
        return Metered(
            calls=len(calls),
            input_tokens=sum(
                each.input_tokens + each.cache_read_tokens + each.cache_write_tokens for each in calls
            ),
            output_tokens=sum(each.output_tokens for each in calls),
        )
