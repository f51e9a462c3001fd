"""PURE: weighted dominant resource fairness for tasks that may be divided, by water filling.

Every project's weighted dominant share rises at the same pace, the level. When a resource is used up, who
needs it stops, and the others rise on (progressive filling; Ghodsi et al., NSDI 2011, section 4.2, with the
extension to zero demands of Parkes, Procaccia and Shah, EC 2012). Without guarantees the result has sharing
incentive, envy-freeness, strategy-proofness and, where all need something of everything, population
monotonicity: none of which whole tasks have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.scheduler.level import Floats, rise, used

_EXACT = 1e-9  # a resource of which no more than this part is left is used up
_LARGEST = 1e15  # of any figure that is counted with; a task may need this part of a capacity, or 1 / this


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Division:
    """`tasks`: how many of each project, a fraction too; `shares`: dominant shares, 0 to 1; `level`: the
    weighted dominant share that those who want more have reached last, the largest weight counting 1."""

    tasks: Floats
    shares: Floats
    level: float


def divide(
    capacity: npt.ArrayLike,
    demands: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    least: npt.ArrayLike | None = None,
    most: npt.ArrayLike | None = None,
) -> Division:
    """`capacity`: r amounts, `inf` is unlimited; `demands`: n rows of r amounts of one task of each project;
    `weights`: n, default 1; `least`: n tasks that are guaranteed; `most`: n tasks, what is wanted or allowed.

    Guarantees that do not fit together are cut. A project with a figure that makes no sense (NaN, below
    zero, infinite or above 10^15 where it may not be) gets nothing, as does one that needs what there is none
    of. One that needs nothing gets `most`, or `least` where that is infinite. ValueError: shapes that do not
    fit together. O(n r) for each resource that runs out.
    """
    there = np.nan_to_num(np.asarray(capacity, float), nan=0.0, posinf=np.inf, neginf=0.0).clip(min=0.0)
    need = np.asarray(demands, float).reshape(-1, len(there))
    count = len(need)
    weight = _column(weights, 1.0, count)
    low, high = _column(least, 0.0, count), _column(most, np.inf, count)
    finite = (there > 0.0) & np.isfinite(there)
    with np.errstate(over="ignore", invalid="ignore"):
        # Of the capacity, by one task: from here on there is 1 of each resource. A row a resource, since long
        # rows are what numpy is quick with.
        part = np.empty((int(finite.sum()), count))
        np.divide(need.T if finite.all() else need.T[finite], there[finite, None], out=part)
        dominant = part.max(axis=0, initial=0.0)
        ok = _countable(need, weight, low, high) & (dominant <= _LARGEST)
    if (there == 0.0).any():
        ok &= ~(need[:, there == 0.0] > 0.0).any(axis=1)
    if not ok.all():
        part, dominant, weight = (
            np.where(ok, part, 0.0),
            np.where(ok, dominant, 0.0),
            np.where(ok, weight, 0.0),
        )
        low, high = np.where(ok, low, 0.0), np.where(ok, high, 0.0)
    low = _fitting(np.minimum(low, high), part)
    tasks, level = _fill(part, dominant, weight, low, high)
    return Division(tasks=tasks, shares=tasks * dominant, level=level)


def _column(values: npt.ArrayLike | None, default: float, count: int) -> Floats:
    if values is None:
        return np.full(count, default)
    found = np.asarray(values, float)
    if found.shape != (count,):
        raise ValueError(f"there are {count} projects, but a column of shape {found.shape}")
    return found


def _countable(need: Floats, weight: Floats, low: Floats, high: Floats) -> npt.NDArray[np.bool_]:
    """Whose figures all make sense. NaN compares false."""
    found: npt.NDArray[np.bool_] = (weight >= 0.0) & (weight <= _LARGEST)
    found &= (low >= 0.0) & (low <= _LARGEST) & (high >= 0.0)
    if not (need.size == 0 or (need.min() >= 0.0 and need.max() <= _LARGEST)):
        found &= ((need >= 0.0) & (need <= _LARGEST)).all(axis=1)
    return found


def _fitting(low: Floats, part: Floats) -> Floats:
    """Guarantees, each cut by the scarcest resource that it needs."""
    promised = used(part, low)
    if (promised <= 1.0).all():
        return low
    cut = 1.0 / np.maximum(promised, 1.0)
    factors: Floats = np.where(part > 0.0, cut[:, None], 1.0).min(axis=0, initial=1.0)
    found: Floats = low * factors
    return found


def _fill(part: Floats, dominant: Floats, weight: Floats, low: Floats, high: Floats) -> tuple[Floats, float]:
    """The tasks, and the last level. Each round uses up a resource: there are no more rounds than those."""
    needs_nothing = dominant <= 0.0
    tasks = np.where(needs_nothing & np.isfinite(high), high, low)
    heaviest = weight.max(initial=0.0)
    may_rise = (weight > heaviest / _LARGEST) & ~needs_nothing & (high > low)
    left = 1.0 - used(part, np.where(may_rise, 0.0, tasks))
    rising = np.flatnonzero(may_rise)
    if len(rising) < len(tasks):
        part, dominant, weight = part[:, rising], dominant[rising], weight[rising]
        low, high = low[rising], high[rising]
    pace = weight / (heaviest * dominant)  # tasks a level
    level = 0.0
    while len(rising):
        level, full = rise(part, pace, low, high, left, level)
        found = np.clip(pace * level, low, high)
        tasks[rising] = found
        if level == np.inf:
            level = float((high / pace).max())
            break
        full |= left - used(part, found) <= _EXACT
        stops = (part[full] > 0.0).any(axis=0) | (found >= high)
        stays = np.flatnonzero(~stops)
        if not len(stays):
            break
        left = left - used(part, np.where(stops, found, 0.0))
        rising, part, pace, low, high = rising[stays], part[:, stays], pace[stays], low[stays], high[stays]
    return tasks, level
