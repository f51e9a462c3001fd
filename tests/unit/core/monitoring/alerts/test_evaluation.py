"""What is breached, by whom, and what is one alert for many projects."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.alert import Comparison, Rule, Severity
from core.domain.alert_rules import BUILT_IN, problem_of
from core.domain.metric import Labels, Unit
from core.monitoring.alerts.evaluation import Reading, Verdict, evaluate, joined
from core.monitoring.alerts.wording import quantity, sentence

RULE = Rule(
    id="failures",
    metric="gate_failures",
    comparison=Comparison.ABOVE,
    threshold=10.0,
    clears_at=5.0,
    critical_at=50.0,
    severity=Severity.WARNING,
    summary="{project}: {value} of {labels}, above {threshold}.",
)


def series(project: str, phase: str = "design") -> Labels:
    return (("project", project), ("phase", phase))


def reading(project: str, value: float, phase: str = "design") -> Reading:
    return (series(project, phase), value, value, None)


values = st.one_of(st.integers(-5, 60).map(float), st.sampled_from([math.nan, math.inf, -math.inf]))
seen = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["design", "commit"]), values), max_size=12)


@given(seen, st.sets(st.sampled_from("abc")), st.booleans())
def test_verdicts_are_what_a_slow_reading_of_the_rule_gives(found, open_in: set[str], below: bool) -> None:
    rule = replace(RULE, comparison=Comparison.BELOW, threshold=-10.0, clears_at=-5.0, critical_at=-50.0)
    rule, sign = (rule, -1) if below else (RULE, 1)
    readings = [reading(project, sign * value, phase) for project, phase, value in found]
    verdicts = evaluate(rule, readings, open_in)
    for project in "abc":
        here = [value for name, _, value in found if name == project and math.isfinite(value)]
        limit = 5 if project in open_in else 10
        beyond = [value for value in here if value > limit]
        if beyond:
            verdict = verdicts[project]
            assert (verdict.holds, verdict.count) == (True, len(beyond))
            assert verdict.value == sign * max(beyond)
            assert verdict.grave == (max(beyond) >= 50)
        elif here and project in open_in:
            assert not verdicts[project].holds
        else:  # nothing is known, or nobody asked
            assert project not in verdicts
    assert None not in verdicts


def test_only_the_series_that_the_rule_is_for_count() -> None:
    rule = replace(RULE, match={"phase": "commit", "project": "a"})
    readings = [reading("a", 99, "design"), reading("b", 99, "commit"), reading("a", 11, "commit")]
    assert evaluate(rule, readings, ()) == {
        "a": Verdict(holds=True, value=11, count=1, worst="phase commit"),
    }


def test_ten_thousand_breaches_of_a_project_are_one_verdict() -> None:
    readings = [reading("shop", 20.0 + number, f"p{number}") for number in range(10_000)]
    (verdict,) = evaluate(RULE, readings, ()).values()
    assert (verdict.count, verdict.worst, verdict.grave) == (10_000, "phase p9999", True)


def test_a_fall_is_judged_by_a_threshold_below_zero() -> None:
    rule = replace(RULE, comparison=Comparison.ANOMALOUS, threshold=-6.0, clears_at=None, critical_at=None)
    readings: list[Reading] = [(series("a"), 3.0, -7.0, 40.0), (series("b"), 99.0, 20.0, 40.0)]
    assert evaluate(rule, readings, ()) == {
        "a": Verdict(holds=True, value=3.0, usual=40.0, count=1, worst="phase design")
    }


# -- many projects at once --------------------------------------------------------------------------------

BAD, WELL = Verdict(holds=True, value=1.0, count=2), Verdict(holds=False)


def many(count: int) -> dict[str | None, Verdict]:
    return {f"p{number}": BAD for number in range(count)}


@pytest.mark.parametrize(("count", "open_in", "wanted"), [
    (4, set(), 4),
    (5, set(), 1),
    (100, set(), 1),
    (100, {"p1", "p2"}, 3),  # theirs stay their own
    (5, {"p0", "p1", "p2"}, 4),  # with these it is five
    (4, {"p0", "p1"}, 4),  # not five yet
    (5, {"p0", "p1", "p2", "p3"}, 5),  # also where the last one comes alone
    (1, {None}, 1),
    (3, {None, "p0"}, 2),
])  # fmt: skip
def test_what_is_breached_in_many_projects_is_one_alert(count: int, open_in: set, wanted: int) -> None:
    found = joined(many(count), open_in, 5, len(open_in - {None}))
    assert sum(verdict.holds for verdict in found.values()) == wanted
    own = {name for name in found if name is not None}
    assert own >= {name for name in open_in if name is not None}
    if None in found:
        assert found[None].count == 2 * (count - len(own))


def test_what_is_open_in_many_projects_for_long_joins_nobody() -> None:
    assert None not in joined(many(6), {"p0", "p1", "p2", "p3"}, 5, 2)


def test_the_gravest_speaks_for_all() -> None:
    found = {**many(6), "worst": replace(BAD, grave=True, value=7.0)}
    together = joined(found, (), 5)[None]
    assert (together.worst, together.value, together.grave) == ("worst", 7.0, True)


def test_one_for_many_is_over_when_none_of_them_is_breached() -> None:
    verdicts = evaluate(RULE, [reading("a", 1.0), reading("b", 2.0)], {None})
    assert joined(verdicts, {None}, 5)[None] == WELL
    verdicts = evaluate(RULE, [reading("a", 1.0), reading("b", 20.0)], {None})
    assert joined(verdicts, {None}, 5)[None].worst == "b"
    assert evaluate(RULE, [], {None}) == {}  # no data is no good news


# -- the built-in rules, and words ------------------------------------------------------------------------


@pytest.mark.parametrize("rule", BUILT_IN.values(), ids=lambda rule: rule.id)
def test_each_built_in_rule_makes_sense_and_says_a_sentence(rule: Rule) -> None:
    assert problem_of(rule) == ""
    assert rule.built_in
    assert rule.routes
    said = sentence(rule, project="shop", worst="phase design", count=3, value=0.5, usual=1.5)
    assert "{" not in said
    assert said.endswith("So it is with 2 more.")


def test_more_of_it_is_a_sentence_of_its_own() -> None:
    rule = replace(RULE, summary="{project} idles")
    said = sentence(rule, project="shop", worst="", count=3, value=0.0, usual=None)
    assert said == "shop idles. So it is with 2 more."


@pytest.mark.parametrize(("unit", "value", "wanted"), [
    (Unit.SECONDS, 0.2504, "250 ms"),
    (Unit.SECONDS, 90, "90 s"),
    (Unit.SECONDS, 600, "10 min"),
    (Unit.SECONDS, 7500, "2 h 5 min"),
    (Unit.SECONDS, 7200, "2 h"),
    (Unit.SECONDS, 259200, "3 days"),
    (Unit.BYTES, 4_500_000_000, "4.5 GB"),
    (Unit.BYTES, 12, "12 bytes"),
    (Unit.RATIO, 0.999, "99.9 %"),
    (Unit.DOLLARS, 3.2, "3.20 dollars"),
    (Unit.TOKENS, 1234567.0, "1,234,567 tokens"),
    (Unit.CORES, 0.5, "0.5 cores"),
    (Unit.NONE, 3.0, "3"),
    (Unit.NONE, 12345.0, "12,345"),
])  # fmt: skip
def test_values_are_said_as_people_read_them(unit: Unit, value: float, wanted: str) -> None:
    assert quantity(unit, value) == wanted
