"""What Orchard keeps by itself: backups of its store, and a record of its settings' files."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from config.loader import load
from core.bus import Bus
from core.domain.event import EventKind
from core.orchestrator.backup_keeping import BackupKeeping
from core.orchestrator.settings_record import fingerprints, note_files
from core.security.vault import Vault
from core.store import audit, events
from core.store.database import Store
from core.store.replacing import prove


@dataclass
class Moved:
    """A clock that stands still until it is moved."""

    at: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, 0, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class House:
    root: Path
    store: Store
    vault: Vault
    clock: Moved
    keeping: BackupKeeping

    async def later(self, **time: float) -> list[str]:
        """The backups that there are after a tick, so much later."""
        self.clock.at += timedelta(**time)
        await self.keeping.tick()
        folder = self.vault.backups
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    async def rows(self, kind: str) -> list[Any]:
        found = await self.store.read(lambda conn: audit.entries(conn, limit=1000))
        return [row for row in found if row.kind == kind]

    async def told(self) -> list[Any]:
        found = await self.store.read(lambda conn: events.since(conn, 0, limit=100))
        return [event for event in found if event.kind is EventKind.BACKUP_FAILED]


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    if request.param:
        pytest.importorskip("sqlcipher3")
    said = "backup_interval_hours: 6, backups_kept: 2, encryption_at_rest: " + str(request.param).lower()
    (tmp_path / "orch-config.yaml").write_text(f"global: {{security: {{{said}}}}}\n")
    configuration = load(tmp_path, environ={})
    configuration.state_path.mkdir()
    clock, vault = Moved(), Vault(configuration, {})
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(vault.open_store(clock=clock, bus=Bus()))
        keeping = BackupKeeping(store, clock, vault, lambda: configuration.settings.global_.security)
        yield House(root=tmp_path, store=store, vault=vault, clock=clock, keeping=keeping)


async def test_a_backup_is_made_in_time_proven_and_not_kept_for_ever(house: House) -> None:
    (first,) = await house.later()
    assert await house.later(hours=5) == [first]
    proven = prove(house.vault.backups / first, house.vault.key)
    assert proven.encrypted == house.vault.encrypted
    again = BackupKeeping(house.store, house.clock, house.vault, house.keeping._settings)  # a restart
    await again.tick()
    assert await house.later() == [first]
    second = (await house.later(hours=1))[-1]
    third = (await house.later(hours=6))[-1]
    assert await house.later() == [second, third]
    made = await house.rows("backup_made")
    assert [row.actor for row in made] == ["orchard"] * 3
    assert made[-1].data == {"backup": third, "removed": [first]}
    assert await house.told() == []


async def test_one_that_fails_is_told_and_tried_again(house: House) -> None:
    house.vault.backups.write_text("in the way")
    for _ in range(2):
        await house.keeping.tick()
    (event,) = await house.told()
    assert "backups" in event.data["message"]
    house.vault.backups.unlink()
    assert await house.later(minutes=59) == []
    assert len(await house.later(minutes=1)) == 1
    assert len(await house.told()) == 1


async def test_files_of_settings_that_changed_unseen_are_a_row(house: House) -> None:
    async def look() -> tuple[str, ...]:
        found = fingerprints(load(house.root, environ={}), house.vault.key)
        return await house.store.write(lambda tx: note_files(tx, house.vault.auditor, found, actor="unknown"))

    config, secret = house.root / "orch-config.yaml", house.root / ".env"
    assert await look() == (str(config),)
    assert await look() == ()
    secret.write_text("OPENAI_API_KEY=sk-hidden\n")
    assert await look() == (str(secret),)
    config.write_text("global: {max_total_agents: 3}\n")
    assert await look() == (str(config),)
    secret.unlink()
    assert await look() == (str(secret),)
    rows = await house.rows("settings_changed")
    assert [(row.actor, row.data["first"]) for row in rows] == [("unknown", True), *[("unknown", False)] * 3]
    assert rows[1].data["files"][str(secret)].startswith("keyed:")
    assert rows[-1].data["files"] == {str(config): rows[-2].data["files"][str(config)]}
