"""The audit page follows what is recorded, by the kind that was chosen, unless it is held still."""

from __future__ import annotations

import asyncio
import threading

import pytest

from core.domain.access import AccessLevel
from core.orchestrator.commands import Commands
from core.security.audit import AuditKind
from tests.waiting import SECONDS, until


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


async def test_what_is_recorded_while_a_kind_is_read_is_not_left_out(
    house, auditor, opened, record, monkeypatch
):
    real, read, goes_on = Commands.audit_latest, threading.Event(), threading.Event()

    async def slow(self, **asked):
        found = await real(self, **asked)
        if asked.get("kind"):
            read.set()
            await asyncio.to_thread(goes_on.wait, SECONDS)
        return found

    views = house.app.web.application.state.door.live._views
    async with opened(auditor, "/audit") as page:
        monkeypatch.setattr(Commands, "audit_latest", slow)
        await page.do(do="filter", kind=AuditKind.SECRET_SET.value)
        await until(read.is_set)
        await record(AuditKind.SECRET_SET, "in-between")
        await until(lambda: "in-between" in [one.subject for one in views["audit"].last])
        goes_on.set()
        await page.until(lambda: "in-between" in page.shown)
