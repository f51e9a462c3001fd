"""PURE: a decision's allocations in the form in which people and settings know them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.scheduler.decision import Allocation
from core.scheduler.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """`allocated_cpu_percent` is of all processors that Orchard may use. None: there is no limit."""

    project_name: str
    allocated_agents: int | None
    allocated_memory_mb: int | None
    allocated_cpu_percent: float
    priority_weight: float
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def quotas(allocations: Sequence[Allocation], capacity: Resources) -> tuple[Quota, ...]:
    """In the order of `allocations`. Whole agents and MB, the CPU to a tenth of a percent: rounded down, and
    what that leaves of agents goes to those who lost most by it, so that none lies idle by rounding."""
    agents = _whole([one.amounts.agents for one in allocations], [one.held.agents for one in allocations])
    return tuple(
        Quota(
            project_name=one.project,
            allocated_agents=whole,
            allocated_memory_mb=_floor(one.amounts.memory_mb),
            allocated_cpu_percent=_percent(one.amounts.cpu, capacity.cpu),
            priority_weight=one.weight,
            reason=one.reason,
        )
        for one, whole in zip(allocations, agents, strict=True)
    )


def _floor(amount: float) -> int | None:
    return int(amount + 1e-6) if math.isfinite(amount) else None


def _percent(cpu: float, capacity: float) -> float:
    """0 to 100; unlimited processors, or none to speak of: all of them."""
    if math.isinf(cpu) or math.isinf(capacity):
        return 100.0
    return math.floor(min(cpu / capacity, 1.0) * 1000.0 + 1e-6) / 10.0 if capacity > 0.0 else 0.0


def _whole(amounts: Sequence[float], held: Sequence[float]) -> list[int | None]:
    """Largest remainders, never above the sum of the amounts; nobody gets a whole one for what it has not
    a part of."""
    found = [_floor(amount) for amount in amounts]
    finite = [at for at, amount in enumerate(amounts) if math.isfinite(amount)]
    left = int(math.fsum(amounts[at] for at in finite) + 1e-6) - sum(found[at] or 0 for at in finite)
    by_rest = sorted(finite, key=lambda at: ((found[at] or 0) - amounts[at], held[at], at))
    for at in by_rest[: max(left, 0)]:
        if amounts[at] - (found[at] or 0) > 1e-6:
            found[at] = (found[at] or 0) + 1
    return found
