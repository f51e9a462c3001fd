"""`alerts`, `acknowledge`, `silence`, `rules`: over a real store, in words that fit a terminal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.cli import output_alerts
from bot.cli.alert_words import parse_silence
from core.bus import Bus
from core.clock import SystemClock
from core.domain.alert import Alert, AlertFact, AlertState, Route, Severity
from core.domain.alert_rules import BUILT_IN
from core.errors import InvalidInput, NotAllowed, NotFound
from core.store import alert_tellings, alerts
from core.store.database import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def fire(root: Path, severity: Severity = Severity.WARNING, routes: tuple[Route, ...] = ()) -> Alert:
    async with Store.open(root / ".orch-global" / "orchard.db", clock=SystemClock(), bus=Bus()) as store:

        def work(tx) -> Alert:
            begun = alerts.begin(
                tx,
                rule="machine-disk",
                project=None,
                severity=severity,
                summary="Only 1 GB of disk is free\x1b[31m for the state.",
                hint="Free some space.",
                value=1e9,
                count=1,
                worst="",
                routes=routes,
            )
            assert begun is not None
            return alerts.move(tx, begun, AlertFact.BREACHED)

        return await store.write(work)


async def test_an_alert_is_seen_acknowledged_and_silenced(say, tmp_path: Path) -> None:
    assert "Nothing is wrong" in await say("alerts")
    alert = await fire(tmp_path)
    text = await say("alerts")
    assert "▲ warning  Only 1 GB of disk is free" in text
    assert "\x1b[31m" not in text
    assert f"acknowledge {alert.id}" in text
    assert "Acknowledged" in await say(f"acknowledge {alert.id}")
    assert "somebody looks (shell)" in await say("alerts")
    assert "Silenced until" in await say(f"silence {alert.id} 2h")
    assert "silenced until" in await say("alerts")
    assert "told again" in await say(f"unsilence {alert.id}")
    with pytest.raises(NotAllowed, match="is firing"):
        await say(f"unsilence {alert.id}")
    with pytest.raises(InvalidInput, match="no time"):
        await say(f"silence {alert.id} soon")
    with pytest.raises(NotFound, match="no alert 'x'"):
        await say("acknowledge x")


async def test_what_cannot_be_told_stands_before_what_is_wrong(say, tmp_path: Path) -> None:
    alert = await fire(tmp_path, routes=(Route.WEBHOOK,))
    async with Store.open(tmp_path / ".orch-global" / "orchard.db", clock=SystemClock(), bus=Bus()) as store:

        def fail(tx) -> None:
            telling = alert_tellings.find(tx.conn, alert.id, Route.WEBHOOK)
            alert_tellings.failed(tx, telling, "http://ops\x1b[31m answered 500", tx.now)

        await store.write(fail)
    text = await say("alerts")
    assert text.startswith("! 1 not told by webhook: http://ops")
    assert "\x1b[31m" not in text
    assert alert.id in text


async def test_what_is_watched_is_seen_with_what_the_settings_change(say, tmp_path: Path) -> None:
    (tmp_path / "orch-config.yaml").write_text(
        "alerts:\n  rules:\n    queue-age: {enabled: false}\n    machine-disk: {threshold: 9000000000}\n"
    )
    text = await say("rules")
    assert "queue-age (off)" in text
    assert "machine_disk_free below 9 GB, critical from 1 GB on" in text
    assert "logins_refused rises in 10 min by more than 10, critical from 100 on" in text
    assert "cost rises in 1 h by 6 deviations above what is usual" in text
    assert "no data of machine_cpu for 5 min" in text
    assert all(name in text for name in BUILT_IN)


def test_the_page_lists_what_is_built_in() -> None:
    page = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 6] == [
        f"| `{rule.id}` | {output_alerts.condition(rule)} | {output_alerts.waiting(rule)} | {rule.severity} |"
        f" {', '.join(rule.routes)} |"
        for rule in BUILT_IN.values()
    ]


def test_80_columns_are_enough(shown) -> None:
    base = Alert(
        id="alert_0123456789ab",
        rule="machine-disk",
        project=None,
        state=AlertState.FIRING,
        severity=Severity.CRITICAL,
        summary="Only 1 GB of disk is free for the state. " * 3,
        hint="/budget show says which.",
        value=1.0,
        since=NOW,
        changed_at=NOW,
        seq=2,
    )
    text = shown(output_alerts.alerts((base,)))
    assert max(map(len, text.splitlines())) <= 80
    assert "orchard budget" in text
    assert "--acknowledge alert_0123456789ab" in " ".join(text.split())
    assert max(map(len, shown(output_alerts.rules(tuple(BUILT_IN.values()))).splitlines())) <= 80


@pytest.mark.parametrize(("said", "wanted"), [
    ("30m", timedelta(minutes=30)),
    ("1h", timedelta(hours=1)),
    (" 2D ", timedelta(days=2)),
])  # fmt: skip
def test_a_silence_is_said_in_minutes_hours_and_days(said: str, wanted: timedelta) -> None:
    assert parse_silence(said, NOW) == NOW + wanted


def test_tomorrow_is_the_next_morning_here() -> None:
    until = parse_silence("tomorrow", NOW)
    assert (until.hour, until.minute) == (8, 0)
    assert until.date() == NOW.astimezone().date() + timedelta(days=1)


@pytest.mark.parametrize("said", ["", "0h", "-1h", "1w", "1.5h", "h", "999999h", "1h 2m"])
def test_what_is_no_time_is_refused(said: str) -> None:
    with pytest.raises(InvalidInput, match="30m, 1h, 2d or tomorrow") as refused:
        parse_silence(said, NOW)
    assert "no time" in refused.value.message
