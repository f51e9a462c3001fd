"""PURE: progressive filling of many plain projects at once, with numpy: who starts, in which order.

A heap gives one start after the other. Where a project's rank depends on nothing but its share, all its next
ranks can be worked out beforehand, for all projects together; sorted, they are the order in which the heap
would have come to them, and it holds up to the first that does not fit. Sums are made one by one in that very
order, so that the figures are the heap's to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from operator import is_
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.scheduler.level import Flags, Floats
from core.scheduler.resources import COUNT, SLACK

Places = npt.NDArray[np.intp]
Ranks = Callable[[Floats, Places], Floats]  # of the projects at such places, at such shares

_STEPS = 64  # tasks of a project that are looked at
CHUNK = 8192  # tuples taken apart or made at once: other threads wait meanwhile


class Filling(NamedTuple):
    """`who`: the projects' places, one a start, in order; `shares`: dominant shares once each has started;
    `counts`: starts of each project; `used`: by each; `free`: what is left."""

    who: Places
    shares: Floats
    counts: Places
    used: Floats
    free: Floats


def columns(amounts: Sequence[Sequence[float]]) -> Floats:
    """One column a tuple, one row a resource."""
    found = np.empty((COUNT, len(amounts)))
    if amounts and all(map(is_, amounts, repeat(amounts[0]))):  # as where nobody holds anything
        found[:] = np.array(amounts[0])[:, None]
        return found
    for start in range(0, len(amounts), CHUNK):
        part = amounts[start : start + CHUNK]
        flat = np.fromiter(chain.from_iterable(part), float, len(part) * COUNT)
        found[:, start : start + len(part)] = flat.reshape(-1, COUNT).T
    return found


def fill(
    free: Sequence[float],
    inverse: Sequence[float],
    *,
    used: Floats,
    demands: Floats,
    limits: Floats,
    tasks: Places,
    ranks: Ranks,
    before: float,
) -> Filling:
    """`used`, `demands` and `limits`: r rows, n columns; `tasks`: how many each project has; `ranks` never
    fall as a share grows; `before`: only starts of a lower rank.

    Ends where one does not fit, or where a project has more tasks than are looked at.
    """
    part = np.array(inverse)[:, None]
    room = np.array(free)
    at, now, need, high, left = np.arange(len(tasks)), used, demands, limits, tasks
    rank = ranks((now * part).max(axis=0), at)
    steps: list[tuple[Places, Floats, Floats]] = []
    for step in range(1, _STEPS + 1):
        may = _may_grow(now, need, high)
        if not may.all():
            at, now, need, high, left = at[may], now[:, may], need[:, may], high[:, may], left[may]
            rank = rank[may]
        now = now + need
        share = (now * part).max(axis=0)
        steps.append((at, rank, share))
        more = left > step
        if not more.all():
            at, now, need, high, left = at[more], now[:, more], need[:, more], high[:, more], left[more]
            share = share[more]
        rank = ranks(share, at)
        if not len(at):
            break
        if step & (step - 1) == 0:  # once in a while: is what comes before all that is to come too much?
            first = rank.min()
            asked = sum(demands[:, who[low < first]].sum(axis=1) for who, low, _ in steps)
            if (asked > room).any():
                break
    return _in_order(room, used, demands, steps, min(before, float(rank.min(initial=math.inf))))


def _may_grow(used: Floats, need: Floats, limit: Floats) -> Flags:
    """As Account.may_grow_by: with a slack for rounding, and whatever is held of what is not needed."""
    inside = np.asarray((used + need <= limit).all(axis=0))
    if inside.all():
        return inside
    close = (need <= limit - used + SLACK * np.maximum(need, 1.0)) | (need == 0.0)
    return np.asarray(inside | close.all(axis=0))


def _in_order(
    room: Floats,
    used: Floats,
    demands: Floats,
    steps: Sequence[tuple[Places, Floats, Floats]],
    before: float,
) -> Filling:
    who, rank, share = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    early = np.flatnonzero(rank < before)
    order = early[np.lexsort((who[early], rank[early]))]  # stable: a project's own starts stay in order
    who = who[order]
    needs = demands.take(who, axis=1)  # other threads may run meanwhile, as they may not while it is indexed
    free = np.subtract.accumulate(np.concatenate((room[:, None], needs), axis=1), axis=1)
    fits = (needs <= free[:, :-1]).all(axis=0)
    end = len(who) if fits.all() else int(fits.argmin())
    counts = np.bincount(who[:end], minlength=used.shape[1])
    after = used
    for step in range(int(counts.max(initial=0))):
        after = np.where(counts > step, after + demands, after)
    return Filling(who[:end], share[order[:end]], counts, after, free[:, end])
