"""Weighted dominant resource fairness for tasks that may be divided, by water filling. Pure, with numpy.

Every project's weighted dominant share rises at the same pace, the level. When a resource is used up, who
needs it stops, and the others rise on (progressive filling; Ghodsi et al., NSDI 2011, section 4.2, with the
extension to zero demands of Parkes, Procaccia and Shah, EC 2012). The result has sharing incentive,
envy-freeness, strategy-proofness and population monotonicity, none of which whole tasks have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEPS = 200  # of the search for a level; it needs about ten
_EXACT = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Division:
    """`tasks`: how many of each project, a fraction too; `shares`: dominant shares, 0 to 1; `level`: the
    weighted dominant share that those who want more have reached last."""

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
    zero, an infinite demand) gets nothing, as does one that needs what there is none of. One that needs
    nothing gets `most`, or `least` where that is infinite. ValueError: shapes that do not fit together.
    O(n r) a step, about ten steps for each resource that runs out.
    """
    there = np.nan_to_num(np.asarray(capacity, float), nan=0.0, posinf=np.inf, neginf=0.0).clip(min=0.0)
    need = np.asarray(demands, float).reshape(-1, len(there))
    count = len(need)
    weight, low, high = (
        _column(weights, 1.0, count),
        _column(least, 0.0, count),
        _column(most, np.inf, count),
    )
    ok = np.isfinite(need).all(axis=1) & (need >= 0.0).all(axis=1) & np.isfinite(weight) & (weight >= 0.0)
    ok &= np.isfinite(low) & (low >= 0.0) & (high >= 0.0)  # NaN compares false
    ok &= ~((need > 0.0) & (there == 0.0)).any(axis=1)
    if not ok.all():
        need, weight = np.where(ok[:, None], need, 0.0), np.where(ok, weight, 0.0)
        low, high = np.where(ok, low, 0.0), np.where(ok, high, 0.0)
    finite = (there > 0.0) & np.isfinite(there)
    part = need[:, finite] / there[finite]  # of the capacity, by one task; from here on there is 1 of each
    dominant = part.max(axis=1, initial=0.0)
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


def _fitting(low: Floats, part: Floats) -> Floats:
    """Guarantees, each cut by the scarcest resource that it needs."""
    promised = low @ part
    if (promised <= 1.0).all():
        return low
    cut = 1.0 / np.maximum(promised, 1.0)
    factors: Floats = np.where(part > 0.0, cut, 1.0).min(axis=1, initial=1.0)
    found: Floats = low * factors
    return found


def _fill(part: Floats, dominant: Floats, weight: Floats, low: Floats, high: Floats) -> tuple[Floats, float]:
    needs_nothing = dominant <= 0.0
    tasks = np.where(needs_nothing & np.isfinite(high), high, low)
    pace = np.divide(weight, dominant, out=np.zeros_like(weight), where=~needs_nothing)  # tasks a level
    rising = np.flatnonzero((pace > 0.0) & (high > low))
    left = 1.0 - np.delete(tasks, rising) @ np.delete(part, rising, axis=0) if len(rising) else None
    level = 0.0
    while len(rising):
        assert left is not None
        whole = len(rising) == len(part)
        of, at, floor, roof = (
            (part, pace, low, high) if whole else (part[rising], pace[rising], low[rising], high[rising])
        )
        level, found, used = _level(of, at, floor, roof, left, level)
        tasks[rising] = found
        full = used >= left * (1.0 - 1e-9) - _EXACT
        stops = (of[:, full] > 0.0).any(axis=1) | (found >= roof)
        if not stops.any():
            break
        left = left - found[stops] @ of[stops]
        rising = rising[~stops]
    return tasks, level


def _level(
    part: Floats, pace: Floats, low: Floats, high: Floats, left: Floats, start: float
) -> tuple[float, Floats, Floats]:
    """The lowest level from `start` at which a resource is used up or all have what they want; the tasks
    and the use there.

    The use is piecewise linear and rising. Newton's step along the present slopes is exact once no project
    changes piece; it may pass the root where guarantees end, so it is kept within a bracket.
    """
    below, above = start, np.inf
    level = start
    used_by = part.any(axis=0)
    for _ in range(_STEPS):
        raw = pace * level
        tasks = np.clip(raw, low, high)
        used = tasks @ part
        rest = left - used
        if (rest[used_by] < -_EXACT).any():
            above = level
        else:
            below = level
            if (rest[used_by] <= _EXACT).any():
                break
        # Piece by piece: who is between floor and roof rises; at its floor it will begin to.
        moving = np.where((raw >= low) & (raw < high), pace, 0.0)
        slope = moving @ part
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.where(slope > 0.0, rest / slope, np.inf)
        step = float(steps[used_by].min(initial=np.inf))
        if step == np.inf:  # nobody rises here: on to the next floor that is reached
            waiting = low[raw < low] / pace[raw < low]
            if not len(waiting):
                break
            following = float(waiting.min())
        else:
            following = level + step
        if not below < following < above:
            if above == np.inf or above - below <= _EXACT * max(above, 1.0):
                level = below
                break
            following = (below + above) / 2.0
        level = following
    level = below  # never the far side of a step
    tasks = np.clip(pace * level, low, high)
    return level, tasks, tasks @ part
