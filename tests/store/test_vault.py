"""A state folder's key, lost, wrong, shown to others; and what is recorded with what it tells of."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.errors import OrchardError, Unavailable
from core.security.audit import AuditKind
from core.security.custody import change_store_key
from core.security.keys import Key
from core.security.vault import Vault
from core.store import audit
from core.store.transaction import Transaction

CLOCK = SystemClock()


def vault(root: Path, **environ: str) -> Vault:
    return Vault(load(root, environ={}), environ=environ)


def everything(root: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(root.rglob("*")) if each.is_file()}


async def used(one: Vault, *, fails: bool = False) -> tuple[int, int]:
    """A budget is raised. How many events and rows of the audit log there are then."""

    def work(tx: Transaction) -> None:
        tx.emit(EventKind.BUDGET_RAISED, data={"by": "cli"})
        if fails:
            raise ValueError("later in the same work")

    async with one.open_store(clock=CLOCK, bus=Bus()) as store:
        await one.check_key(store)
        with suppress(ValueError):
            await store.write(work)
        assert (await store.read(one.auditor.verify)).sound
        return await store.read(
            lambda conn: (
                conn.execute("SELECT count(*) FROM events").fetchone()[0],
                len(audit.entries(conn, kind=AuditKind.SETTINGS_CHANGED)),
            )
        )


def told(work: object) -> OrchardError:
    with pytest.raises(OrchardError) as caught:
        asyncio.run(work)  # type: ignore[arg-type]
    assert caught.value.message.endswith(".")
    assert ". " not in caught.value.message  # one sentence
    assert caught.value.hint
    return caught.value


def test_what_is_decided_and_what_tells_of_it_stand_together_or_not_at_all(tmp_path: Path) -> None:
    assert asyncio.run(used(vault(tmp_path))) == (1, 1)
    assert asyncio.run(used(vault(tmp_path), fails=True)) == (1, 1)
    assert asyncio.run(used(vault(tmp_path))) == (2, 2)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_key_that_is_lost_wrong_or_shown_to_others_changes_nothing(tmp_path: Path, encrypted: bool) -> None:
    if encrypted:
        pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
        (tmp_path / "orch-config.yaml").write_text("global: {security: {encryption_at_rest: true}}\n")
    asyncio.run(used(vault(tmp_path)))
    file = vault(tmp_path).source.file
    own = file.read_text()

    file.chmod(0o644)
    assert "chmod 600" in told(used(vault(tmp_path))).hint
    file.chmod(0o600)

    before = everything(tmp_path)
    told(used(vault(tmp_path, ORCHARD_KEY=Key.new().hex())))
    told(used(vault(tmp_path, ORCHARD_KEY="no key")))
    after = everything(tmp_path)
    assert {name: after[name] for name in before if "-shm" not in name and "-wal" not in name} == {
        name: content for name, content in before.items() if "-shm" not in name and "-wal" not in name
    }

    file.unlink()
    assert "gone" in told(used(vault(tmp_path))).message
    assert not file.exists()
    file.write_text(own.strip() + "\r\n")
    file.chmod(0o600)
    assert asyncio.run(used(vault(tmp_path))) == (2, 2)


def test_a_change_of_the_key_is_refused_when_an_older_store_was_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORCHARD_KEY", raising=False)
    asyncio.run(used(vault(tmp_path)))
    path, file = vault(tmp_path).store_path, vault(tmp_path).source.file
    older = path.read_bytes()
    asyncio.run(used(vault(tmp_path)))
    newer, key = path.read_bytes(), file.read_bytes()
    path.write_bytes(older)
    with pytest.raises(Unavailable, match="not sound"):
        change_store_key(load(tmp_path, environ={}))
    assert file.read_bytes() == key
    path.write_bytes(newer)
    change_store_key(load(tmp_path, environ={}))
    assert file.read_bytes() != key
    changed = vault(tmp_path)
    kept = changed.head_file.read()
    assert kept is not None
    assert changed.auditor.signed(kept)
    assert asyncio.run(used(changed)) == (3, 3)
