"""PURE: how high a water level may rise before the first vessel is full.

Each project's use is flat up to where its floor ends, rises evenly from there, and is flat again from its
ceiling on. So the use of a resource is piecewise linear and never falls, and the level sought lies between
two neighbouring corners. They are found as a selection finds its element: a corner splits the ones that are
left, the use there says which side counts, and projects without a corner on that side are a line for good.
That takes O(n) altogether, needs no tolerance and comes to an end whatever the figures are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SAMPLE = 256  # corners of which the middle one is taken


def rise(
    part: Floats, pace: Floats, low: Floats, high: Floats, left: Floats, start: float
) -> tuple[float, Flags]:
    """The highest level from `start` at which the use of no resource is above `left`, and which resource is
    used up there; `inf` and none when all may have `high`.

    `part`: n rows of what a task needs of r resources; n `pace`, tasks a level, above zero; `low` < `high`,
    which may be `inf`. At a level, a project has `clip(pace * level, low, high)` tasks.
    """
    with np.errstate(over="ignore"):
        corners = _Corners(part, pace, low, high)
    below, above = start, np.inf
    while (at := corners.middle(below, above)) is not None:
        if (corners.use(at) > left).any():
            above = at
        else:
            below = at
    # What is left is one line.
    rest = left - corners.constant - corners.slope * below
    steps = np.full(len(left), np.inf)
    np.divide(rest, corners.slope, out=steps, where=corners.slope > 0.0)
    step = max(float(steps.min(initial=np.inf)), 0.0)
    return min(below + step, above), (steps <= step) & (steps < np.inf)


class _Corners:
    """Projects with a corner between the bounds, and the use of the others as a line."""

    def __init__(self, part: Floats, pace: Floats, low: Floats, high: Floats) -> None:
        self._columns = part, pace, low, high, low / pace, high / pace
        self.constant = np.zeros(part.shape[1])
        self.slope = np.zeros(part.shape[1])

    def use(self, level: float) -> Floats:
        part, pace, low, high, _, _ = self._columns
        found: Floats = self.constant + self.slope * level + np.clip(pace * level, low, high) @ part
        return found

    def middle(self, below: float, above: float) -> float | None:
        """About the middle one of the corners between the bounds; None when there is none any more."""
        part, pace, low, high, starts, ends = self._columns
        rests, full = starts >= above, ends <= below
        moves = (starts <= below) & (ends >= above)
        settled = rests | full | moves
        if settled.any():
            self.constant += low[rests] @ part[rests] + high[full] @ part[full]
            self.slope += pace[moves] @ part[moves]
            open_ = ~settled
            part, pace, low, high, starts, ends = self._columns = (
                part[open_], pace[open_], low[open_], high[open_], starts[open_], ends[open_]
            )  # fmt: skip
        if not len(pace):
            return None
        stride = len(pace) // _SAMPLE + 1
        some = np.concatenate((starts[::stride], ends[::stride]))
        inside = some[(some > below) & (some < above)]
        return float(np.partition(inside, len(inside) // 2)[len(inside) // 2])
