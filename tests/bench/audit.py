"""Rows of the audit log a second, each its own transaction, all at once, against bare rows; and checks."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.bus import Bus
from core.clock import SystemClock
from core.errors import Unavailable
from core.security.audit import AuditKind
from core.security.keys import Key
from core.store.auditor import Auditor
from core.store.cipher import Cipher
from core.store.database import Store, Transaction
from tests.bench.figure import Figure

_BAR = 5000
_PRODUCERS = 100


def measure(*, rows: int) -> list[Figure]:
    key = Key.new()
    figures = [*asyncio.run(_measure(rows, key, None))]
    try:
        cipher = Cipher(key)
    except Unavailable as error:
        return [*figures, Figure(what="the same, encrypted", value="not measured", note=error.message)]
    return [*figures, *asyncio.run(_measure(rows, key, cipher))]


async def _measure(rows: int, key: Key, cipher: Cipher | None) -> list[Figure]:
    auditor = Auditor(key)

    def append(tx: Transaction) -> int:
        data = {"process": "tests of shop-1", "versions": {"TOKEN": 1}}
        return auditor.record(tx, AuditKind.SECRET_USED, actor="cli:ann", project="shop", data=data)

    def bare(tx: Transaction) -> None:
        tx.conn.execute("INSERT INTO bare (text) VALUES (?)", ("tests of shop-1" * 10,))

    how = "" if cipher is None else ", encrypted"
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        path = Path(name) / "orchard.db"
        async with Store.open(path, clock=SystemClock(), bus=Bus(), cipher=cipher) as store:
            await store.write(_table)
            baseline = await _rate(store, bare, rows)
            rate = await _rate(store, append, rows)
            began = time.monotonic()
            verdict = await store.read(auditor.verify)
            checked = rows / (time.monotonic() - began)
            assert verdict.sound
            assert verdict.rows == rows
    return [
        Figure(
            what=f"rows of the audit log{how}",
            value=f"{rate:,.0f}/s",
            baseline=f"{baseline:,.0f}/s",
            ratio=rate / baseline,
            bar=f">= {_BAR:,}/s",
            holds=rate >= _BAR,
            note=f"{_PRODUCERS} at once, each row its own transaction; baseline: a bare row",
        ),
        Figure(what=f"rows of the audit log checked{how}", value=f"{checked:,.0f}/s"),
    ]


def _table(tx: Transaction) -> None:
    tx.conn.execute("CREATE TABLE bare (id INTEGER PRIMARY KEY, text)")


async def _rate(store: Store, work: Callable[[Transaction], object], count: int) -> float:
    async def produce() -> None:
        for _ in range(count // _PRODUCERS):
            await store.write(work)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(_PRODUCERS):
            group.create_task(produce())
    return count / (time.monotonic() - began)
