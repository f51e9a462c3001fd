"""Whatever is seen, whenever, over restarts and people's answers: an alert keeps to its table, comes of a
breach that lasted, goes when that is over for as long, and says nothing twice."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from core.domain.alert import ALERT, Alert, AlertFact, AlertState, Comparison, Rule, Severity
from core.monitoring.alerts.evaluation import Verdict
from core.monitoring.alerts.planning import GONE_SECONDS, Group, Timer, plan

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
GROUP: Group = ("r", None)
WELL, BAD, GRAVE = (
    Verdict(holds=False),
    Verdict(holds=True, count=1),
    Verdict(holds=True, grave=True, count=1),
)
PERSON = {
    "acknowledge": AlertFact.ACKNOWLEDGED,
    "silence": AlertFact.SILENCED,
    "unsilence": AlertFact.SILENCE_OVER,
}

looks = st.tuples(
    st.sampled_from([5.0, 10.0, 30.0, 400.0]),
    st.sampled_from([WELL, BAD, BAD, GRAVE, None]),
    st.sampled_from([None, None, None, "restart", *PERSON]),
)


@dataclass
class World:
    """The store as a variable; what a person would have heard; what really was."""

    rule: Rule
    now: datetime = BEGIN
    steady: float = 1000.0
    alert: Alert | None = None
    timers: dict[Group, Timer] = field(default_factory=dict)
    heard: list[Alert] = field(default_factory=list)
    bad_since: float | None = None  # without a break, in this life
    well_since: float | None = None
    gone_since: float | None = None

    def see(self, verdict: Verdict | None) -> None:
        if verdict is not None:
            self.gone_since = None
            if verdict.holds:
                self.bad_since, self.well_since = (
                    (self.steady if self.bad_since is None else self.bad_since),
                    None,
                )
            else:
                self.bad_since = None
                self.well_since = self.steady if self.well_since is None else self.well_since
        elif self.gone_since is None:
            self.gone_since = self.steady
        found = plan(
            {"r": self.rule},
            {} if verdict is None else {GROUP: verdict},
            {} if self.alert is None else {GROUP: self.alert},
            self.timers,
            steady=self.steady,
            now=self.now,
        )
        self.timers = dict(found.timers)
        assert len(found.moves) <= 1
        for move in found.moves:
            if move.alert is None:
                assert verdict is not None
                assert verdict.holds
                self.alert = _pending(self.now, self.rule)
                if move.fires:
                    self.move(AlertFact.BREACHED, move.severity)
            elif move.fact is not None:
                self.move(move.fact, move.severity)
            elif move.severity is not None:
                self.tell(replace(move.alert, severity=move.severity))

    def move(self, fact: AlertFact, severity: Severity | None = None) -> None:
        assert self.alert is not None
        state = ALERT[self.alert.state, fact]  # an arrow that there is not is a KeyError
        if state is AlertState.RESOLVED and self.alert.state is AlertState.PENDING:
            self.alert = None
            return
        moved = replace(self.alert, state=state, severity=severity or self.alert.severity)
        self.tell(
            replace(moved, until=self.now + timedelta(minutes=2) if fact is AlertFact.SILENCED else None)
        )

    def tell(self, alert: Alert) -> None:
        self.heard.append(alert)
        self.alert = None if alert.state is AlertState.RESOLVED else alert

    def person(self, what: str) -> None:
        if self.alert is not None and (self.alert.state, PERSON[what]) in ALERT:
            self.move(PERSON[what])

    def restart(self) -> None:
        self.timers, self.steady = {}, 7.0
        self.well_since = self.gone_since = None


def _pending(now: datetime, rule: Rule) -> Alert:
    return Alert(
        id="a",
        rule="r",
        project=None,
        state=AlertState.PENDING,
        severity=rule.severity,
        summary="",
        hint="",
        value=0.0,
        since=now,
        changed_at=now,
        seq=1,
    )


def a_rule(for_seconds: float) -> Rule:
    return Rule(
        id="r",
        metric="machine_cpu",
        comparison=Comparison.ABOVE,
        threshold=1.0,
        severity=Severity.WARNING,
        summary="s",
        for_seconds=for_seconds,
    )


# Silenced before it fired, well again when Orchard was restarted, then unknown: what comes next is new.
@example(30.0, [(5.0, BAD, None), (5.0, WELL, "silence"), (5.0, None, "restart"), (400.0, BAD, None)])
@given(st.sampled_from([0.0, 30.0, 120.0]), st.lists(looks, max_size=60))
def test_alerts_come_of_breaches_that_last_and_go_with_them(for_seconds: float, seen: list) -> None:
    world = World(rule=a_rule(for_seconds))
    bad_for = 0.0  # on the wall, over restarts
    for pause, verdict, happens in seen:
        world.steady += pause
        world.now += timedelta(seconds=pause)
        bad_for += pause
        before, told = world.alert, len(world.heard)
        if happens == "restart":
            world.restart()
        elif happens is not None:
            world.person(happens)
            told = len(world.heard)
            before = world.alert
        if verdict is not None and (not verdict.holds or world.bad_since is None):
            bad_for = 0.0
        world.see(verdict)
        for alert in world.heard[told:]:
            if alert.state is AlertState.FIRING:
                assert verdict is not None
                assert verdict.holds
                assert bad_for >= for_seconds
            if alert.state is AlertState.RESOLVED:
                well = world.well_since is not None and world.steady - world.well_since >= for_seconds
                gone = world.gone_since is not None and world.steady - world.gone_since >= GONE_SECONDS
                assert well or gone
        if before is not None and verdict is None and world.alert is None:
            assert world.gone_since is not None  # nothing goes at once because nothing is known


@given(st.sampled_from([0.0, 30.0, 120.0]), st.lists(looks, max_size=60))
def test_nothing_is_said_twice(for_seconds: float, seen: list) -> None:
    world = World(rule=a_rule(for_seconds))
    for pause, verdict, happens in seen:
        world.steady += pause
        world.now += timedelta(seconds=pause)
        if happens == "restart":
            world.restart()
        elif happens is not None:
            world.person(happens)
        world.see(verdict)
    for one, next_ in itertools.pairwise(world.heard):
        assert (one.state, one.severity) != (next_.state, next_.severity)
        if one.state is not AlertState.RESOLVED:
            order = list(Severity)
            assert order.index(next_.severity) <= order.index(one.severity)  # it never becomes lighter


@given(st.sampled_from([0.0, 30.0, 120.0]), st.integers(min_value=1, max_value=30), st.booleans())
def test_a_breach_that_lasts_fires_once_and_over_is_over(for_seconds: float, more: int, grave: bool) -> None:
    world = World(rule=a_rule(for_seconds))
    for verdict in (GRAVE if grave else BAD, WELL):
        for _ in range(int(for_seconds // 10) + 1 + more):
            world.see(verdict)
            world.steady += 10
            world.now += timedelta(seconds=10)
    severity = Severity.CRITICAL if grave else Severity.WARNING
    assert [(alert.state, alert.severity) for alert in world.heard] == [
        (AlertState.FIRING, severity),
        (AlertState.RESOLVED, severity),
    ]


@given(st.lists(st.sampled_from([BAD, WELL]), min_size=2, max_size=40))
def test_what_flaps_faster_than_its_time_says_nothing(seen: list[Verdict]) -> None:
    world = World(rule=a_rule(60.0))
    for verdict in seen:
        for each in (verdict, WELL):
            world.see(each)
            world.steady += 20
            world.now += timedelta(seconds=20)
    assert world.heard == []


@given(st.integers(min_value=-(10**6), max_value=10**8))
def test_a_clock_that_is_set_fires_nothing(seconds: int) -> None:
    world = World(rule=a_rule(60.0))
    world.see(BAD)
    world.now += timedelta(seconds=seconds)
    world.steady += 10
    world.see(BAD)
    assert world.heard == []
    world.restart()  # and neither does it with a restart
    world.see(BAD)
    fired = len(world.heard)
    assert fired == 0 or seconds >= 60
