"""PURE: numbers that look drawn at random and follow from a seed: the same ones on every machine, for ever.

SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): a counter
with a fixed step, each value stirred. Not for secrets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_STEP = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class Chance:
    """Another stream for each seed and list of labels, so that one more draw here moves nothing there."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, *labels: str) -> None:
        text = "\0".join((str(seed), *labels)).encode()
        self._state = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")

    def part(self) -> float:
        """From 0 to below 1."""
        self._state = (self._state + _STEP) & _WORD
        word = self._state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
        return ((word ^ (word >> 31)) >> 11) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.part()

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self.part() * len(choices))]

    def around(self, median: float, spread: float) -> float:
        """Log-normal, as the lengths of work are: `spread` is the deviation of its logarithm (Box-Muller)."""
        normal = math.sqrt(-2.0 * math.log(1.0 - self.part())) * math.cos(2.0 * math.pi * self.part())
        return median * math.exp(spread * normal)
