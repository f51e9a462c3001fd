"""PURE: which running tasks are parked so that a project gets back what others borrowed.

Taken is from whoever is furthest above its due (use over due, as Hadoop YARN's preemption of queues does),
never below that due, and never from one that is within the dead zone. A whole task or nothing: no task is
parked unless the one that waits can start then. Who was reclaimed from may not reclaim back, nor along a
chain (A from B, B from C, C from A), within the cool-down.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapify, heappop, heappush

from core.scheduler.account import Account, Amounts, Row
from core.scheduler.decision import Preemption
from core.scheduler.ledger import Ledger
from core.scheduler.resources import RESOURCES, SLACK, Resources
from core.scheduler.snapshot import TIERS, Reclaimed, RunningTask

EXACT = 1e-9  # shares that differ by less are the same


class Due(StrEnum):
    """Up to what a project may reclaim, and down to what it may be reclaimed from."""

    GUARANTEE = "guarantee"
    ENTITLEMENT = "entitlement"  # its guarantee, or more by its weight


@dataclass(frozen=True, slots=True, kw_only=True)
class ReclaimRules:
    """`dead_zone`: nobody loses anything who holds no more than (1 + dead_zone) times its due.
    `at_most`: tasks parked in one pass. `by_tier`: a task that may pre-empt takes from lower tiers."""

    due: Due = Due.GUARANTEE
    dead_zone: float = 0.1
    cooldown_seconds: float = 900.0
    at_most: int = 1000
    by_tier: bool = False


@dataclass(slots=True)
class _Side:
    """A project as it would be. `due` is a dominant share."""

    account: Account
    due: float
    used: Amounts
    share: float
    running: list[RunningTask] | None = None  # preemptible, the one to go first last

    def ratio(self) -> float:
        return self.share / self.due if self.due > 0.0 else math.inf

    def share_with(self, demand: Sequence[float], sign: float) -> float:
        return max(
            (used + sign * each) * part
            for used, each, part in zip(self.used, demand, self.account.inverse, strict=True)
        )

    def change(self, demand: Sequence[float], sign: float) -> None:
        self.share = self.share_with(demand, sign)
        a0, a1, a2, a3, a4, a5 = (used + sign * each for used, each in zip(self.used, demand, strict=True))
        self.used = (a0, a1, a2, a3, a4, a5)


def plan_reclaims(ledger: Ledger, rules: ReclaimRules) -> tuple[Preemption, ...]:
    """For the ledger as it is once nothing more fits. Takers come by how little of their due they hold."""
    if rules.due is Due.GUARANTEE and not rules.by_tier and not ledger.guarantees:
        return ()
    capacity = ledger.snapshot.capacity
    factor = 1.0 + rules.dead_zone
    victims, takers = [], []
    for account in ledger.accounts.values():
        due = _due(account, rules, capacity)
        if account.tasks_running and (account.share > due * factor + EXACT or rules.by_tier):
            victims.append(account.name)
        if account.rows and (account.share < due - EXACT or (rules.by_tier and _next_may_preempt(account))):
            takers.append(account.name)
    if not victims or not takers:
        return ()
    sides = {
        name: _Side(
            account=account, due=_due(account, rules, capacity), used=account.used, share=account.share
        )
        for name, account in ledger.accounts.items()
    }
    return _Plan(ledger, rules, sides, victims).of([(sides[name].ratio(), name) for name in takers])


def _due(account: Account, rules: ReclaimRules, capacity: Resources) -> float:
    if rules.due is Due.ENTITLEMENT:
        return account.entitled
    if not account.floor:
        return 0.0
    share = account.guaranteed.share(capacity)
    return share if share < math.inf else 0.0


def _next_may_preempt(account: Account) -> bool:
    return any(row.tasks and row.tasks[-1].may_preempt for row in account.rows.values())


class _Plan:
    def __init__(
        self, ledger: Ledger, rules: ReclaimRules, sides: Mapping[str, _Side], victims: Sequence[str]
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._sides = sides
        self._victims = victims
        self._running = {project.name: project.running for project in ledger.snapshot.projects}
        self._free = list(ledger.free)
        self._took = took_from(ledger.snapshot.reclaimed, ledger.snapshot.now, rules.cooldown_seconds)
        self._found: list[Preemption] = []
        for project in ledger.snapshot.projects:
            for task in project.running:
                if task.parking:  # its room is as good as free, so it is not asked for twice
                    self._free = [free + each for free, each in zip(self._free, task.demand, strict=True)]
                    sides[project.name].change(task.demand, -1.0)

    def of(self, takers: list[tuple[float, str]]) -> tuple[Preemption, ...]:
        heapify(takers)
        done: dict[int, int] = defaultdict(int)  # tasks served, by row
        while takers and len(self._found) < self._rules.at_most:
            _, name = heappop(takers)
            side = self._sides[name]
            for row in sorted(
                (row for row in side.account.rows.values() if len(row.tasks) > done[row.number]),
                key=lambda row: self._ledger.order_of(row.tasks[-1 - done[row.number]]),
            ):
                if self._serve(side, row, row.tasks[-1 - done[row.number]].may_preempt):
                    done[row.number] += 1
                    heappush(takers, (side.ratio(), name))
                    break
        return tuple(self._found)

    def _serve(self, taker: _Side, row: Row, may_preempt: bool) -> bool:
        """Finds room for one task of the taker, or changes nothing."""
        demand = row.demand
        by_tier = self._rules.by_tier and may_preempt
        limit = taker.account.limit
        if any(
            used + need > high + SLACK * max(need, 1.0)
            for used, need, high in zip(taker.used, demand, limit, strict=True)
        ):
            return False  # it is at its own maximum: what is given back would be of no use to it
        if not by_tier and taker.share_with(demand, 1.0) > taker.due + EXACT:
            return False
        if not taker.account.tasks_running and self._ledger.at_work >= self._most_projects():
            return False
        picks = self._pick(taker, demand, by_tier)
        if picks is None:
            return False
        for victim, task, preemption in picks:
            self._found.append(preemption)
            self._took[taker.account.name].add(victim.account.name)
            assert victim.running is not None
            victim.running.remove(task)
        self._free = [free - need for free, need in zip(self._free, demand, strict=True)]
        taker.change(demand, 1.0)
        return True

    def _most_projects(self) -> float:
        return self._ledger.snapshot.max_concurrent_projects

    def _pick(
        self, taker: _Side, demand: Resources, by_tier: bool
    ) -> list[tuple[_Side, RunningTask, Preemption]] | None:
        """Tasks that make room; their resources are counted as free. None, and nothing changed: there are
        not enough."""
        before = list(self._free)
        picked: list[tuple[_Side, RunningTask, Preemption]] = []
        heap = [
            (-self._sides[name].ratio(), -self._sides[name].share, name)
            for name in self._victims
            if self._may_take(taker, self._sides[name], by_tier)
        ]
        heapify(heap)
        gone: set[str] = set()
        while short := self._short(demand):
            if not heap or len(self._found) + len(picked) >= self._rules.at_most:
                for side, parked, _ in picked:
                    side.change(parked.demand, 1.0)
                self._free = before
                return None
            _, _, name = heappop(heap)
            victim = self._sides[name]
            task = self._task_of(victim, short, gone, by_tier)
            if task is None:
                continue
            by_guarantee = self._rules.due is not Due.ENTITLEMENT
            told = _preemption(taker, victim, task, short, by_guarantee=by_guarantee)
            picked.append((victim, task, told))
            gone.add(task.id)
            victim.change(task.demand, -1.0)
            self._free = [free + each for free, each in zip(self._free, task.demand, strict=True)]
            heappush(heap, (-victim.ratio(), -victim.share, name))
        return picked

    def _short(self, demand: Resources) -> list[int]:
        return [
            at
            for at, (need, free) in enumerate(zip(demand, self._free, strict=True))
            if need > 0.0 and need > free + SLACK * max(need, 1.0)
        ]

    def _may_take(self, taker: _Side, victim: _Side, by_tier: bool) -> bool:
        if victim is taker or reaches(self._took, victim.account.name, taker.account.name):
            return False
        if by_tier:
            return victim.account.tier > taker.account.tier
        return victim.share > victim.due * (1.0 + self._rules.dead_zone) + EXACT

    def _task_of(
        self, victim: _Side, short: Sequence[int], gone: set[str], by_tier: bool
    ) -> RunningTask | None:
        """The least important, of these the one that began last: the least work waits."""
        if victim.running is None:
            started = [task for task in self._running[victim.account.name] if _may_go(task)]
            started.sort(key=lambda task: (TIERS.get(task.priority, 2), task.started_at, task.id))
            victim.running = started
        for task in reversed(victim.running):
            if task.id in gone or not any(task.demand[at] > 0.0 for at in short):
                continue
            if by_tier or victim.share_with(task.demand, -1.0) >= victim.due - EXACT:
                return task
        return None


def _may_go(task: RunningTask) -> bool:
    return task.preemptible and not task.parking


def _preemption(
    taker: _Side, victim: _Side, task: RunningTask, short: Sequence[int], *, by_guarantee: bool
) -> Preemption:
    at = next(at for at in short if task.demand[at] > 0.0)
    return Preemption(
        task_id=task.id,
        victim=victim.account.name,
        taker=taker.account.name,
        frees=task.demand,
        victim_share=victim.share,
        victim_entitled=victim.due,
        taker_share=taker.share,
        taker_entitled=taker.due,
        short=RESOURCES[at],
        by_guarantee=by_guarantee,
    )


def took_from(
    reclaimed: Sequence[Reclaimed], now: float, cooldown_seconds: float
) -> defaultdict[str, set[str]]:
    """Who took from whom within the cool-down. One from the future (a clock that jumped) counts."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in reclaimed:
        if not now - one.at > cooldown_seconds:
            found[one.taker].add(one.victim)
    return found


def reaches(took: Mapping[str, set[str]], start: str, end: str) -> bool:
    """Whether `start` took from `end`, or along a chain of takers."""
    seen, queue = {start}, [start]
    while queue:
        for victim in took.get(queue.pop(), ()):
            if victim == end:
                return True
            if victim not in seen:
                seen.add(victim)
                queue.append(victim)
    return False
