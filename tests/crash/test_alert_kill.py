"""SIGKILL of a watching process at any moment: no change is lost or told twice, one alert is open at most."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.domain.alert import Alert, AlertState, Route
from core.domain.event import EventKind
from core.store import alert_tellings, alerts, events

pytestmark = pytest.mark.timeout(300)  # a program for each life

WATCHER = Path(__file__).with_name("alert_watcher.py")
S = AlertState
LINES = (3, 8, 5, 13)  # of each life: it is killed while it goes on


def live(path: Path, lines: int) -> list[str]:
    with subprocess.Popen(
        [sys.executable, "-P", str(WATCHER), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(WATCHER.parents[2])},
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        heard = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        assert all(heard), child.stderr.read()
        return heard


def changes(conn: sqlite3.Connection) -> Mapping[str, list[Alert]]:
    found: dict[str, list[Alert]] = {}
    for event in events.since(conn, 0, kinds=(EventKind.ALERT_CHANGED,), limit=1_000_000):
        alert = alerts.from_data(dict(event.data))
        found.setdefault(alert.id, []).append(alert)
    return found


def test_a_life_goes_on_where_the_last_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "orchard.db"
    for lines in LINES:
        heard = live(path, lines)
        conn = sqlite3.connect(path)
        conn.row_factory = sqlite3.Row
        try:
            told = changes(conn)
            for line in heard:  # what was done is there
                alert_id, state, seq = line.split()
                assert (state, int(seq)) in [(one.state, one.seq) for one in told[alert_id]]
            for alert_id, each in told.items():
                assert [one.state for one in each] in ([S.FIRING], [S.FIRING, S.RESOLVED])
                assert [one.seq for one in each] == [2, 3][: len(each)]
                assert alerts.get(conn, alert_id) == each[-1]
                places = alert_tellings.of_alert(conn, alert_id)
                assert {one.route for one in places} == {Route.GUILD, Route.WEBHOOK, Route.SLACK}
            assert len(alerts.unresolved(conn)) <= 1
            known = {alert.id for alert in (*alerts.listed(conn, limit=1000, open_only=False),)}
            assert known == told.keys()
        finally:
            conn.close()
