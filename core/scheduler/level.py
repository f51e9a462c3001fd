"""PURE: how high a water level may rise before the first vessel is full.

Each project's use is flat up to where its floor ends, rises evenly from there, and is flat again from its
ceiling on. So the use of a resource is piecewise linear and never falls, and the level sought lies between
two neighbouring corners. A sorted sample of the corners is searched by halves; whoever has no corner between
the two that are found is a line there for good, and the few others are searched in the same way. That takes
O(n) altogether, needs no tolerance and comes to an end whatever the figures are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SAMPLE = 25  # projects whose corners are sorted: of 100,000, two rounds leave about two hundred


def used(part: Floats, tasks: Floats) -> Floats:
    """Of each resource. Not `part @ tasks`: that wakes a thread a core and waits for all of them, which takes
    longer than it saves, on a busy machine by any factor."""
    found: Floats = np.einsum("rn,n->r", part, tasks)
    return found


def rise(
    part: Floats, pace: Floats, low: Floats, high: Floats, left: Floats, start: float
) -> tuple[float, Flags]:
    """The highest level from `start` at which the use of no resource is above `left`, and which resource is
    used up there; `inf` and none when all may have `high`.

    `part`: r rows of what a task of each of n projects needs of a resource; n `pace`, tasks a level, above
    zero; `low` < `high`, which may be `inf`. At a level, a project has `clip(pace * level, low, high)` tasks.
    """
    with np.errstate(over="ignore"):
        starts, ends = low / pace, high / pace
    constant, slope = np.zeros(len(part)), np.zeros(len(part))
    below, above = start, np.inf
    while True:
        rests, full = starts >= above, ends <= below
        moves = (starts <= below) & (ends >= above)
        bends = np.flatnonzero(~(rests | full | moves))
        if len(bends) < len(pace):
            constant += used(part, np.where(full, high, np.where(rests, low, 0.0)))
            slope += used(part, np.where(moves, pace, 0.0))
            part, pace, low, high = part[:, bends], pace[bends], low[bends], high[bends]
            starts, ends = starts[bends], ends[bends]
        if not len(pace):
            break
        stride = len(pace) // _SAMPLE + 1
        corners = np.concatenate((starts[::stride], ends[::stride]))
        corners = np.sort(corners[(corners > below) & (corners < above)])
        first, last = 0, len(corners)
        while first < last:
            middle = (first + last) // 2
            at = corners[middle]
            if (constant + slope * at + used(part, np.clip(pace * at, low, high)) > left).any():
                above, last = float(at), middle
            else:
                below, first = float(at), middle + 1
    rest = left - constant - slope * below
    steps = np.full(len(left), np.inf)
    np.divide(rest, slope, out=steps, where=slope > 0.0)
    step = max(float(steps.min(initial=np.inf)), 0.0)
    return min(below + step, above), (steps <= step) & (steps < np.inf)
