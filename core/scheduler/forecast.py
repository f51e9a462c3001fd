"""PURE: what a project will want soon, from what it wanted at this time of the week, its backlog and how
long its phases take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from core.scheduler.resources import Resource, Resources, worded

HOURS = 168
_MONDAY = 72  # 1 January 1970 was a Thursday: hours from the Monday before
_TRUST = 2.0  # so many observations of an hour count as much as what is known of the whole week


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekProfile:
    """The agents that were wanted in each hour of the week (UTC, from Monday 00:00), recent weeks more.

    `weights` is how much has been seen of each hour: one a whole hour, fading like the mean.
    """

    means: tuple[float, ...] = (0.0,) * HOURS
    weights: tuple[float, ...] = (0.0,) * HOURS

    def observe(
        self, *, at: float, agents: float, seconds: float = 300.0, half_life_weeks: float = 4.0
    ) -> WeekProfile:
        """With one more sample: `agents` were at work or waited for, for `seconds` until `at` (epoch).

        A sample that makes no sense (NaN, below zero, infinite) changes nothing.
        """
        if not (math.isfinite(at) and math.isfinite(agents) and agents >= 0.0 and 0.0 < seconds < math.inf):
            return self
        hour = hour_of_week(at)
        new = min(seconds / 3600.0, 1.0)
        # An hour comes once a week, so what was seen of it fades by its share of the half-life in samples.
        old = self.weights[hour] * 0.5 ** (new / max(half_life_weeks, 1e-6))
        means, weights = list(self.means), list(self.weights)
        weights[hour] = old + new
        means[hour] = (means[hour] * old + agents * new) / weights[hour]
        return replace(self, means=tuple(means), weights=tuple(weights))

    def mean(self) -> float:
        """Over the hours that were seen; 0 when none was."""
        seen = math.fsum(self.weights)
        return math.fsum(m * w for m, w in zip(self.means, self.weights, strict=True)) / seen if seen else 0.0

    def wanted(self, start: float, seconds: float) -> float:
        """The most of the hours from `start`; an hour seen little leans on the mean of the week."""
        if not math.isfinite(start):
            return self.mean()
        base = self.mean()
        last = start + max(min(seconds, HOURS * 3600.0), 0.0)
        hours = {hour_of_week(start), hour_of_week(last)}
        hours |= {hour_of_week(start + 3600.0 * step) for step in range(int((last - start) // 3600.0) + 1)}
        return max(
            (self.means[hour] * self.weights[hour] + base * _TRUST) / (self.weights[hour] + _TRUST)
            for hour in hours
        )


def hour_of_week(at: float) -> int:
    """0 is Monday 00:00 to 01:00 UTC; `at` is finite epoch seconds."""
    return int(at // 3600.0 + _MONDAY) % HOURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """The mean length of a phase in seconds, recent ones more; `count` is how many it is made of."""

    mean_seconds: float = 0.0
    count: int = 0

    def observe(self, seconds: float, *, memory: int = 20) -> Durations:
        """With one more; one that makes no sense changes nothing. The last `memory` count most."""
        if not (math.isfinite(seconds) and seconds >= 0.0):
            return self
        part = 1.0 / min(self.count + 1, max(memory, 1))
        return Durations(
            mean_seconds=self.mean_seconds + part * (seconds - self.mean_seconds), count=self.count + 1
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Agents wanted at once within the horizon: by the week's habit, and to do what waits."""

    agents: float
    by_week: float
    by_backlog: float
    reason: str


def forecast(
    *,
    now: float,
    horizon_seconds: float,
    profile: WeekProfile,
    durations: Durations,
    backlog_phases: int,
    most_agents: float = math.inf,
) -> Forecast:
    """`backlog_phases` are phases that could run one after the other or at once; the rest is history.

    By Little's law (L = lambda * W) the backlog keeps `phases * mean length / horizon` agents busy through
    the horizon; at once it can use no more agents than it has phases, and at least one.
    """
    by_week = profile.wanted(now, horizon_seconds)
    backlog = float(max(backlog_phases, 0))
    if backlog and durations.count and horizon_seconds > 0.0:
        by_backlog = min(backlog, max(backlog * durations.mean_seconds / horizon_seconds, 1.0))
    else:
        by_backlog = min(backlog, 1.0) if durations.count else backlog
    agents = min(max(by_week, by_backlog), max(most_agents, 0.0))
    return Forecast(
        agents=agents,
        by_week=by_week,
        by_backlog=by_backlog,
        reason=(
            f"is expected to want {worded(Resource.AGENTS, round(agents, 1))} within "
            f"{horizon_seconds / 60:.0f} minutes: {by_week:.3g} as usual at this time of the week"
            f"{_for_backlog(by_backlog, backlog_phases, durations)}"
        ),
    )


def _for_backlog(agents: float, phases: int, durations: Durations) -> str:
    if phases <= 0:
        return ""
    waiting = "the phase that waits" if phases == 1 else f"the {phases:,} phases that wait"
    minutes = durations.mean_seconds / 60
    mean = f", {minutes:.2g} minutes each" if durations.count and minutes >= 1 else ""
    return f", {agents:.3g} for {waiting}{mean}"


def expected_resources(wanted: Forecast, each: Resources) -> Resources:
    """For ProjectShare.expected, from what one agent's phase needs."""
    return each.times(wanted.agents)
