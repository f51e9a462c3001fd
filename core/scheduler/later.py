"""PURE: a sequence that is worked out when it is first looked at, and then stays.

A pass is run for its starts; who waits for what is asked for one story at a time, by people. What is worked
out is settled when the pass ends: it does not matter when it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, overload

T = TypeVar("T")


class Later(Sequence[T]):
    """Equal to any sequence of the same items."""

    __slots__ = ("_items", "_make")

    def __init__(self, make: Callable[[], Iterable[T]]) -> None:
        self._make: Callable[[], Iterable[T]] | None = make
        self._items: tuple[T, ...] = ()

    def all(self) -> tuple[T, ...]:
        if self._make is not None:
            self._items = tuple(self._make())
            self._make = None  # lets go of what it was made from
        return self._items

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[T]: ...
    def __getitem__(self, place: int | slice) -> T | Sequence[T]:
        return self.all()[place]

    def __len__(self) -> int:
        return len(self.all())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and self.all() == tuple(other)

    def __hash__(self) -> int:
        return hash(self.all())

    def __repr__(self) -> str:
        return repr(self.all())
