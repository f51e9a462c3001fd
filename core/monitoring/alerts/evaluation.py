"""Which rules are breached, by which series, in which project. PURE.

A breach begins beyond the threshold and ends at `clears_at`: in between it depends on whether the alert is
open. What has no data is neither breached nor clear.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from core.domain.alert import Rule
from core.domain.alert_rules import direction
from core.domain.metric import METRICS, Labels
from core.monitoring.alerts.wording import labels_in_words

Reading = tuple[Labels, float, float, float | None]
"""A series, its value, what is compared with the threshold (of anomalies, deviations), and what is usual."""

Projects = Mapping[str | None, "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of one rule in one project. `holds`: breached, or not over yet; else there is data and all is well.
    `count`: series that hold, of which `worst` is the gravest and `value` is its."""

    holds: bool
    grave: bool = False
    value: float = 0.0
    usual: float | None = None
    count: int = 0
    worst: str = ""


@dataclass(slots=True)
class _Tally:
    count: int
    score: float
    reading: Reading


_WELL = Verdict(holds=False)


def evaluate(
    rule: Rule, readings: Sequence[Reading], open_in: Collection[str | None]
) -> dict[str | None, Verdict]:
    """By project (None: the system) a verdict where the rule is breached, and where its alert is open and
    there is data. `open_in`: where it is open. What is no finite number is no data."""
    sign = direction(rule)
    threshold = sign * rule.threshold
    clears = threshold if rule.clears_at is None else sign * rule.clears_at
    least = clears if open_in else threshold
    of_projects = METRICS[rule.metric].labels[:1] == ("project",)
    wanted = tuple(rule.match.items())
    tallies: dict[str | None, _Tally] = {}
    seen: set[str | None] = set()
    for reading in readings:
        labels = reading[0]
        if wanted and not _fits(labels, wanted):
            continue
        score = sign * reading[2]
        if not score > least:
            if open_in and math.isfinite(score):
                seen.add(labels[0][1] if of_projects else None)
            continue
        project = labels[0][1] if of_projects else None
        if not math.isfinite(score) or not math.isfinite(reading[1]):
            continue
        if score <= threshold and project not in open_in:
            seen.add(project)
            continue
        tally = tallies.get(project)
        if tally is None:
            tallies[project] = _Tally(1, score, reading)
            continue
        tally.count += 1
        if score > tally.score:
            tally.score, tally.reading = score, reading
    critical = math.inf if rule.critical_at is None else sign * rule.critical_at
    found = {project: _verdict(tally, critical) for project, tally in tallies.items()}
    if of_projects and None in open_in and (seen or found):
        found[None] = _WELL  # of several projects at once: `joined` says which hold it open
    for project in seen:
        if project in open_in and project not in found:
            found[project] = _WELL
    return found


def joined(
    found: Projects, open_in: Collection[str | None], most: int, recent: int = 0
) -> dict[str | None, Verdict]:
    """One alert for many projects: where a rule is breached in `most` of them or more at once, or one after
    the other, those whose alert is not open yet share one, under None, and so do those that follow while it
    is open. `recent`: projects whose own alert began a short while ago."""
    fresh = {name: v for name, v in found.items() if v.holds and name is not None and name not in open_in}
    if not fresh or (None not in open_in and len(fresh) + recent < most):
        return dict(found)
    gravest = next(iter(fresh))
    for name, verdict in fresh.items():
        if (verdict.grave, verdict.count) > (fresh[gravest].grave, fresh[gravest].count):
            gravest = name
    together = replace(
        fresh[gravest], count=sum(verdict.count for verdict in fresh.values()), worst=str(gravest)
    )
    return {**{name: v for name, v in found.items() if name not in fresh}, None: together}


def _fits(labels: Labels, wanted: tuple[tuple[str, str], ...]) -> bool:
    return all(pair in labels for pair in wanted)


def _verdict(tally: _Tally, critical: float) -> Verdict:
    labels, value, _, usual = tally.reading
    return Verdict(
        holds=True,
        grave=tally.score >= critical,
        value=value,
        usual=usual,
        count=tally.count,
        worst=labels_in_words(labels),
    )
