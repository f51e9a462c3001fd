"""PURE: use of the past, halved every half-life.

As Kueue's admission fair sharing counts it (https://kueue.sigs.k8s.io/docs/concepts/admission_fair_sharing/):
each sample moves the use by `A = 1 - 0.5^(elapsed / half_life)` of the way to what is held now, and each
admission counts at once with A of what it asks for, the entry penalty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from core.scheduler.resources import Resources

HALF_LIFE_SECONDS = 168 * 3600.0
SAMPLE_SECONDS = 300.0


def decay_factor(elapsed_seconds: float, half_life_seconds: float) -> float:
    """A, 0 to 1. A clock that went back (or is no number) is no time at all; no half-life: nothing stays."""
    if not half_life_seconds > 0.0:
        return 1.0
    if not elapsed_seconds > 0.0:
        return 0.0
    return -math.expm1(-math.log(2.0) * elapsed_seconds / half_life_seconds)


def decayed_use(
    old: Resources, held: Resources, *, elapsed_seconds: float, half_life_seconds: float = HALF_LIFE_SECONDS
) -> Resources:
    """After `elapsed_seconds` in which `held` was held; never above the larger of the two."""
    part = decay_factor(elapsed_seconds, half_life_seconds)
    return Resources(*[was + part * (now - was) for was, now in zip(old, held, strict=True)])


def entry_penalty(
    request: Resources,
    *,
    sample_seconds: float = SAMPLE_SECONDS,
    half_life_seconds: float = HALF_LIFE_SECONDS,
) -> Resources:
    """What an admission counts at once, before the next sample sees it."""
    return request.times(decay_factor(sample_seconds, half_life_seconds))


def weighted_use(
    used: Mapping[str, float], resource_weights: Mapping[str, float], weight: float = 1.0
) -> float:
    """The sum of what is used times what each resource counts (1 where nothing is said), over the weight.

    A weight of zero or less, or one that is no number, gives infinity, never NaN.
    """
    if not weight > 0.0:
        return math.inf
    return math.fsum(amount * resource_weights.get(name, 1.0) for name, amount in used.items()) / weight
