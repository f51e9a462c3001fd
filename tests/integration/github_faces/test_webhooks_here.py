"""Webhooks and a whole Orchard: a nudge that is lost in a kill, a secret that is rotated while it runs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.loader import load
from core.github.webhooks.signature import signature
from core.github.webhooks.signers import Signers
from core.runtime import Runtime, open_runtime
from core.security.secrets import Secrets
from core.store import github_heard
from tests.github_server.server import GithubServer

pytestmark = pytest.mark.timeout(120)

# Killed in the nudge: the delivery is in the store, and nobody was told to look.
TAKING = """
import asyncio, json, os, signal, sys
from core.bus import Bus
from core.clock import SystemClock
from core.github.webhooks.deliveries import Deliveries, Delivery
from core.store.database import Store

async def take(path, payload):
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
        deliveries = Deliveries(store, lambda *nudge: os.kill(os.getpid(), signal.SIGKILL))
        await deliveries.take(Delivery(id="killed", event="issues", payload=payload))

from pathlib import Path
asyncio.run(take(Path(sys.argv[1]), json.loads(sys.argv[2])))
"""


@pytest.fixture
def orchard(
    quick_farm: Any, github_server: GithubServer
) -> Callable[[], AbstractAsyncContextManager[Runtime]]:
    """It asks GitHub at its start, and then only when it is nudged."""
    quick_farm.add("calc")
    quick_farm.own_settings["calc"] = {"github": {"repository": "acme/shop"}}
    quick_farm.global_settings = {"github": {"api_url": github_server.api_url, "poll_seconds": 86400}}
    quick_farm.write()

    @asynccontextmanager
    async def running() -> AsyncIterator[Runtime]:
        async with open_runtime(
            lambda: load(quick_farm.root, environ={"GITHUB_TOKEN": "good-token"})
        ) as made:
            yield made

    return running


async def titles_become(runtime: Runtime, wanted: set[str]) -> None:
    found: set[str] = set()
    try:
        async with asyncio.timeout(50):
            while found != wanted:
                found = {view.story.title for view in await runtime.commands.stories("calc")}
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{found}, never {wanted}") from None


async def test_a_nudge_that_a_kill_took_along_is_made_up_for_by_the_next_start(
    orchard: Callable[[], AbstractAsyncContextManager[Runtime]], quick_farm: Any, github_server: GithubServer
) -> None:
    repository = github_server.repo("acme/shop")
    repository.grant("mia", "write")
    repository.add_issue("Divide", "- [ ] divides", labels=["orchard"], author="mia")
    async with orchard() as runtime:
        await titles_become(runtime, {"Divide"})
    repository.add_issue("Multiply", "- [ ] multiplies", labels=["orchard"], author="mia")
    repository.edit_issue(1, title="Divide evenly", by="mia")
    (path,) = quick_farm.root.rglob("orchard.db")
    payload = {"issue": {"number": 2}, "repository": {"id": repository.id, "full_name": "acme/shop"}}
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", TAKING, str(path), json.dumps(payload)], cwd=Path.cwd()
    )
    assert killed.returncode == -signal.SIGKILL
    async with orchard() as runtime:
        assert await runtime.store.read(lambda conn: github_heard.last_delivery(conn, "calc"))
        await titles_become(runtime, {"Divide evenly", "Multiply"})


async def test_a_secret_is_rotated_in_env_without_a_restart(
    orchard: Callable[[], AbstractAsyncContextManager[Runtime]], quick_farm: Any
) -> None:
    old, new, body = "the-secret-of-last-year-32-long", "the-secret-of-this-year-32-long", b"{}"

    async def taken() -> list[bool]:
        return [await signers.signed(signature(each, body), body) is not None for each in (old, new)]

    def say(line: str) -> None:
        (quick_farm.root / ".env").write_text(f"GITHUB_WEBHOOK_SECRET={line}\n")

    say(old)
    async with orchard() as runtime:
        vault = runtime.vault
        secrets = Secrets(runtime.store, vault.key, vault.auditor)
        signers = Signers(lambda: runtime.configuration().settings, secrets, runtime.clock)
        assert await taken() == [True, False]
        say(f'"{new} {old}"')  # GitHub is told the new one after this
        await runtime.commands.reload_settings(actor="cli")
        assert await taken() == [True, True]
        say(new)
        await runtime.commands.reload_settings(actor="cli")
        assert await taken() == [False, True]
