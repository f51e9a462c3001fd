"""PURE: what one project holds while a decision is being made, and its waiting tasks in rows.

The only values here that change: they live inside one Ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from operator import itemgetter

from core.scheduler.parked import Parked
from core.scheduler.resources import NOTHING, SLACK, UNLIMITED, Resources
from core.scheduler.snapshot import TIERS, ProjectShare, Task

# As Resources, but plain: making one is seven times as quick, and it happens at each start.
Amounts = tuple[float, float, float, float, float, float]
TaskOrder = tuple[int, float, str]  # class, time of submission, id; class 0: overdue


class Account:
    """`inverse`: one over the capacity of each resource, zero where it is unlimited or there is none."""

    __slots__ = (
        "bound", "decayed", "entitled", "floor", "guaranteed", "inverse", "kept", "limit", "name", "place",
        "rows", "share", "tasks_running", "tier", "used", "weight", "withheld",
    )  # fmt: skip

    def __init__(self, project: ProjectShare, place: int, inverse: Amounts, entitled: float) -> None:
        self.name = project.name
        self.place = place
        self.weight = project.weight
        self.tier = TIERS[project.tier]
        self.entitled = entitled
        self.inverse = inverse
        self.used: Amounts = project.used
        self.limit = project.limit
        self.bound = project.limit is not UNLIMITED
        self.guaranteed = project.guaranteed
        # Guarantees are compared by how much of each is used: (the resource's place, one over the guarantee).
        self.floor: Sequence[tuple[int, float]] = ()
        if project.guaranteed is not NOTHING:
            self.floor = [(at, 1.0 / low) for at, low in enumerate(project.guaranteed) if low > SLACK]
        self.withheld = 1.0 - project.lends if self.floor else 0.0
        self.kept: Amounts | None = None
        self.rows: dict[Resources, Row] = {}
        self.decayed = 0.0  # set by the strategy that counts with it
        self.share = 0.0
        self.tasks_running = len(project.running)
        if project.used is not NOTHING or self.withheld:
            self.tasks_running = self.tasks_running or int(any(project.used))
            self.settle()

    def settle(self) -> None:
        """Share and what is kept, from what is used."""
        u0, u1, u2, u3, u4, u5 = self.used
        i0, i1, i2, i3, i4, i5 = self.inverse
        self.share = max(u0 * i0, u1 * i1, u2 * i2, u3 * i3, u4 * i4, u5 * i5)
        if self.withheld > 0.0:
            self.kept = self.unlent()

    def unlent(self) -> Amounts | None:
        """What of its guarantee it neither uses nor lends; None: it lends all."""
        if self.withheld <= 0.0:
            return None
        g0, g1, g2, g3, g4, g5 = (
            max(low - used, 0.0) * self.withheld for low, used in zip(self.guaranteed, self.used, strict=True)
        )
        return (g0, g1, g2, g3, g4, g5)

    @property
    def room(self) -> Amounts:
        """Below its own limit."""
        l0, l1, l2, l3, l4, l5 = self.limit
        u0, u1, u2, u3, u4, u5 = self.used
        return (l0 - u0, l1 - u1, l2 - u2, l3 - u3, l4 - u4, l5 - u5)

    def may_grow_by(self, demand: Resources) -> bool:
        """Whether its own limit leaves room."""
        d0, d1, d2, d3, d4, d5 = demand
        u0, u1, u2, u3, u4, u5 = self.used
        l0, l1, l2, l3, l4, l5 = self.limit
        if (
            u0 + d0 <= l0
            and u1 + d1 <= l1
            and u2 + d2 <= l2
            and u3 + d3 <= l3
            and u4 + d4 <= l4
            and u5 + d5 <= l5
        ):
            return True
        return all(
            not need or need <= left + SLACK * (need if need > 1.0 else 1.0)
            for need, left in zip(demand, self.room, strict=True)
        )

    def filled(self, demand: Resources) -> float:
        """How much of its guarantee is used, by the resource of which most is, 1 and above: all of it.

        YARN calls a queue below its minimum share needy and serves it first, by this ratio. Only resources
        that the task needs count: else a guarantee of what it never uses would put it first for ever.
        """
        used = self.used
        return max([used[at] * part for at, part in self.floor if demand[at] > 0.0], default=1.0)


class Row:
    """The waiting tasks of a project that need the same; `tasks` are in order, the next one last."""

    __slots__ = ("account", "demand", "number", "parked", "tasks", "version")

    def __init__(self, account: Account, number: int, demand: Resources) -> None:
        self.account = account
        self.number = number
        self.demand = demand
        self.tasks: list[Task] = []
        self.version = 0  # an entry of a heap that has another one is old
        self.parked: Parked | None = None  # where, while it is

    def insert(self, task: Task, overdue_since: float) -> None:
        order = task_order(task, overdue_since)
        low, high = 0, len(self.tasks)
        while low < high:
            middle = (low + high) // 2
            if task_order(self.tasks[middle], overdue_since) > order:
                low = middle + 1
            else:
                high = middle
        self.tasks.insert(low, task)


def task_order(task: Task, overdue_since: float) -> TaskOrder:
    """Smaller comes first: overdue tasks by the time they came, the others as people ranked them."""
    task_id, _, submitted_at, priority, may_preempt, reserved = task
    if submitted_at <= overdue_since:
        return (0, submitted_at, task_id)
    rank = TIERS.get(priority, 2)
    return (1 + rank + 4 * (not reserved) + 8 * (not may_preempt), submitted_at, task_id)


_when = itemgetter(2, 0)  # time of submission, id


def fill_rows(account: Account, tasks: Sequence[Task], overdue_since: float, numbers: count[int]) -> None:
    """Sorts the tasks into rows."""
    rows = account.rows
    last: Resources | None = None
    waiting: list[Task] = []
    before, before_id, usual = tasks[0][2], "", tasks[0][3]
    in_time = alike = True  # mostly so, and quick to see
    for task in tasks:
        task_id, demand, came, priority, may_preempt, reserved = task
        if demand is not last:
            row = rows.get(demand) if rows else None
            if row is None:
                row = rows[demand] = Row(account, next(numbers), demand)
            last, waiting = demand, row.tasks
        waiting.append(task)
        if came < before or (came == before and task_id < before_id):
            in_time = False
        before, before_id = came, task_id
        if priority is not usual or may_preempt or reserved or came <= overdue_since:
            alike = False
    for row in rows.values():
        waiting = row.tasks
        if not alike:
            waiting.sort(key=lambda task: task_order(task, overdue_since))
        elif not in_time:
            waiting.sort(key=_when)
        waiting.reverse()
