"""PURE: what each project may use until the next pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.scheduler.account import Account
from core.scheduler.decision import Allocation
from core.scheduler.ledger import Ledger
from core.scheduler.resources import Resources


def allot(ledger: Ledger) -> tuple[Allocation, ...]:
    """What it holds after the starts, and its part by weight of what is left, up to its limit.

    The sum is never above the capacity; what is left over by those at their limit stays unallotted until
    the next pass. Where a resource is unlimited, it is unlimited for all who have no limit of their own.
    """
    accounts = list(ledger.accounts.values())
    weights = [max(account.weight, 0.0) for account in accounts]
    sum_of_weights = math.fsum(weights)
    # What is kept for a guarantee is its owner's.
    left = (
        [
            max(free - math.fsum(account.kept[at] for account in accounts if account.kept is not None), 0.0)
            if free < math.inf
            else math.inf
            for at, free in enumerate(ledger.free)
        ]
        if any(account.kept is not None for account in accounts)
        else [max(free, 0.0) for free in ledger.free]
    )
    parts = [amount / sum_of_weights if sum_of_weights > 0.0 else 0.0 for amount in left]
    return tuple(
        _allocation(account, parts, weight) for account, weight in zip(accounts, weights, strict=True)
    )


def _allocation(account: Account, parts: Sequence[float], weight: float) -> Allocation:
    u0, u1, u2, u3, u4, u5 = account.used
    if weight > 0.0:
        p0, p1, p2, p3, p4, p5 = parts
        u0 += p0 * weight
        u1 += p1 * weight
        u2 += p2 * weight
        u3 += p3 * weight
        u4 += p4 * weight
        u5 += p5 * weight
    if account.kept is not None:
        k0, k1, k2, k3, k4, k5 = account.kept
        u0, u1, u2, u3, u4, u5 = u0 + k0, u1 + k1, u2 + k2, u3 + k3, u4 + k4, u5 + k5
    amounts = Resources(u0, u1, u2, u3, u4, u5)
    held = Resources(*account.used)
    if account.bound:
        amounts = amounts.at_most(account.limit.at_least(held))
    return Allocation(account.name, amounts, held, account.share, account.entitled, account.weight)
