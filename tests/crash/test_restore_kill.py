"""SIGKILL in the middle of a restore, and of a backup: the store is the old one or the new one, whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.security.audit import AuditKind
from core.security.keys import Key
from core.store import audit
from core.store.auditor import Auditor
from core.store.backup import back_up, prune_backups, restore
from core.store.cipher import Cipher, is_plain
from core.store.database import Store
from core.store.replacing import connected, prove

pytestmark = pytest.mark.timeout(600)  # a fork and a look at the whole store for each step

KEY = Key(bytes(range(32)))
CLOCK = SystemClock()
ROWS = 60
# What changes files, and what opens connections: each is a moment to be killed at.
_MOMENTS = {"open", "os.rename", "os.link", "os.remove", "sqlite3.connect", "shutil.copyfile"}


class Tomorrow(SystemClock):
    def now(self) -> datetime:
        return super().now() + timedelta(days=1, seconds=5)


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    if request.param:
        pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    return bool(request.param)


def write(path: Path, encrypted: bool) -> None:
    async def fill() -> None:
        cipher = Cipher(KEY) if encrypted else None
        async with Store.open(path, clock=CLOCK, bus=Bus(), cipher=cipher) as store:

            def work(tx):  # type: ignore[no-untyped-def]
                for number in range(ROWS):
                    Auditor(KEY).record(
                        tx, AuditKind.BACKUP_MADE, actor="a", data={"n": number, "x": "y" * 500}
                    )

            await store.write(work)

    asyncio.run(fill())


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Runs it in a fork that is killed at its `step`th moment. False: it ended before."""
    if pid := os.fork():
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _MOMENTS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def kept_of(folder: Path) -> set[Path]:
    """The stores that restores took the place of."""
    beside = ("-wal", "-shm", "-journal")
    return {kept for kept in folder.glob("*.before-*") if not kept.name.endswith(beside)}


def test_killed_before_any_step_of_a_restore(in_memory: Path, encrypted: bool) -> None:
    path, folder = in_memory / "orchard.db", in_memory / "backups"
    write(path, encrypted)
    backup = back_up(path, folder, KEY, clock=CLOCK).path
    write(path, encrypted)
    step, told = 0, [0]
    killed = True
    proven_before: set[Path] = set()
    while killed:
        step += 1
        killed = killed_at(
            step,
            lambda: restore(backup, path, KEY, clock=CLOCK, actor="x", encrypted=encrypted, dry_run=False),
        )
        assert is_plain(path) is not encrypted
        proven = prove(path, KEY)
        with closing(connected(path, Cipher(KEY) if encrypted else None)) as conn:
            told.append(len(audit.entries(conn, kind=AuditKind.STORE_RESTORED)))
        assert proven.audit_rows == (ROWS + 1 if told[-1] else 2 * ROWS)
        for kept in kept_of(in_memory) - proven_before:
            assert prove(kept, KEY).audit_rows in (ROWS + 1, 2 * ROWS)
            proven_before.add(kept)
    for kept in proven_before:  # nothing that came after changed them
        assert prove(kept, KEY).audit_rows in (ROWS + 1, 2 * ROWS)
    assert step > 10
    assert (told[1], told[-1]) == (0, 1)
    assert not list(in_memory.glob("*.restore*"))  # the last one took away what those before it left


def test_killed_before_any_step_of_a_backup(in_memory: Path, encrypted: bool) -> None:
    path, folder = in_memory / "orchard.db", in_memory / "backups"
    write(path, encrypted)
    step, killed = 0, True
    while killed:
        step += 1
        killed = killed_at(step, lambda: back_up(path, folder, KEY, clock=CLOCK))
        for made in folder.glob("orchard-*.db"):  # what has the name of one is one
            assert prove(made, KEY).audit_rows == ROWS
        assert prove(path, KEY).audit_rows == ROWS
    assert step > 4
    made = sorted(folder.glob("orchard-*.db"))
    assert made
    assert any(each.suffix == ".part" for each in folder.iterdir())
    prune_backups(folder, keep_days=30, clock=Tomorrow())
    assert sorted(folder.iterdir()) == made
