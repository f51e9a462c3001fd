"""PURE: what is shared between projects, and amounts of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from operator import itemgetter
from typing import NamedTuple


class Resource(StrEnum):
    """In the order of the fields of Resources."""

    AGENTS = "agents"  # agents at work at once
    CYCLES = "cycles"  # stories at work at once
    CPU = "cpu"  # processor cores
    MEMORY_MB = "memory_mb"
    DISK_MB = "disk_mb"
    TOKENS_PER_MINUTE = "tokens_per_minute"


RESOURCES = tuple(Resource)
COUNT = len(RESOURCES)

# Ten tasks of 0.1 cores fit into one core although the sum of the floats may be a hair above it.
SLACK = 1e-9
_MANY = 8192  # of more amounts, each resource is summed by itself: other threads may run in between


class Resources(NamedTuple):
    """Amounts, one a resource, in its unit. As a limit or a capacity `inf` means: not limited.

    A tuple and not a dataclass: the scheduler takes it apart some hundred thousand times a second. `+` and
    `<` are a tuple's; for arithmetic there are the methods.
    """

    agents: float = 0.0
    cycles: float = 0.0
    cpu: float = 0.0
    memory_mb: float = 0.0
    disk_mb: float = 0.0
    tokens_per_minute: float = 0.0

    @classmethod
    def of(cls, amounts: Mapping[str, float], default: float = 0.0) -> Resources:
        """From names to amounts; a name that is no resource is a KeyError."""
        if unknown := amounts.keys() - _NAMES:
            raise KeyError(f"no such resource: {', '.join(sorted(unknown))}")
        return cls(*(float(amounts.get(name, default)) for name in RESOURCES))

    def named(self) -> dict[str, float]:
        return {name.value: amount for name, amount in zip(RESOURCES, self, strict=True)}

    def get(self, resource: Resource) -> float:
        return self[_PLACE[resource]]

    def plus(self, other: Resources) -> Resources:
        return Resources(*[a + b for a, b in zip(self, other, strict=True)])

    def minus(self, other: Resources) -> Resources:
        """May be below zero; what is not limited stays so, also when `inf` is taken from it."""
        return Resources(*[math.inf if a == math.inf else a - b for a, b in zip(self, other, strict=True)])

    def times(self, factor: float) -> Resources:
        return Resources(*[a * factor if a else 0.0 for a in self])

    def at_most(self, other: Resources) -> Resources:
        return Resources(*map(min, self, other))

    def at_least(self, other: Resources) -> Resources:
        return Resources(*map(max, self, other))

    def fits(self, free: Resources) -> bool:
        """Whether each amount is there, with a slack of one part in 10^9 for the rounding of floats."""
        return all(a <= b + SLACK * (b if b > 1.0 else 1.0) for a, b in zip(self, free, strict=True))

    def share(self, capacity: Resources) -> float:
        """The dominant share: the largest part of any resource that this is (Ghodsi et al., NSDI 2011).

        A resource without limit is nobody's dominant one. Of a resource that there is none of, any
        amount is an infinite share.
        """
        return max(_part(a, c) for a, c in zip(self, capacity, strict=True))

    def dominant(self, capacity: Resources) -> Resource:
        """The resource of the dominant share; the first one at a tie."""
        parts = [_part(a, c) for a, c in zip(self, capacity, strict=True)]
        return RESOURCES[parts.index(max(parts))]


NOTHING = Resources()
UNLIMITED = Resources(*[math.inf] * COUNT)

_NAMES = frozenset(name.value for name in RESOURCES)
_PLACE = {name: place for place, name in enumerate(RESOURCES)}


def _part(amount: float, capacity: float) -> float:
    if amount <= 0.0 or capacity == math.inf:
        return 0.0
    return amount / capacity if capacity > 0.0 else math.inf


def total(amounts: Sequence[tuple[float, ...]]) -> Resources:
    """Their sum, exact to the last bit whatever their order (math.fsum)."""
    if len(amounts) > _MANY:
        return Resources(*[math.fsum(map(itemgetter(at), amounts)) for at in range(COUNT)])
    return Resources(*map(math.fsum, zip(*amounts, strict=True))) if amounts else NOTHING


_UNITS = {  # of one, of several
    Resource.AGENTS: ("agent", "agents"),
    Resource.CYCLES: ("parallel story", "parallel stories"),
    Resource.CPU: ("core", "cores"),
    Resource.MEMORY_MB: ("MB of memory", "MB of memory"),
    Resource.DISK_MB: ("MB of disk", "MB of disk"),
    Resource.TOKENS_PER_MINUTE: ("token a minute", "tokens a minute"),
}


def worded(resource: Resource, amount: float) -> str:
    """Such as "1,024 MB of memory"; whole numbers without a point."""
    if math.isinf(amount):
        return f"unlimited {_UNITS[resource][1]}"
    text = f"{amount:,.2f}".rstrip("0").rstrip(".") if amount % 1 else f"{amount:,.0f}"
    return f"{text} {_UNITS[resource][text != '1']}"


def called(resource: Resource) -> str:
    """Such as "agents" or "memory"."""
    return _UNITS[resource][1].removeprefix("MB of ")


def come_free(resource: Resource, amount: float) -> str:
    """What has to happen for so much more of it: "1 more agent comes free"; whole MB, rounded up."""
    if resource in (Resource.MEMORY_MB, Resource.DISK_MB) and math.isfinite(amount):
        amount = float(math.ceil(amount))
    number, _, unit = worded(resource, amount).partition(" ")
    return f"{number} more {unit} {'comes' if number == '1' else 'come'} free"


def is_or_are(amount: float) -> str:
    """Of an amount as it is shown."""
    return "is" if f"{amount:,.6g}" == "1" else "are"


def percent(share: float) -> str:
    return f"{share * 100:.0f} %" if math.isfinite(share) else "more than all"
