"""`new_house`: a guild that checks what the bot says to it. `house`: one Orchard for the tests of a file.

Tests that use `house` are in their module's loop, and each has projects of its own. It does not outlive the
module: discord.py can be pointed at one server a process only.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.discord.conftest import DESCRIPTION
from tests.discord.openapi_checker import ExchangeChecker, OpenApiChecker
from tests.integration.discord.house import House, open_house

OpenHouse = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture(scope="session")
def openapi() -> OpenApiChecker:
    """Discord's description, compiled; without its file only the extra rules are checked."""
    description: Any = json.loads(DESCRIPTION.read_text("utf-8")) if DESCRIPTION.exists() else None
    return OpenApiChecker(description)


@pytest.fixture(scope="session")
def new_house(openapi: OpenApiChecker, tmp_path_factory: pytest.TempPathFactory) -> OpenHouse:
    """`async with new_house(settings={...}) as house:` where each exchange is checked when it closes.
    `refusals=True`: Discord refuses things there on purpose."""

    @asynccontextmanager
    async def opened(*, refusals: bool = False, **more: Any) -> AsyncIterator[House]:
        checker = ExchangeChecker(openapi)
        root = tmp_path_factory.mktemp("house")
        async with open_house(root, on_exchange=checker, on_event=checker.see_event, **more) as house:
            yield house
        if not refusals:
            checker.verify()

    return opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(new_house: OpenHouse) -> AsyncIterator[House]:
    """Agents that show nothing for two seconds are told of."""
    settings = {"stall_seconds": 2, "stall_cancel_seconds": 600, "max_total_agents": 40}
    async with new_house(settings=settings) as house, house.running():
        yield house
