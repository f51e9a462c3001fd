"""PURE: what came of a week under one strategy, and several side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.scheduler.resources import Resources

QUANTILES = 100  # of the waits, for a chart: one each percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """In seconds, from when a phase could have run (its project had a place for it and was at work) to its
    start. Those that still wait at the end count as long as they waited. Of none all are 0."""

    count: int = 0
    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    longest: float = 0.0
    too_long: int = 0  # above the patience

    @classmethod
    def of(cls, seconds: Sequence[float], patience_seconds: float) -> Waits:
        """`seconds` in order, the shortest first."""
        if not seconds:
            return cls()
        return cls(
            count=len(seconds),
            mean=math.fsum(seconds) / len(seconds),
            p50=quantile(seconds, 0.5),
            p95=quantile(seconds, 0.95),
            longest=seconds[-1],
            too_long=sum(1 for one in seconds if one > patience_seconds),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOutcome:
    """`held` and `due` are mean dominant shares, 0 to 1, of the times at which something waited: what it had,
    and what it could count on, which is never more than it wanted. `satisfied` is held over due; above 1 it
    had what others could not use. None: it wanted nothing while there was not enough."""

    name: str
    weight: float
    held: float
    due: float
    waits: Waits
    stories: int
    done: int

    @property
    def satisfied(self) -> float | None:
        return self.held / self.due if self.due > 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """The mean of what was held, and of how many phases waited."""

    at: float
    used: Resources
    waiting: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Counts of stories: each one that arrived is done, at work, or waits (for room, for its own project's
    turn, for people, or because it can never run)."""

    strategy: str
    week: str
    jain: float
    contended: float  # the part of the time at which something waited, 0 to 1
    waits: Waits
    wait_quantiles: tuple[float, ...]  # 0 to 100 %, one each percent
    projects: tuple[ProjectOutcome, ...]
    hours: tuple[Hour, ...]
    utilisation: Resources  # mean part of the capacity that was held, 0 to 1; 0 of what is unlimited
    peak: Resources
    capacity: Resources
    stories: int
    done: int
    at_work: int
    waiting: int
    turnaround_seconds: float | None  # mean, from a story's arrival to its end; None: none was done
    phases: int  # that ended
    preemptions: int
    problems: tuple[str, ...] = ()

    @property
    def worst(self) -> ProjectOutcome | None:
        """Who got least of what was due."""
        judged = [one for one in self.projects if one.satisfied is not None]
        return min(judged, key=lambda one: (one.satisfied, one.name)) if judged else None


def jain(shares: Sequence[float]) -> float:
    """Jain's index, (sum x)^2 / (n sum x^2): 1 where all have the same, 1/n where one has everything; 1 of
    none. Jain, Chiu and Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984."""
    squares = math.fsum(share * share for share in shares)
    return math.fsum(shares) ** 2 / (len(shares) * squares) if squares > 0.0 else 1.0


def quantile(ordered: Sequence[float], part: float) -> float:
    """Of values in order, at least one; between two of them by the line (the common definition, R's 7th)."""
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def used_part(used: Resources, capacity: Resources) -> Resources:
    """Of each resource; 0 of what is unlimited or not there."""
    return Resources(
        *[
            min(amount / there, 1.0) if 0.0 < there < math.inf else 0.0
            for amount, there in zip(used, capacity, strict=True)
        ]
    )


_ALIKE = {"jain": 0.01, "p95": 0.05, "turnaround": 0.02}  # figures that differ by less are as good


def suggestion(outcomes: Sequence[Outcome], patience_seconds: float) -> tuple[str, ...]:
    """What the figures say, in sentences; figures that hardly differ name nobody."""
    if not outcomes:
        return ()
    if max(one.contended for one in outcomes) < 0.01:
        return ("There was nearly always room for everyone: any strategy will do with such a load.",)
    if len(outcomes) == 1:
        return (_alone(outcomes[0], patience_seconds),)
    found = [
        _best("was fairest", [(one.jain, one.strategy) for one in outcomes], _ALIKE["jain"], most=True),
        _best(
            "kept waits shortest",
            [(one.waits.p95, one.strategy) for one in outcomes],
            _ALIKE["p95"] * max(one.waits.p95 for one in outcomes),
        ),
    ]
    if all(one.turnaround_seconds is not None for one in outcomes):
        times = [(one.turnaround_seconds or 0.0, one.strategy) for one in outcomes]
        found.append(_best("finished stories soonest", times, _ALIKE["turnaround"] * max(times)[0]))
    longest = [(one.waits.longest, one.strategy) for one in outcomes]
    if max(longest)[0] > patience_seconds:
        found.append(_best("kept the longest wait shortest", longest, 0.05 * max(longest)[0]))
    said = [sentence for sentence in found if sentence]
    return tuple(said) or ("The strategies did alike: any of them will do with such a load.",)


def _alone(one: Outcome, patience_seconds: float) -> str:
    fair = "shared fairly" if one.jain >= 0.9 else "shared unevenly"
    late = one.waits.too_long
    long = f"{late:,} phases waited" if late != 1 else "1 phase waited"
    long = f"{long} more than {patience_seconds / 60:g} minutes" if late else "nobody waited too long"
    return f"{one.strategy} {fair} (Jain's index {one.jain:.2f}), and {long}."


def _best(what: str, figures: Sequence[tuple[float, str]], alike: float, *, most: bool = False) -> str:
    """Those that are as good as the best one; empty when all are."""
    best = max(figures)[0] if most else min(figures)[0]
    names = [name for figure, name in figures if abs(figure - best) <= alike]
    if len(names) == len(figures):
        return ""
    said = what.replace("was ", "were ", 1) if len(names) > 1 else what
    return f"{', '.join(names[:-1])}{' and ' if names[1:] else ''}{names[-1]} {said}."
