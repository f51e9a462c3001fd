"""The audit page follows what is recorded, by the kind that was chosen, unless it is held still."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.access import AccessLevel
from core.security.audit import AuditKind


@pytest.fixture(scope="module")
def auditor(house):
    return house.operator(AccessLevel.ADMIN)


@pytest.fixture
def record(house):
    async def write(kind, subject):
        runtime = house.runtime
        recorder = runtime.commands._vault.auditor
        note = runtime.store.write(lambda tx: recorder.record(tx, kind, actor="cli", subject=subject))
        await asyncio.to_thread(house.do, note)

    return write


async def test_it_follows_the_kind_that_was_chosen_and_can_be_held(auditor, opened, record):
    async with opened(auditor, "/audit") as page:
        assert "Follows what is recorded" in page.parts["follow"]
        await record(AuditKind.SECRET_SET, "first-of-all")
        await page.until(lambda: "first-of-all" in page.shown)
        await page.do(do="filter", kind=AuditKind.SECRET_SET.value)
        await page.until(lambda: 'value="secret_set" selected' in page.parts["head"])
        assert "first-of-all" in page.shown
        await page.do(do="hold")
        await page.until(lambda: "Held still" in page.parts["follow"])
        await record(AuditKind.BACKUP_MADE, "another-kind")
        await record(AuditKind.SECRET_SET, "second-of-all")
        await page.until(lambda: "1 new entry waits" in page.parts["follow"])
        assert "second-of-all" not in page.shown
        await page.do(do="follow")
        await page.until(lambda: "second-of-all" in page.shown)
        assert "another-kind" not in page.shown
        assert "Follows what is recorded" in page.parts["follow"]
