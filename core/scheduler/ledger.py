"""PURE: who holds what, who waits, and who starts next; live, so that one event costs microseconds.

Projects whose turn it may be lie in a heap by rank. One that does not fit is parked and looked at again
only when something is released. A whole pass is the same thing run until nothing fits: what is left then is
too little for every task that still waits (Pareto efficiency), but for what is kept on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count

from core.scheduler.account import Account, Amounts, Row, TaskOrder, fill_rows, task_order
from core.scheduler.crowd import start_crowd, told_apart
from core.scheduler.decision import Rule, Start
from core.scheduler.filling import Ranks
from core.scheduler.parked import Parked
from core.scheduler.resources import NOTHING, SLACK, Resources, total
from core.scheduler.sharing import entitlements
from core.scheduler.snapshot import ProjectShare, Snapshot, Task

# Ranks are whole numbers of this part of a share, so that equal shares are equal whatever was rounded.
FINE = 1e12
WEIGHTLESS = 1e18  # rank of what has no weight: after all others
OVERDUE = -2e12  # rank of what waited too long: before all others, the longest first

_ALONE: TaskOrder = (0, 0.0, "")  # nothing else has the same place, so that it does not matter
_CROWD = 200  # plain projects; below, the heap is quicker than numpy's overhead

# Rank of a project's next task, lower first. Below zero, down to -FINE: it is below its guarantee.
Ranking = Callable[[Account, Row], float]
# The same for many projects without guarantees, where it depends on nothing but the project and its share.
ManyRanks = Callable[[Sequence[Account]], Ranks]
_Entry = tuple[float, int, TaskOrder, int, Row]


class _Lane:
    """Projects that may start now are in one heap; what did not fit is parked beside it."""

    __slots__ = ("heap", "parked")

    def __init__(self) -> None:
        self.heap: list[_Entry] = []
        self.parked = Parked()


class Ledger:
    """Made of a sound snapshot (core.scheduler.soundness). Times and ranks are as of its `now`.

    A task that waited `patience_seconds` goes before all others, and when it does not fit, what it needs is
    held back for it: else small tasks could pass a large one for ever.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        rule: Rule,
        patience_seconds: float = math.inf,
        ties_by_name: bool = True,
    ) -> None:
        self.snapshot = snapshot
        self._ranking: Ranking = _no_rank
        self._rule = rule
        self._ties_by_name = ties_by_name
        self._overdue_since = snapshot.now - patience_seconds if math.isfinite(snapshot.now) else -math.inf
        self._numbers = count()
        self._rows: list[Row] = []
        capacity = snapshot.capacity
        i0, i1, i2, i3, i4, i5 = (1.0 / there if 0.0 < there < math.inf else 0.0 for there in capacity)
        self._inverse: Amounts = (i0, i1, i2, i3, i4, i5)
        s0, s1, s2, s3, s4, s5 = (SLACK * max(there, 1.0) if there < math.inf else 0.0 for there in capacity)
        self._slack: Amounts = (s0, s1, s2, s3, s4, s5)
        self.holding: Row | None = None  # what is held back is for its next task
        self._lanes = (_Lane(), _Lane())  # projects at work, projects that are not
        self._divided = snapshot.max_concurrent_projects != math.inf
        self._released = False
        self.accounts: dict[str, Account] = {}
        shares = entitlements(snapshot.projects, capacity)
        for place, project in enumerate(snapshot.projects):
            self.accounts[project.name] = self._account(project, place, shares[place])
        self.free = self._not_taken()
        self.at_work = sum(1 for account in self.accounts.values() if account.tasks_running)
        self._keepers = [account for account in self.accounts.values() if account.kept is not None]
        self._keeps = bool(self._keepers)
        self.guarantees = any(account.floor for account in self.accounts.values())
        self._kept: Amounts | None = None  # in all; None: to be summed anew
        self.open = self._raw = self.free
        self._open_again()
        self.draining: Account | None = None

    def _not_taken(self) -> Amounts:
        taken = [account.used for account in self.accounts.values() if account.used is not NOTHING]
        f0, f1, f2, f3, f4, f5 = self.snapshot.capacity.minus(total([self.snapshot.outside, *taken]))
        return (f0, f1, f2, f3, f4, f5)

    def _account(self, project: ProjectShare, place: int, entitled: float) -> Account:
        account = Account(project, place, self._inverse, entitled)
        if project.waiting:
            fill_rows(account, project.waiting, self._overdue_since, self._numbers)
            self._rows += account.rows.values()
        return account

    def rank_all(self, ranking: Ranking) -> None:
        """Puts every row where it belongs; to be called once, before anything else."""
        self._ranking = ranking
        for account in self.accounts.values():
            heap = self._lane_of(account).heap
            for row in account.rows.values():
                heap.append(self._entry(account, row))
        for lane in self._lanes:
            heapify(lane.heap)
        idle = self._lanes[1].heap
        if idle and idle[0][0] <= OVERDUE and self.at_work >= self.snapshot.max_concurrent_projects >= 1:
            # Projects that always have work would keep the others out for ever: the one that is done soonest
            # starts nothing more.
            self.draining = min(
                (account for account in self.accounts.values() if account.tasks_running),
                key=lambda account: (account.tasks_running, account.place),
            )

    def _lane_of(self, account: Account) -> _Lane:
        return self._lanes[1 if self._divided and not account.tasks_running else 0]

    def _entry(self, account: Account, row: Row, rank: float | None = None) -> _Entry:
        """`rank`, where it is known already."""
        task = row.tasks[-1]
        row.version += 1
        if rank is None:
            came = task[2]
            if came <= self._overdue_since:
                rank = OVERDUE - (self.snapshot.now - came) * 1e3
            else:
                rank = self._ranking(account, row)
        if self._ties_by_name and len(account.rows) == 1:
            return (rank, account.place, _ALONE, row.version, row)
        order = task_order(task, self._overdue_since)
        return (rank, account.place if self._ties_by_name else 0, order, row.version, row)

    def order_of(self, task: Task) -> TaskOrder:
        return task_order(task, self._overdue_since)

    # -- deciding ----------------------------------------------------------------------------

    def next(self) -> Start | None:
        """Starts the task whose turn it is; None when nothing that waits fits."""
        while True:
            if self._released:
                self._unpark()
            lane = self._lane() if self._lanes[1].heap else self._lanes[0]
            if lane is None or not lane.heap:
                return None
            entry = lane.heap[0]
            row = entry[4]
            account = row.account
            if entry[3] != row.version or not row.tasks or account is self.draining:
                heappop(lane.heap)
                continue
            d0, d1, d2, d3, d4, d5 = row.demand
            special = self._keeps or self.holding is not None
            f0, f1, f2, f3, f4, f5 = self.open_for(row) if special else self.open
            if not (d0 <= f0 and d1 <= f1 and d2 <= f2 and d3 <= f3 and d4 <= f4 and d5 <= f5):
                heappop(lane.heap)
                if not account.bound or account.may_grow_by(row.demand):
                    self._park(lane, entry)
            elif account.bound and not account.may_grow_by(row.demand):
                heappop(lane.heap)  # it comes again when something of its own ends
            else:
                return self._start(lane, row, entry[0])

    def starts(self) -> list[Start]:
        """All that start now: `next` until nothing fits."""
        found: list[Start] = []
        if not (self._keeps or self._divided or self._released or self.holding):
            self._sweep(found, self.open)
        while (start := self.next()) is not None:
            found.append(start)
        return found

    def whole_pass(self, ranking: Ranking, many: ManyRanks | None = None) -> list[Start]:
        """`rank_all` and `starts`. With `many`, a crowd of plain projects is not ranked one by one."""
        may = self._ties_by_name and not (self._keeps or self._divided)
        plain, others = told_apart(
            self._rows if may and len(self._rows) >= _CROWD else (), self._overdue_since
        )
        if many is None or len(plain) < _CROWD:
            self.rank_all(ranking)
            return self.starts()
        self._ranking = ranking
        lane = self._lanes[0]
        heap = [self._entry(row.account, row) for row in others]
        before = min(heap)[0] if heap else math.inf
        found: list[Start] = []
        crowd = start_crowd(plain, self.open, many, before=before, rule=self._rule, found=found)
        for row, rank, fits in zip(crowd.rows, crowd.ranks, crowd.fits, strict=True):
            if fits:
                heap.append((rank, row.account.place, _ALONE, row.version, row))
            else:
                lane.parked.add(row.number, rank, row.demand)
                row.parked = lane.parked
        lane.heap = heap
        heapify(heap)
        self.at_work = sum(1 for account in self.accounts.values() if account.tasks_running)
        self._sweep(found, crowd.free)
        while (start := self.next()) is not None:
            found.append(start)
        return found

    def _sweep(self, found: list[Start], room: Amounts) -> None:
        """What `next` would start one by one, where nothing is kept or held back and there is one lane; ends
        early before an overdue task that does not fit. At each start only plain numbers are touched."""
        lane = self._lanes[0]
        heap = lane.heap
        usual, make = self._rule, tuple.__new__
        o0, o1, o2, o3, o4, o5 = room
        while heap:
            rank, _, _, version, row = heap[0]
            tasks, account, demand = row.tasks, row.account, row.demand
            if version != row.version or not tasks:
                heappop(heap)
                continue
            d0, d1, d2, d3, d4, d5 = demand
            if not (d0 <= o0 and d1 <= o1 and d2 <= o2 and d3 <= o3 and d4 <= o4 and d5 <= o5):
                if rank <= OVERDUE:
                    break
                self._park_misfits(lane, (o0, o1, o2, o3, o4, o5))
                continue
            if account.bound and not account.may_grow_by(demand):
                heappop(heap)
                continue
            u0, u1, u2, u3, u4, u5 = account.used
            u0, u1, u2, u3, u4, u5 = used = (u0 + d0, u1 + d1, u2 + d2, u3 + d3, u4 + d4, u5 + d5)
            task = tasks.pop()
            o0, o1, o2, o3, o4, o5 = o0 - d0, o1 - d1, o2 - d2, o3 - d3, o4 - d4, o5 - d5
            i0, i1, i2, i3, i4, i5 = account.inverse
            account.used = used
            account.share = share = max(u0 * i0, u1 * i1, u2 * i2, u3 * i3, u4 * i4, u5 * i5)
            account.tasks_running += 1
            if account.tasks_running == 1:
                self.at_work += 1
            if len(account.rows) > 1:
                self._again(account, moved=False)
            elif tasks:
                heapreplace(heap, self._entry(account, row))
            else:
                heappop(heap)
            rule = usual if rank >= 0.0 else Rule.OVERDUE if rank <= OVERDUE else Rule.GUARANTEE
            found.append(make(Start, (account.name, task[0], demand, share, account.entitled, rule, "")))
        self.free = self._not_taken()
        self._open_again()

    def _park_misfits(self, lane: _Lane, room: Amounts) -> None:
        """Also those whose turn it is not yet: taking them off the heap one by one is five times slower."""
        f0, f1, f2, f3, f4, f5 = room
        parked, stays = lane.parked, []
        for entry in lane.heap:
            rank, _, _, version, row = entry
            if version != row.version or not row.tasks:
                continue
            d0, d1, d2, d3, d4, d5 = row.demand
            fits = d0 <= f0 and d1 <= f1 and d2 <= f2 and d3 <= f3 and d4 <= f4 and d5 <= f5
            if fits or rank <= OVERDUE:
                stays.append(entry)
            else:
                parked.add(row.number, rank, row.demand)
                row.parked = parked
        lane.heap[:] = stays
        heapify(lane.heap)

    def _lane(self) -> _Lane | None:
        """The one whose turn it is; projects that are not at work only while one more may be."""
        active, idle = self._lanes
        if not idle.heap or self.at_work >= self.snapshot.max_concurrent_projects:
            return active if active.heap else None
        if not active.heap or idle.heap[0] < active.heap[0]:
            return idle
        return active

    def open_for(self, row: Row) -> Amounts:
        """What the row's next task may take: what is free, and neither held back nor kept for others."""
        free = self._raw
        if (own := row.account.kept) is not None:
            free = _plus(free, own)
        if self.holding is row:
            free = _plus(free, row.demand)
        return _positive(free)

    def _park(self, lane: _Lane, entry: _Entry) -> None:
        row = entry[4]
        if entry[0] <= OVERDUE and self.holding is None and row.demand.fits(self.snapshot.capacity):
            self.holding = row
            self._open_again()
        lane.parked.add(row.number, entry[0], row.demand)
        row.parked = lane.parked

    def _start(self, lane: _Lane, row: Row, rank: float) -> Start:
        """The row's next task; its entry is the first of the lane's heap."""
        task = row.tasks.pop()
        account, demand = row.account, row.demand
        d0, d1, d2, d3, d4, d5 = demand
        u0, u1, u2, u3, u4, u5 = account.used
        account.used = (u0 + d0, u1 + d1, u2 + d2, u3 + d3, u4 + d4, u5 + d5)
        account.settle()
        f0, f1, f2, f3, f4, f5 = self.free
        self.free = (f0 - d0, f1 - d1, f2 - d2, f3 - d3, f4 - d4, f5 - d5)
        if account.kept is not None:
            self._kept = None
        account.tasks_running += 1
        fresh = account.tasks_running == 1
        if fresh:
            self.at_work += 1
        if self.holding is row:
            self.holding = None
            self._open_again()
        elif self._keeps or self.holding is not None:
            self._open_again()
        else:
            r0, r1, r2, r3, r4, r5 = self._raw
            raw = self._raw = (r0 - d0, r1 - d1, r2 - d2, r3 - d3, r4 - d4, r5 - d5)
            self.open = raw if min(raw) >= 0.0 else _positive(raw)
        if len(account.rows) == 1 and not (fresh and self._divided):
            if row.tasks:
                heapreplace(lane.heap, self._entry(account, row))
            else:
                heappop(lane.heap)
        else:
            self._again(account, moved=fresh)
        rule = self._rule if rank >= 0.0 else Rule.OVERDUE if rank <= OVERDUE else Rule.GUARANTEE
        return tuple.__new__(
            Start, (account.name, task.id, demand, account.share, account.entitled, rule, "")
        )

    def _again(self, account: Account, *, moved: bool) -> None:
        """Its use has changed, and with it the rank of all its rows."""
        lane = self._lane_of(account)
        for row in account.rows.values():
            parked = row.parked
            if not row.tasks:
                _take(row)
            elif parked is None:
                heappush(lane.heap, self._entry(account, row))
            else:
                if moved:
                    parked.remove(row.number)
                    row.parked = lane.parked
                lane.parked.add(row.number, self._entry(account, row)[0], row.demand)

    def _open_again(self) -> None:
        """What may be taken by one that nothing is kept for, with the slack for rounding."""
        raw = _plus(self.free, self._slack)
        if self._keeps:
            if self._kept is None:
                self._kept = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
                for account in self._keepers:
                    if account.kept is not None:
                        self._kept = _plus(self._kept, account.kept)
            raw = _minus(raw, self._kept)
        if self.holding is not None:
            raw = _minus(raw, self.holding.demand)
        self._raw = raw
        # Below zero there is nothing, and who needs nothing of it may have that.
        self.open = _positive(raw)

    def _unpark(self) -> None:
        """After a release: the first parked row that fits goes back into the heap."""
        found = False
        for lane in self._lanes:
            if not lane.parked.needs:
                continue
            if self._keeps or self.holding is not None:  # each has its own view of what is open: try all
                for row in self._rows:
                    if row.parked is lane.parked:
                        self._push(lane, row)
            elif (best := lane.parked.first_that_fits(self.open)) is not None:
                rank, numbers = best
                row = self._rows[numbers[0]] if len(numbers) == 1 else self._first_of(numbers)
                _take(row)
                heappush(lane.heap, self._entry(row.account, row, rank))
                found = True
        self._released = found

    def _first_of(self, numbers: list[int]) -> Row:
        """Of rows with the same rank."""
        if self._ties_by_name:
            account = self._rows[numbers[0]].account
            rows = [self._rows[number] for number in numbers if self._rows[number].account is account]
        else:
            rows = [self._rows[number] for number in numbers]
        return min(rows, key=lambda row: self.order_of(row.tasks[-1]))

    def _push(self, lane: _Lane, row: Row) -> None:
        _take(row)
        heappush(lane.heap, self._entry(row.account, row))

    # -- events ------------------------------------------------------------------------------

    def submit(self, project: str, task: Task) -> None:
        """One more task waits. It never starts if the project was removed, or was not in the snapshot."""
        account = self.accounts.get(project)
        if account is None:
            return
        row = account.rows.get(task.demand)
        if row is None:
            row = account.rows[task.demand] = Row(account, next(self._numbers), task.demand)
            self._rows.append(row)
            if len(account.rows) == 2:
                self._again(account, moved=False)
        row.insert(task, self._overdue_since)
        if row.tasks[-1] is task:  # it is the row's next
            _take(row)
            heappush(self._lane_of(account).heap, self._entry(account, row))

    def withdraw(self, project: str, task_id: str) -> bool:
        """A task does not wait any more; False when it did not."""
        account = self.accounts.get(project)
        for row in account.rows.values() if account else ():
            for place, task in enumerate(row.tasks):
                if task.id == task_id:
                    del row.tasks[place]
                    _take(row)
                    if self.holding is row:
                        self.holding = None
                        self._open_again()
                        self._released = True
                    if row.tasks:
                        heappush(self._lane_of(row.account).heap, self._entry(row.account, row))
                    return True
        return False

    def remove(self, project: str) -> None:
        """A project is gone, with all that it has waiting and running; what it held is free. Its events that
        are still to come change nothing."""
        account = self.accounts.pop(project, None)
        if account is None:
            return
        for row in account.rows.values():
            row.tasks.clear()
            _take(row)
            if self.holding is row:
                self.holding = None
        self.free = _plus(self.free, account.used)
        self.at_work -= account.tasks_running > 0
        if account is self.draining:
            self.draining = None
        self._open_again()
        self._released = True

    def release(self, project: str, demand: Resources) -> None:
        """A task has ended."""
        account = self.accounts.get(project)
        if account is None:
            return
        self.free = _plus(self.free, demand)
        u0, u1, u2, u3, u4, u5 = _minus(account.used, demand)
        account.used = (max(u0, 0.0), max(u1, 0.0), max(u2, 0.0), max(u3, 0.0), max(u4, 0.0), max(u5, 0.0))
        account.tasks_running = max(account.tasks_running - 1, 0)
        account.settle()
        if account.kept is not None:
            self._kept = None
        emptied = account.tasks_running == 0
        if emptied:
            self.at_work -= 1
        self._open_again()
        self._again(account, moved=emptied)
        self._released = True


def _no_rank(account: Account, row: Row) -> float:
    return 0.0


def _take(row: Row) -> None:
    if row.parked is not None:
        row.parked.remove(row.number)
        row.parked = None


def _positive(amounts: Amounts) -> Amounts:
    if min(amounts) >= 0.0:
        return amounts
    a0, a1, a2, a3, a4, a5 = amounts
    return (max(a0, 0.0), max(a1, 0.0), max(a2, 0.0), max(a3, 0.0), max(a4, 0.0), max(a5, 0.0))


def _plus(first: Amounts, other: tuple[float, ...]) -> Amounts:
    a0, a1, a2, a3, a4, a5 = first
    b0, b1, b2, b3, b4, b5 = other
    return (a0 + b0, a1 + b1, a2 + b2, a3 + b3, a4 + b4, a5 + b5)


def _minus(first: Amounts, other: tuple[float, ...]) -> Amounts:
    a0, a1, a2, a3, a4, a5 = first
    b0, b1, b2, b3, b4, b5 = other
    return (a0 - b0, a1 - b1, a2 - b2, a3 - b3, a4 - b4, a5 - b5)
