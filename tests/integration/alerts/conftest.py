"""Alerts in a real store, and receivers: real servers on loopback that answer as a test says.

Fixtures: `receiver` (a factory), `world` (store, alerts, deliverer).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.loader import load
from config.settings import GlobalSettings, ProjectSettings, Settings
from core.bus import Bus
from core.domain.alert import Alert, AlertFact, Route, Severity
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.monitoring.delivery.places import Places
from core.monitoring.delivery.service import Delivery
from core.security.secrets import Secrets
from core.security.vault import Vault
from core.store import alert_tellings, alerts, projects
from core.store.alert_tellings import Telling, Trouble
from core.store.database import Store, Transaction
from tests.integration import alert_making
from tests.waiting import until

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Behaviour = Callable[["Received", Streams], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answering(status: int = 200, body: bytes = b"ok", **headers: str) -> Behaviour:
    async def answer(_: Received, streams: Streams) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        streams[1].write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await streams[1].drain()

    return answer


async def hanging(_: Received, streams: Streams) -> None:
    await streams[0].read()  # until the other side goes away


@dataclass
class Receiver:
    """Each request is kept; the next behaviour of `script` answers it, the last of them for ever."""

    script: list[Behaviour] = field(default_factory=lambda: [answering()])
    received: list[Received] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in head[1:] if line]
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            received = Received(path=head[0].split(" ")[1], headers=headers, body=body)
            behaviour = self.script[0] if len(self.script) == 1 else self.script.pop(0)
            self.received.append(received)
            await behaviour(received, (reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client gave up
        finally:
            writer.close()


OpenReceiver = Callable[..., Awaitable[Receiver]]


@pytest.fixture
async def receiver() -> AsyncIterator[OpenReceiver]:
    async with AsyncExitStack() as stack:

        async def opened(*script: Behaviour, **more: Any) -> Receiver:
            made = Receiver(script=list(script)) if script else Receiver()
            server = await asyncio.start_server(made.serve, "127.0.0.1", 0, **more)
            stack.callback(server.close)
            scheme = "https" if more else "http"
            made.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
            return made

        yield opened


@dataclass
class Moved:
    """A clock that stands until a test moves it."""

    at: datetime = field(default_factory=lambda: datetime(2026, 5, 4, 12, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class World:
    store: Store
    bus: Bus
    clock: Moved
    secrets: Secrets
    vault: Vault
    settings: Settings = field(default_factory=Settings)
    delivery: Delivery | None = None

    def tell(self, **named: Any) -> None:
        """The settings as they are now: `webhook`, `secret`, `slack`, `slack_channel`."""
        shop = ProjectSettings(name="shop", path=Path("/srv/shop"), slack_channel=named.get("slack_channel"))
        self.settings = Settings(
            global_=GlobalSettings(monitoring_webhook_url=named.get("webhook")),
            projects={"shop": shop},
            monitoring_webhook_secret=named.get("secret"),
            slack_webhook_url=named.get("slack"),
        )

    async def fire(self, *rule: str, routes: tuple[Route, ...] = (Route.WEBHOOK,), **more: Any) -> Alert:
        return await alert_making.fire(self.store, *rule, routes=routes, **more)

    async def move(self, alert: Alert, fact: AlertFact, **more: Any) -> Alert:
        return await alert_making.move(self.store, alert, fact, **more)

    async def aggravate(self, alert: Alert) -> Alert:
        return await self.store.write(
            lambda tx: alerts.aggravate(tx, alerts.get(tx.conn, alert.id), Severity.CRITICAL, alert.routes)
        )

    async def telling(self, alert: Alert, route: Route = Route.WEBHOOK) -> Telling:
        found = await self.store.read(lambda conn: alert_tellings.find(conn, alert.id, route))
        assert found is not None
        return found

    async def troubles(self) -> tuple[Trouble, ...]:
        return await self.store.read(alert_tellings.troubles)

    async def owed(self) -> int:
        return await self.store.read(
            lambda conn: conn.execute("SELECT count(*) FROM alert_tellings WHERE owed").fetchone()[0]
        )

    async def all_told(self) -> None:
        async def none() -> bool:
            return await self.owed() == 0

        await until(none, "nothing owed")

    def pass_time(self, seconds: float) -> None:
        self.clock.at += timedelta(seconds=seconds)
        if self.delivery is not None:
            self.delivery._wake.set()

    @asynccontextmanager
    async def delivering(self, seconds: float = 40.0) -> AsyncIterator[Delivery]:
        places = Places(lambda: self.settings, self.secrets)
        self.delivery = Delivery(
            store=self.store, bus=self.bus, clock=self.clock, places=places, seconds=seconds
        )
        task = asyncio.create_task(self.delivery.run())
        try:
            await asyncio.sleep(0)
            yield self.delivery
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.wait({task})
            self.delivery = None


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock, bus = Moved(), Bus()
    async with Store.open(tmp_path / "orchard.db", clock=clock, bus=bus) as store:
        vault = Vault(load(tmp_path, environ={}), environ={})

        def add(tx: Transaction) -> None:
            projects.add(
                tx,
                Project(
                    name="shop",
                    path=Path("/srv/shop"),
                    main_branch="main",
                    status=ProjectStatus.INITIALIZING,
                    workflow=WorkflowState.IDLE,
                    registered_at=tx.now,
                ),
            )

        await store.write(add)
        yield World(store, bus, clock, Secrets(store, vault.key, vault.auditor), vault)
