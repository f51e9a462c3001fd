"""What a turn's driver asks of the real gateway, over its own few lines of HTTP."""

from __future__ import annotations

import pytest

from core.agents.model_traffic import Traffic, ask
from core.agents.setup import ModelAccess

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_gateway_answers_a_driver_and_no_longer_when_the_run_has_ended(front) -> None:
    run_id, token = await front.run("anthropic")
    access = ModelAccess(base_url=front.gateway.base_url("anthropic"), token=token, run_id=run_id)

    assert await ask(access) == Traffic()
    await front.gateway.close_run(run_id)
    assert await ask(access) is None
