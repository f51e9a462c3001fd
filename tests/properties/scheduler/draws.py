"""Many random figures for the price of one draw: hypothesis draws bytes, and each choice takes the next one.

Hypothesis makes a failing example small by making its bytes zero: the first of all choices is the plainest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Draws:
    """When the bytes are used up, every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def number(self, below: int) -> int:
        """From 0; `below` is 256 at most."""
        return next(self._data, 0) % below

    def of(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices))]

    def many(self, make: Callable[[int], T], most: int) -> list[T]:
        return [make(at) for at in range(self.number(most + 1))]


def several(make: Callable[[Draws], T], *, count: int = 4, size: int = 200) -> st.SearchStrategy[list[T]]:
    """`count` of them an example, each from `size` bytes."""
    return st.binary(min_size=count * size, max_size=count * size).map(
        lambda data: [make(Draws(data[at * size : (at + 1) * size])) for at in range(count)]
    )
