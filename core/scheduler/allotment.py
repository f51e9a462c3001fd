"""PURE: what each project may use until the next pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.scheduler.account import Account
from core.scheduler.decision import Allocation
from core.scheduler.ledger import Ledger
from core.scheduler.resources import COUNT, NOTHING, Resource, Resources, worded

_AHEAD = 4.0  # what is expected makes a project's part of the rest at most so many times as large again


def allot(ledger: Ledger, *, foresight: bool = False) -> tuple[Allocation, ...]:
    """What it holds after the starts, and its part by weight of what is left, up to its limit.

    The sum is never above the capacity; what is left over by those at their limit stays unallotted until
    the next pass. `foresight`: who is expected to need more soon gets a larger part of the rest.
    """
    accounts = list(ledger.accounts.values())
    weights = [max(account.weight, 0.0) for account in accounts]
    details = [""] * len(accounts)
    if foresight:
        for at, project in enumerate(ledger.snapshot.projects):
            growth = _growth(accounts[at], project.expected, ledger.snapshot.capacity)
            if growth > 0.0:
                weights[at] *= 1.0 + growth
                agents = worded(Resource.AGENTS, round(project.expected.agents, 1))
                details[at] = f"It is expected to want {agents} soon."
    sum_of_weights = math.fsum(weights)
    left = [max(free, 0.0) for free in ledger.free]
    keeping = [account.kept for account in accounts if account.kept is not None]
    if keeping:  # what is kept for a guarantee is its owner's; promises above what is left are cut alike
        kept = [math.fsum(amounts[at] for amounts in keeping) for at in range(COUNT)]
        cuts = [min(there / each, 1.0) if each > 0.0 else 0.0 for there, each in zip(left, kept, strict=True)]
        left = [max(there - each, 0.0) for there, each in zip(left, kept, strict=True)]
    else:
        cuts = [0.0] * COUNT
    parts = [amount / sum_of_weights if sum_of_weights > 0.0 else 0.0 for amount in left]
    return tuple(
        _allocation(account, parts, weight, cuts, detail)
        for account, weight, detail in zip(accounts, weights, details, strict=True)
    )


def _growth(account: Account, expected: Resources, capacity: Resources) -> float:
    """How much more it will hold, as a part of what it is entitled to; at most _AHEAD."""
    if expected is NOTHING or account.entitled <= 0.0:
        return 0.0
    more = expected.share(capacity) - account.share
    return min(max(more, 0.0) / account.entitled, _AHEAD)


def _allocation(
    account: Account, parts: Sequence[float], weight: float, cuts: Sequence[float], detail: str
) -> Allocation:
    u0, u1, u2, u3, u4, u5 = account.used
    if weight > 0.0:
        p0, p1, p2, p3, p4, p5 = parts
        u0 += p0 * weight
        u1 += p1 * weight
        u2 += p2 * weight
        u3 += p3 * weight
        u4 += p4 * weight
        u5 += p5 * weight
    amounts = Resources(u0, u1, u2, u3, u4, u5)
    if account.kept is not None:
        amounts = amounts.plus(Resources(*[own * cut for own, cut in zip(account.kept, cuts, strict=True)]))
    held = Resources(*account.used)
    if account.bound and not _is_within(amounts, account.limit):
        amounts = amounts.at_most(account.limit.at_least(held))
    return Allocation(account.name, amounts, held, account.share, account.entitled, account.weight, detail)


def _is_within(amounts: Resources, limit: Resources) -> bool:
    a0, a1, a2, a3, a4, a5 = amounts
    l0, l1, l2, l3, l4, l5 = limit
    return a0 <= l0 and a1 <= l1 and a2 <= l2 and a3 <= l3 and a4 <= l4 and a5 <= l5
