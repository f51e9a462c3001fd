"""A project's own secret, looked up while deliveries come."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from core.clock import SystemClock
from core.github.webhooks.signature import signature
from core.github.webhooks.signers import Signed, Signers

BODY = b"{}"


class SlowSecrets:
    """Has one secret, and says so when it may."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.handed = 0

    async def listed(self, project: str) -> Any:
        self.asked.set()
        await self.may_answer.wait()
        return [SimpleNamespace(name="HOOK", version=1)]

    async def hand_out(self, project: str, names: Any, **_: str) -> Any:
        self.handed += 1
        return SimpleNamespace(environment=lambda *_: {"HOOK": "the-shops-own-secret"})


def settings() -> Any:
    shop = SimpleNamespace(github=SimpleNamespace(webhook_secret="HOOK"))
    return SimpleNamespace(github_webhook_secrets=(), projects={"shop": shop})


async def test_who_comes_while_secrets_are_looked_up_is_not_refused() -> None:
    secrets = SlowSecrets()
    signers = Signers(settings, secrets, SystemClock())  # type: ignore[arg-type]
    said = signature("the-shops-own-secret", BODY)
    first = asyncio.create_task(signers.signed(said, BODY))
    await secrets.asked.wait()
    second = asyncio.create_task(signers.signed(said, BODY))
    forged = asyncio.create_task(signers.signed(signature("another", BODY), BODY))
    await asyncio.sleep(0)
    secrets.may_answer.set()
    found = await asyncio.gather(first, second, forged)
    of_the_shop = Signed(by=frozenset({"shop"}))
    assert list(found) == [of_the_shop, of_the_shop, None]
    assert secrets.handed == 1
