"""A store, the way to the GitHub-like server, and what is brought up there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.github.api import connection, pacing
from core.github.api.gateway import GithubGateway
from core.security.keys import Key
from core.security.secrets import Secrets
from core.store.auditor import Auditor
from core.store.database import Store
from tests.github_server.server import GithubServer
from tests.integration.github_shop import Shop, set_up


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two changes, or two tries: as GitHub likes it, and tested elsewhere."""
    monkeypatch.setattr(pacing, "_SECONDS_EACH", 0.001)
    monkeypatch.setattr(connection, "_pause", lambda tries: 0.0)


@pytest_asyncio.fixture
async def shop(tmp_path: Path, github_server: GithubServer) -> AsyncIterator[Shop]:
    (tmp_path / "orch-config.yaml").write_text(
        f"global:\n  github:\n    api_url: {github_server.api_url}\n    request_seconds: 10\n"
        "projects:\n  shop:\n    path: /srv/shop\n"
    )
    settings = load(tmp_path, environ={"GITHUB_TOKEN": "good-token"}).settings
    clock = SystemClock()
    async with Store.open(tmp_path / "orchard.db", clock=clock, bus=Bus()) as store:
        here = github_server.repo("acme/shop")
        here.grant("mia", "write")
        await store.write(lambda tx: set_up(tx, here))
        key = Key.new()
        secrets = Secrets(store, key, Auditor(key))
        gateway = GithubGateway(store, lambda: settings, secrets, root=tmp_path, clock=clock)
        yield Shop(store=store, gateway=gateway, server=github_server, here=here)
        await gateway.close()
