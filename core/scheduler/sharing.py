"""PURE: one resource shared by weight, and what each project is entitled to.

Weighted max-min fairness with a floor and a ceiling each, as Hadoop YARN's ComputeFairShares has it: there
is one level R, and each share is `weight * R`, but not below its guarantee and not above its limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.scheduler.resources import NOTHING, UNLIMITED, Resources
from core.scheduler.snapshot import ProjectShare


def share_out(
    capacity: float, weights: Sequence[float], floors: Sequence[float], ceilings: Sequence[float]
) -> list[float]:
    """Shares in the unit of `capacity`, whose sum is `capacity`, or less when the ceilings leave no place.

    Floors whose sum is above the capacity are all cut by the same factor. A floor counts no further than
    its ceiling. A weight of zero or less gets its floor. Everything is finite but ceilings, which may be
    `inf`. O(n log n): the level is found by going through the points where a share starts or ends to rise.
    """
    floors = [min(low, high) for low, high in zip(floors, ceilings, strict=True)]
    promised = math.fsum(floors)
    if promised >= capacity:
        cut = max(capacity, 0.0) / promised if promised > 0.0 else 0.0
        return [low * cut for low in floors]
    steps: list[tuple[float, float, float]] = []  # level, change of slope, change of the constant part
    for weight, low, high in zip(weights, floors, ceilings, strict=True):
        if weight > 0.0 and high > low:
            steps.append((low / weight, weight, -low))
            if high != math.inf:
                steps.append((high / weight, -weight, high))
    steps.sort()
    slope, constant, level = 0.0, promised, 0.0
    for at, change, jump in steps:
        if slope > 0.0 and constant + slope * at >= capacity:
            break
        slope += change
        constant += jump
        level = at
    # Slopes that have cancelled out leave a rest of rounding, never a level.
    if slope > 1e-12 * max(weights, default=0.0):
        level = max(level, (capacity - constant) / slope)
    return [
        min(max(weight * level, low), high) if weight > 0.0 else low
        for weight, low, high in zip(weights, floors, ceilings, strict=True)
    ]


def entitlements(projects: Sequence[ProjectShare], capacity: Resources) -> list[float]:
    """The dominant share that each project may count on now, 0 to 1, in the order of `projects`.

    Shared among the projects that hold or want something, by weight, never below what the guarantee is a
    share of and never above what the limit allows. One that neither holds nor wants anything gets what it
    would have if it came; that is beside the sum of the others, which is 1 at most.
    """
    busy = [place for place, project in enumerate(projects) if _is_busy(project)]
    found = [0.0] * len(projects)
    weights = [max(projects[place].weight, 0.0) for place in busy]
    if (plain := _plain_shares(projects, busy, weights, capacity)) is not None:
        shares = plain
    else:
        floors = [_guarantee(projects[place], capacity) for place in busy]
        ceilings = [_ceiling(projects[place], capacity) for place in busy]
        shares = share_out(1.0, weights, floors, ceilings)
    for place, share in zip(busy, shares, strict=True):
        found[place] = share
    if len(busy) < len(projects):
        sum_of_weights = math.fsum(weights)
        for place, project in enumerate(projects):
            if not _is_busy(project):
                weight = max(project.weight, 0.0)
                share = weight / (sum_of_weights + weight) if weight else 0.0
                found[place] = min(
                    max(share, _guarantee(project, capacity)), _ceiling(project, capacity), 1.0
                )
    return found


def _plain_shares(
    projects: Sequence[ProjectShare], busy: Sequence[int], weights: Sequence[float], capacity: Resources
) -> list[float] | None:
    """Shares by weight alone, where no guarantee and no limit can bind; None where one may.

    The dominant share at the limit is at least the smallest part of any capacity that the limit is.
    """
    sum_of_weights = math.fsum(weights)
    if sum_of_weights <= 0.0:
        return None
    parts = [(at, 1.0 / there) for at, there in enumerate(capacity) if 0.0 < there < math.inf]
    shares = [weight / sum_of_weights for weight in weights]
    for place, share in zip(busy, shares, strict=True):
        project = projects[place]
        if project.guaranteed is not NOTHING:
            return None
        limit = project.limit
        if limit is not UNLIMITED:
            for at, part in parts:
                if limit[at] * part < share:
                    return None
    return shares


def _is_busy(project: ProjectShare) -> bool:
    return bool(project.waiting) or (project.used is not NOTHING and any(project.used))


def _guarantee(project: ProjectShare, capacity: Resources) -> float:
    if project.guaranteed is NOTHING:
        return 0.0
    share = project.guaranteed.share(capacity)
    return share if share != math.inf else 0.0


def _ceiling(project: ProjectShare, capacity: Resources) -> float:
    """How large the dominant share can grow under the limit, for tasks such as the project has."""
    if project.limit is UNLIMITED:
        return 1.0
    shape = min(project.waiting).demand if project.waiting else project.used  # by id: whatever the order
    tasks, share = math.inf, 0.0
    for high, each, there in zip(project.limit, shape, capacity, strict=True):
        if each > 0.0:
            if (fitting := high / each) < tasks:
                tasks = fitting
            if there == 0.0:
                return 1.0
            if (part := each / there) > share:
                share = part
    return min(tasks * share, 1.0) if tasks < math.inf and share > 0.0 else 1.0
