"""Rows of the audit log that follow or are held, with what somebody reads left alone."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.web.dashboard.views.audit import PAGE, AuditRows
from core.orchestrator.security_views import AuditEntry

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(seq: int) -> AuditEntry:
    """Every third is a refused login."""
    kind = "login_failed" if seq % 3 == 0 else "logged_in"
    return AuditEntry(seq=seq, at=NOON, kind=kind, actor="ann", project=None, subject="", data={})


def latest(top: int, kind: str | None = None, most: int = PAGE) -> list[AuditEntry]:
    found = [one for one in map(entry, range(top, 0, -1)) if kind in (None, one.kind)]
    return found[:most]


def numbers(rows: AuditRows) -> list[int]:
    return [one.seq for chunk in rows.chunks for one in chunk.rows]


def test_new_rows_come_on_top_and_the_chunks_below_keep_their_keys() -> None:
    rows = AuditRows()
    rows.begin(latest(300, most=PAGE + 1), seen=300)
    (key,) = [chunk.key for chunk in rows.chunks]
    assert rows.more
    assert rows.follow(latest(330))
    assert [chunk.key for chunk in rows.chunks] == [key]
    assert rows.follow(latest(390))
    assert [chunk.key for chunk in rows.chunks][1:] == [key]
    assert rows.follow(latest(390))
    rows.older([entry(seq) for seq in range(200, 99, -1)])
    assert numbers(rows) == list(range(390, 100, -1))
    assert rows.last == 101


def test_what_comes_while_it_is_held_waits_and_is_counted() -> None:
    rows = AuditRows()
    rows.begin(latest(10), seen=10)
    rows.held = True
    assert rows.waiting(latest(13)) == 3
    assert numbers(rows)[0] == 10
    assert rows.follow(latest(14))
    assert (rows.held, numbers(rows)[:5]) == (False, [14, 13, 12, 11, 10])


def test_a_kind_is_kept_and_one_without_rows_is_no_gap() -> None:
    rows = AuditRows(kind="login_failed")
    rows.begin(latest(400, "login_failed", PAGE + 1), seen=400)
    assert rows.follow(latest(406))
    assert numbers(rows)[:3] == [405, 402, 399]
    rows = AuditRows(kind="key_changed")
    rows.begin([], seen=400)
    assert rows.follow(latest(420))
    assert rows.waiting(latest(450)) == 0


def test_more_than_is_known_of_has_to_be_read_anew() -> None:
    rows = AuditRows()
    rows.begin(latest(50), seen=50)
    assert rows.waiting(latest(400)) is None
    assert not rows.follow(latest(400))
    assert numbers(rows)[0] == 50
    assert rows.follow(latest(150))
    assert numbers(rows) == list(range(150, 0, -1))


def test_a_page_that_is_open_for_days_forgets_the_oldest() -> None:
    rows = AuditRows()
    rows.begin(latest(100), seen=100)
    for top in range(150, 5001, 50):
        assert rows.follow(latest(top))
    assert 1300 < len(numbers(rows)) <= 1500
    assert numbers(rows)[0] == 5000
    assert rows.more
