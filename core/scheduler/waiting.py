"""PURE: what each waiting task waits for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from core.scheduler.account import Account, Row
from core.scheduler.decision import Obstacle, Wait
from core.scheduler.ledger import Ledger
from core.scheduler.resources import RESOURCES, SLACK, Resources


def explain_waits(ledger: Ledger) -> Iterator[Wait]:
    """One a project and kind of task, once nothing more fits; by project's name."""
    holders = _Holders(ledger)
    capacity = ledger.snapshot.capacity
    full = ledger.at_work >= ledger.snapshot.max_concurrent_projects
    for account in ledger.accounts.values():
        rows = account.rows.values()
        for row in sorted(rows, key=_by_demand) if len(rows) > 1 else rows:
            if not row.tasks:
                continue
            ids = tuple([task.id for task in reversed(row.tasks)])
            if (at := _first_above(row.demand, capacity)) is not None:
                yield _wait(
                    row, ids, Obstacle.TOO_LARGE, at, 0.0, capacity[at], detail="the whole machine has"
                )
            elif account.bound and (at := _first_above(row.demand, account.limit)) is not None:
                limit = account.limit[at]
                yield _wait(
                    row, ids, Obstacle.TOO_LARGE, at, 0.0, limit, detail=f"the limit of {account.name} is"
                )
            elif account.bound and (at := _first_above(row.demand, account.room)) is not None:
                yield _wait(row, ids, Obstacle.LIMIT, at, account.room[at], account.limit[at])
            elif account is ledger.draining:
                yield _wait(row, ids, Obstacle.DRAINING)
            elif full and not account.tasks_running:
                most = ledger.snapshot.max_concurrent_projects
                yield _wait(row, ids, Obstacle.PROJECTS, capacity=most)
            elif (at := _first_above(row.demand, ledger.free)) is not None:
                holder, held = holders.of(at)
                free = ledger.free[at]
                yield _wait(row, ids, Obstacle.CAPACITY, at, free, capacity[at], holder, held)
            else:
                yield _kept(ledger, row, ids)


class _Holders:
    """Who holds most of a resource; looked up once each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._found: dict[int, tuple[str, float]] = {}

    def of(self, at: int) -> tuple[str, float]:
        if at not in self._found:
            most: Account | None = max(
                self._ledger.accounts.values(), key=lambda account: account.used[at], default=None
            )
            outside = self._ledger.snapshot.outside[at]
            if most is None or most.used[at] < outside:
                self._found[at] = ("something outside Orchard", outside)
            else:
                self._found[at] = (most.name, most.used[at])
        return self._found[at]


def _by_demand(row: Row) -> Resources:
    return row.demand


def _kept(ledger: Ledger, row: Row, ids: tuple[str, ...]) -> Wait:
    at = _first_above(row.demand, ledger.open_for(row))
    if ledger.holding is not None and ledger.holding is not row:
        task = ledger.holding.tasks[-1]
        waited = (ledger.snapshot.now - task.submitted_at) / 60.0
        detail = f"{task.id} has waited {waited:,.0f} minutes and goes first"
        return _wait(row, ids, Obstacle.KEPT, at, holder=ledger.holding.account.name, detail=detail)
    return _wait(row, ids, Obstacle.KEPT, at, detail="guarantees that are not lent")


def _first_above(demand: Sequence[float], there: Sequence[float]) -> int | None:
    """The place of the resource of which there is too little; the first, so that the words are stable."""
    d0, d1, d2, d3, d4, d5 = demand
    t0, t1, t2, t3, t4, t5 = there
    if d0 <= t0 and d1 <= t1 and d2 <= t2 and d3 <= t3 and d4 <= t4 and d5 <= t5:
        return None
    for at, (need, free) in enumerate(zip(demand, there, strict=True)):
        if need > 0.0 and need > free + SLACK * (free if 1.0 < free < math.inf else 1.0):
            return at
    return None


def _wait(
    row: Row,
    ids: tuple[str, ...],
    obstacle: Obstacle,
    at: int | None = None,
    free: float = 0.0,
    capacity: float = 0.0,
    holder: str = "",
    held: float = 0.0,
    detail: str = "",
) -> Wait:
    account = row.account
    short = None if at is None else RESOURCES[at]
    needed = 0.0 if at is None else row.demand[at]
    return Wait(
        account.name, ids, obstacle, short, needed, free, capacity,
        account.share, account.entitled, holder, held, detail,
    )  # fmt: skip
