"""PURE: many plain projects at once: the starts that a heap would give one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from core.scheduler.account import Account, Amounts, Row
from core.scheduler.decision import Rule, Start
from core.scheduler.filling import CHUNK, Ranks, columns, fill


class Crowd(NamedTuple):
    """What is left to start, once the crowd has started what it could: the rows that still have tasks, their
    ranks, whether they fit, and what is free."""

    rows: list[Row]
    ranks: list[float]
    fits: list[bool]
    free: Amounts


def told_apart(rows: Iterable[Row], overdue_since: float) -> tuple[list[Row], list[Row]]:
    """The plain ones and the others. A plain one's rank depends on its project's share alone: all the tasks
    need the same, none is overdue, nothing is guaranteed. Of a ledger that has started nothing yet."""
    plain: list[Row] = []
    others: list[Row] = []
    for row in rows:
        account = row.account
        alone = len(account.rows) == 1 and not account.floor and row.tasks[-1][2] > overdue_since
        (plain if alone else others).append(row)
    return plain, others


def start_crowd(
    rows: list[Row],
    free: Amounts,
    many: Callable[[Sequence[Account]], Ranks],
    *,
    before: float,
    rule: Rule,
    found: list[Start],
) -> Crowd:
    """Adds to `found` what starts, until one does not fit or the rank is `before`; the accounts are then as
    after these starts."""
    accounts = [row.account for row in rows]
    demands = columns([row.demand for row in rows])
    tasks = np.array([len(row.tasks) for row in rows])
    ranks, inverse = many(accounts), accounts[0].inverse
    filling = fill(
        free,
        inverse,
        used=columns([account.used for account in accounts]),
        demands=demands,
        limits=columns([account.limit for account in accounts]),
        tasks=tasks,
        ranks=ranks,
        before=before,
    )
    make = tuple.__new__
    heads = [(row.account.name, row.tasks.pop, row.demand, row.account.entitled) for row in rows]
    for at, share in zip(filling.who.tolist(), filling.shares.tolist(), strict=True):
        name, pop, demand, entitled = heads[at]
        found.append(make(Start, (name, pop()[0], demand, share, entitled, rule, "")))
    shares = (filling.used * np.array(inverse)[:, None]).max(axis=0)
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        counts, held = filling.counts[part].tolist(), filling.used[:, part].T.tolist()
        for account, count, share, used in zip(
            accounts[part], counts, shares[part].tolist(), held, strict=True
        ):
            if count:
                u0, u1, u2, u3, u4, u5 = used
                account.used = (u0, u1, u2, u3, u4, u5)
                account.share = share
                account.tasks_running += count
    left = np.flatnonzero(tasks > filling.counts)
    fits = np.asarray((demands[:, left] <= filling.free[:, None]).all(axis=0))
    f0, f1, f2, f3, f4, f5 = filling.free.tolist()
    return Crowd(
        [rows[at] for at in left.tolist()],
        ranks(shares[left], left).tolist(),
        fits.tolist(),
        (f0, f1, f2, f3, f4, f5),
    )
