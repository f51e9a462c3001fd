"""Watching, from what is measured to what is in the store: over restarts, storms, settings and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from config.alert_settings import AlertSettings
from core.bus import Bus
from core.clock import Clock
from core.domain.alert import Alert, AlertFact, AlertState, Route, Severity
from core.domain.alert_rules import BUILT_IN
from core.domain.event import EventKind
from core.domain.metric import Labels, Point, Sample, labels_of
from core.errors import Unavailable
from core.monitoring.alerts.service import Alerting
from core.monitoring.readings import Readings
from core.store import alert_tellings, alerts, events, metric_history
from core.store.database import Store
from core.store.metric_history import Span

S = AlertState
RULES = {
    "hot": {"metric": "project_cpu", "threshold": 2.0, "clears_at": 1.0, "critical_at": 8.0},
    "refusals": {"metric": "access_refused", "threshold": 5, "rate": True, "over": 600, "for_seconds": 0},
}


def settings(rules: Mapping[str, object] = RULES, **more: object) -> AlertSettings:
    """The built-in ones are off, unless they are said."""
    off = {name: {"enabled": False} for name in BUILT_IN if name not in rules}
    return AlertSettings.model_validate({"rules": {**off, **rules}, **more})


@dataclass
class Measured:
    store: Store
    clock: Clock
    readings: Readings = field(default_factory=Readings)

    async def history(
        self, metric: str, *, project: str | None = None, since: datetime, until: datetime, span: int
    ) -> Mapping[Labels, tuple[Point, ...]]:
        return await self.store.read(
            lambda conn: {
                labels: metric_history.points(conn, series, since=since, until=until, span=Span(span))
                for series, labels in metric_history.find_series(conn, metric, project=project).items()
            }
        )


@dataclass
class Watch:
    """One life after the other over the same store."""

    store: Store
    clock: object
    said: AlertSettings
    measured: Measured = field(init=False)
    alerting: Alerting = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.measured = Measured(self.store, self.clock)
        self.alerting = Alerting(self.store, self.clock, self.measured, lambda: self.said, lambda: 10.0)

    def see(self, metric: str, value: float, **labels: str) -> None:
        batch = (self._sample(metric, value, **labels),)
        self.measured.readings.publish(batch)
        self.alerting.hear(batch)

    def _sample(self, metric: str, value: float, **labels: str) -> Sample:
        labelled = labels_of(metric, **labels)
        return Sample(metric=metric, value=value, at=self.clock.now(), source="test", labels=labelled)

    async def go(self, looks: int, see: Callable[[], None] = lambda: None) -> list[Alert]:
        """So many passes, ten seconds apart."""
        changed = []
        for _ in range(looks):
            see()
            changed += await self.alerting.look()
            self.clock.advance(10)
        return changed

    async def open(self) -> tuple[Alert, ...]:
        return await self.store.read(alerts.unresolved)

    async def told(self) -> list[Alert]:
        found = await self.store.read(lambda conn: events.since(conn, 0, kinds=(EventKind.ALERT_CHANGED,)))
        return [alerts.from_data(dict(event.data)) for event in found]


@pytest.fixture
async def watch(store: Store, clock, new_project) -> Watch:
    def make(tx) -> None:
        for name in ("shop", *(f"p{number}" for number in range(20))):
            new_project(tx, name)

    await store.write(make)
    return Watch(store, clock, settings())


def cpu(watch: Watch, value: float, *projects: str) -> Callable[[], None]:
    def see() -> None:
        for project in projects or ("shop",):
            watch.see("project_cpu", value, project=project)

    return see


async def test_a_breach_fires_once_and_resolves_once(watch: Watch) -> None:
    assert await watch.go(6, cpu(watch, 3.0)) == []
    ((pending,), told) = (await watch.open(), await watch.told())
    assert (pending.state, told) == (S.PENDING, [])
    (fired,) = await watch.go(100, cpu(watch, 3.0))
    assert (fired.state, fired.project, fired.severity) == (S.FIRING, "shop", Severity.WARNING)
    assert fired.summary == "shop: project_cpu is 3 cores; the limit is 2 cores."
    assert await watch.go(100, cpu(watch, 1.5)) == []  # below the threshold, above where it clears
    (resolved,) = await watch.go(100, cpu(watch, 0.5))
    assert resolved.state is S.RESOLVED
    assert await watch.told() == [fired, resolved]
    assert await watch.open() == ()


async def test_a_restart_in_the_middle_loses_and_repeats_nothing(watch: Watch) -> None:
    await watch.go(4, cpu(watch, 3.0))
    watch.restart()
    (fired,) = await watch.go(3, cpu(watch, 3.0))  # what was pending goes on where it was
    assert fired.state is S.FIRING
    for _ in range(3):
        watch.restart()
        assert await watch.go(4, cpu(watch, 3.0)) == []
    watch.restart()
    assert await watch.go(3) == []  # nothing is known yet
    (resolved,) = await watch.go(20, cpu(watch, 0.0))
    assert [alert.id for alert in await watch.told()] == [fired.id, resolved.id]


async def test_a_gap_is_no_breach_that_lasted(watch: Watch) -> None:
    await watch.go(2, cpu(watch, 3.0))
    watch.clock.advance(3600)
    watch.restart()
    assert await watch.go(5, cpu(watch, 3.0)) == []
    assert len(await watch.go(3, cpu(watch, 3.0))) == 1


async def test_what_comes_and_goes_all_day_is_told_a_few_times(watch: Watch) -> None:
    """Ninety seconds of each: a message every ninety seconds, if nobody minded."""
    for _ in range(20):
        await watch.go(9, cpu(watch, 3.0))
        await watch.go(9, cpu(watch, 0.0))
    assert [alert.state for alert in await watch.told()] == [S.FIRING, S.RESOLVED, S.FIRING]  # and it stays
    (resolved,) = await watch.go(20, cpu(watch, 0.0))  # until it is well for long enough
    assert resolved.state is S.RESOLVED
    watch.clock.advance(7 * 3600)
    await watch.go(9, cpu(watch, 3.0))
    (again,) = await watch.go(9, cpu(watch, 0.0))
    assert again.state is S.RESOLVED  # what was hours ago counts no more


async def test_what_becomes_graver_is_told_again_though_somebody_looks(watch: Watch) -> None:
    (fired,) = await watch.go(8, cpu(watch, 3.0))
    await watch.store.write(lambda tx: alerts.move(tx, fired, AlertFact.ACKNOWLEDGED, by="discord:1"))
    assert await watch.go(5, cpu(watch, 9.0)) == []  # not yet for long enough
    (graver,) = await watch.go(20, cpu(watch, 9.0))
    assert (graver.severity, graver.state, graver.by) == (Severity.CRITICAL, S.ACKNOWLEDGED, "discord:1")
    assert await watch.go(20, cpu(watch, 3.0)) == []  # and does not become lighter


async def test_a_silence_holds_until_it_is_over_also_for_the_next_one(watch: Watch) -> None:
    (fired,) = await watch.go(8, cpu(watch, 3.0))
    until = watch.clock.now() + timedelta(seconds=1000)
    await watch.store.write(lambda tx: alerts.move(tx, fired, AlertFact.SILENCED, by="cli", until=until))
    (over,) = await watch.go(20, cpu(watch, 0.0))
    assert over.state is S.RESOLVED
    (again,) = await watch.go(10, cpu(watch, 3.0))
    assert (again.state, again.until, again.by, again.id != fired.id) == (S.SILENCED, until, "cli", True)
    assert await watch.store.read(lambda conn: alert_tellings.of_alert(conn, again.id)) == ()
    (loud,) = await watch.go(80, cpu(watch, 3.0))
    assert (loud.state, loud.until) == (S.FIRING, None)
    places = await watch.store.read(lambda conn: alert_tellings.of_alert(conn, again.id))
    assert [one.route for one in places] == [Route.GUILD]


async def test_what_becomes_critical_ends_the_silence_of_a_lighter_one(watch: Watch) -> None:
    (fired,) = await watch.go(8, cpu(watch, 3.0))
    until = watch.clock.now() + timedelta(hours=5)
    await watch.store.write(lambda tx: alerts.move(tx, fired, AlertFact.SILENCED, by="cli", until=until))
    (loud,) = await watch.go(10, cpu(watch, 9.0))
    assert (loud.state, loud.severity, loud.until) == (S.FIRING, Severity.CRITICAL, None)
    await watch.store.write(lambda tx: alerts.move(tx, loud, AlertFact.SILENCED, by="cli", until=until))
    assert await watch.go(20, cpu(watch, 9.0)) == []  # this one was meant


@pytest.mark.parametrize(("silenced", "comes", "state"), [
    (3.0, 9.0, S.FIRING), (9.0, 9.0, S.SILENCED), (9.0, 3.0, S.SILENCED),
])  # fmt: skip
async def test_a_silence_holds_for_the_next_one_unless_it_is_graver(
    watch: Watch, silenced: float, comes: float, state: AlertState
) -> None:
    (fired,) = await watch.go(8, cpu(watch, silenced))
    until = watch.clock.now() + timedelta(hours=5)
    await watch.store.write(lambda tx: alerts.move(tx, fired, AlertFact.SILENCED, by="cli", until=until))
    await watch.go(20, cpu(watch, 0.0))
    (again,) = await watch.go(10, cpu(watch, comes))
    assert (again.state, again.id != fired.id) == (state, True)


async def test_ten_thousand_breaching_series_are_one_change(watch: Watch) -> None:
    spread = {"metric": "phase_duration", "threshold": 1, "over": 60, "for_seconds": 0}
    watch.said = settings({"spread": spread})
    await watch.go(1)

    def storm() -> None:
        for number in range(10_000):
            watch.see("phase_duration", 5.0 + number, project="shop", phase=f"p{number}")

    assert await watch.go(1, storm) == []  # what is shown first was observed whenever
    (fired,) = await watch.go(2, storm)
    assert (fired.count, fired.worst) == (10_000, "phase p9999")
    assert len(await watch.told()) == 1


async def test_many_projects_at_once_are_one_alert_and_late_ones_join_it(watch: Watch) -> None:
    names = [f"p{number}" for number in range(20)]
    await watch.go(1, cpu(watch, 0.0, *names))
    (fired,) = await watch.go(10, cpu(watch, 3.0, *names[:15]))
    assert (fired.project, fired.count) == (None, 15)
    assert "So it is with 14 more." in fired.summary
    assert await watch.go(20, cpu(watch, 3.0, *names)) == []
    (shown,) = await watch.open()
    assert shown.count == 20
    (resolved,) = await watch.go(20, cpu(watch, 0.0, *names))
    assert (resolved.id, resolved.state) == (fired.id, S.RESOLVED)


async def test_projects_that_follow_one_another_are_a_few_alerts_and_one_for_the_rest(watch: Watch) -> None:
    names = [f"p{number}" for number in range(20)]
    for last in range(1, 21):
        await watch.go(8, cpu(watch, 3.0, *names[:last]))
    fired = await watch.told()
    assert [alert.project for alert in fired] == ["p0", "p1", "p2", "p3", None]


async def test_projects_that_are_in_trouble_for_hours_join_nobody(watch: Watch) -> None:
    names = [f"p{number}" for number in range(7)]
    await watch.go(8, cpu(watch, 3.0, *names[:4]))
    watch.clock.advance(2 * 3600)
    fired = await watch.go(8, cpu(watch, 3.0, *names))
    assert [alert.project for alert in fired] == ["p4", "p5", "p6"]


async def test_a_rise_is_told_and_is_over_with_its_span(watch: Watch) -> None:
    await watch.go(3, lambda: watch.see("access_refused", 100))
    (fired,) = await watch.go(2, lambda: watch.see("access_refused", 107))
    assert (fired.value, fired.project) == (7, None)
    (resolved,) = await watch.go(70, lambda: watch.see("access_refused", 107))
    assert resolved.state is S.RESOLVED


async def test_what_the_first_pass_counts_of_before_is_a_rise(watch: Watch) -> None:
    """Such as an audit log that was altered while nothing ran: its row is older than the first sample."""
    watch.said = settings({"tampering": {}})
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watch.alerting.run())
        for _ in range(10):  # it is at work meanwhile
            await watch.open()
        point = Point(at=watch.clock.now(), count=1, total=1.0, minimum=1.0, maximum=1.0, last=1.0)
        await watch.store.write(lambda tx: metric_history.merge(tx, [(("tampering", ()), point)]))
        watch.clock.advance(1)
        watch.measured.readings.publish([watch._sample("tampering", 1.0)])
        async with asyncio.timeout(20):
            while not (told := await watch.told()):  # noqa: ASYNC110 - the store is asked
                await asyncio.sleep(0.02)
        running.cancel()
    assert [(alert.rule, alert.severity) for alert in told] == [("tampering", Severity.CRITICAL)]


async def test_what_never_happened_before_is_a_rise_when_it_first_happens(watch: Watch) -> None:
    """Nothing of it is stored yet, and that it is 0 was published before anybody watched for it."""
    watch.said = settings({"tampering": {}})
    await watch.go(1, lambda: watch.see("tampering", 0))
    (fired,) = await watch.go(1, lambda: watch.see("tampering", 1))
    assert (fired.rule, fired.value) == ("tampering", 1)


async def test_what_rises_while_rules_are_begun_is_counted_once(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.see("access_refused", 100)
    read = watch.measured.history

    async def slowly(metric: str, **asked: object) -> Mapping[Labels, tuple[Point, ...]]:
        found = await read(metric, **asked)
        watch.see("access_refused", 107)
        return found

    monkeypatch.setattr(watch.alerting._observing, "_history", slowly)
    (fired,) = await watch.go(1)
    assert fired.value == 7
    assert await watch.go(5, lambda: watch.see("access_refused", 107)) == []


async def test_a_rise_goes_on_over_a_restart(watch: Watch) -> None:
    """The stored minutes say what rose before, the count what rose meanwhile."""
    begin = watch.clock.now()
    point = Point(at=begin, count=1, total=4.0, minimum=4.0, maximum=4.0, last=104.0)

    await watch.store.write(lambda tx: metric_history.merge(tx, [(("access_refused", ()), point)]))
    watch.clock.advance(120)
    watch.restart()
    await watch.go(1)
    (fired,) = await watch.go(1, lambda: watch.see("access_refused", 107))
    assert fired.value == 4 + 3


async def test_without_data_nothing_is_over_at_once(watch: Watch) -> None:
    (fired,) = await watch.go(8, cpu(watch, 3.0))
    watch.measured.readings.forget("shop")
    assert await watch.go(89) == []
    (resolved,) = await watch.go(5)
    assert (resolved.id, resolved.state) == (fired.id, S.RESOLVED)


async def test_no_data_is_said_where_a_rule_asks_for_it(watch: Watch) -> None:
    watch.said = settings({"no-measurements": {"for_seconds": 0}})
    await watch.go(50, lambda: watch.see("machine_cpu", 0.1))
    (fired,) = await watch.go(50)
    assert (fired.severity, fired.summary) == (Severity.CRITICAL, "Nothing was measured for 5 min.")
    (resolved,) = await watch.go(3, lambda: watch.see("machine_cpu", 0.1))
    assert resolved.state is S.RESOLVED


async def test_a_series_that_is_shown_no_longer_is_missed_while_its_project_is_there(watch: Watch) -> None:
    rule = {"metric": "project_cpu", "comparison": "absent", "threshold": 100, "for_seconds": 0}
    watch.said = settings({"silent": rule})
    for _ in range(50):
        for project in ("shop", "p1"):
            watch.see("agents_running", 1, project=project)
            watch.see("project_cpu", 0.1, project=project)
        assert await watch.go(1) == []
    for project in ("shop", "p1"):
        watch.measured.readings.drop([("project_cpu", labels_of("project_cpu", project=project))])
    watch.measured.readings.forget("p1")
    assert await watch.go(8) == []
    (fired,) = await watch.go(8)
    assert (fired.project, fired.summary) == ("shop", "shop: project_cpu has no data for 110 s.")


async def test_settings_are_followed(watch: Watch) -> None:
    await watch.go(8, cpu(watch, 3.0))
    watch.said = settings({"hot": {**RULES["hot"], "enabled": False}})
    (resolved,) = await watch.go(5, cpu(watch, 3.0))
    assert resolved.state is S.RESOLVED
    watch.said = settings({"hot": {**RULES["hot"], "threshold": 4.0}})
    assert await watch.go(20, cpu(watch, 3.5)) == []
    watch.said = settings(enabled=False)
    assert await watch.go(20, cpu(watch, 30.0)) == []


async def test_a_clock_that_is_set_is_borne(watch: Watch) -> None:
    (fired,) = await watch.go(8, cpu(watch, 3.0))
    steady = watch.clock.monotonic
    jump = timedelta(days=400)
    watch.clock.monotonic = lambda: steady() - jump.total_seconds()
    watch.clock.at += jump
    assert await watch.go(5) == []  # all that is known is from long ago
    assert await watch.go(20, cpu(watch, 3.0)) == []
    watch.clock.monotonic = steady
    watch.clock.at -= jump
    assert await watch.go(20, cpu(watch, 3.0)) == []
    assert [alert.id for alert in await watch.open()] == [fired.id]


async def test_who_answers_between_a_look_and_its_record_wins(watch: Watch, monkeypatch) -> None:
    (fired,) = await watch.go(8, cpu(watch, 3.0))
    await watch.go(5, cpu(watch, 0.0))
    write = watch.store.write

    async def late(self: Store, work):
        if getattr(late, "over", False):
            return await write(work)
        late.over = True
        await write(lambda tx: alerts.move(tx, fired, AlertFact.ACKNOWLEDGED, by="cli"))
        return await write(work)

    monkeypatch.setattr(Store, "write", late)
    changed = await watch.go(10, cpu(watch, 0.0))
    assert [alert.state for alert in await watch.told()] == [S.FIRING, S.ACKNOWLEDGED, S.RESOLVED]
    assert [alert.state for alert in changed] == [S.RESOLVED]


# -- what is normal ----------------------------------------------------------------------------------


async def remembered(
    watch: Watch, metric: str, value: Callable[[int], float], *, hours: int = 6 * 168, counter: bool = False
) -> None:
    end = watch.clock.now().replace(minute=0)

    def points() -> Iterator[Point]:
        for hour in range(hours):
            at = end - timedelta(hours=hours - hour)
            amount = float(value(hour))
            if counter and not amount:
                continue
            yield Point(at=at, count=1, total=amount, minimum=amount, maximum=amount, last=amount)

    series = (metric, labels_of(metric, project="shop"))
    await watch.store.write(lambda tx: metric_history.merge(tx, [(series, point) for point in points()]))


async def test_what_is_not_as_usual_fires_by_what_was_learned(watch: Watch) -> None:
    watch.said = settings({"unusual-cpu": {"over": 60}})
    await remembered(watch, "project_cpu", lambda hour: 0.4 + (hour % 7) / 50)
    assert await watch.go(60, cpu(watch, 3.0)) == []  # nothing is normal yet
    await watch.alerting.learn()
    (fired,) = await watch.go(60, cpu(watch, 3.0))
    assert (fired.rule, fired.value) == ("unusual-cpu", 3.0)
    assert fired.summary.startswith("shop uses 3 cores; usual at this time is 0.")
    (resolved,) = await watch.go(80, cpu(watch, 0.45))
    assert resolved.state is S.RESOLVED


async def test_what_is_spent_is_compared_with_what_is_spent_in_an_hour(watch: Watch) -> None:
    watch.said = settings({"unusual-cost": {"for_seconds": 0}})
    await remembered(watch, "cost", lambda hour: (hour % 5) / 2, counter=True)  # up to 2 dollars an hour
    await watch.alerting.learn()
    await watch.go(2, lambda: watch.see("cost", 500.0, project="shop"))
    assert await watch.go(2, lambda: watch.see("cost", 501.5, project="shop")) == []
    (fired,) = await watch.go(2, lambda: watch.see("cost", 540.0, project="shop"))
    assert fired.value == pytest.approx(40.0, abs=1.5)


async def test_a_level_that_changed_and_stayed_is_told(watch: Watch) -> None:
    watch.said = settings({"more-errors": {}})
    await remembered(watch, "error_rate", lambda hour: 0.1 if hour < 6 * 168 - 30 else 0.5)
    await watch.alerting.learn()
    (fired,) = await watch.go(2)
    assert (fired.rule, fired.project, fired.value) == ("more-errors", "shop", 0.5)
    assert fired.summary.endswith("50 %, where 10 % were usual.")


async def test_learning_forgets_what_has_been_over_for_long(watch: Watch) -> None:
    await watch.go(8, cpu(watch, 3.0))
    await watch.go(20, cpu(watch, 0.0))
    await watch.alerting.learn()
    read = watch.store.read
    assert len(await read(lambda conn: alerts.listed(conn, open_only=False))) == 1
    watch.clock.advance(91 * 86400)
    await watch.alerting.learn()
    assert await read(lambda conn: alerts.listed(conn, open_only=False)) == ()


async def test_it_runs_by_itself_and_bears_a_look_that_fails(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that cannot be written is tried again with the next news."""
    monkeypatch.setattr("core.monitoring.alerts.service._SETTLE_SECONDS", 0.0)
    watch.said = settings({"hot": {**RULES["hot"], "for_seconds": 0}})
    failed, write = asyncio.Event(), watch.store.write

    async def full(self: Store, work):
        if failed.is_set():
            return await write(work)
        failed.set()
        raise OSError("the disk is full")

    monkeypatch.setattr(Store, "write", full)
    running = asyncio.create_task(watch.alerting.run())
    try:
        async with asyncio.timeout(20):
            while not await watch.told():
                watch.measured.readings.publish([watch._sample("project_cpu", 3.0, project="shop")])
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert failed.is_set()
    assert "incident" in caplog.text
    assert [alert.state for alert in await watch.told()] == [S.FIRING]


async def test_a_store_that_is_away_is_told_of_once_until_it_is_back(watch: Watch, caplog) -> None:
    async def away() -> None:
        raise Unavailable("The disk is full.")

    async def back() -> None: ...

    for work in (away, away, back, away):
        await watch.alerting._try(work, "a look")
    assert caplog.text.count("The disk is full.") == 2


async def test_the_event_reaches_who_listens(watch: Watch, bus: Bus, path: Path) -> None:
    with bus.subscribe() as heard:
        await watch.go(8, cpu(watch, 3.0))
        async with asyncio.timeout(20):
            async for event in heard:
                if event.kind is EventKind.ALERT_CHANGED:
                    break
    assert event.project == "shop"
    assert (event.data["rule"], event.data["state"]) == ("hot", "firing")
