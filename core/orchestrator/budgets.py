"""What agents may use, kept in memory beside the ledger: judged without a wait, exact after any crash.

The ledger is the record. The tally here begins with its sums and only ever adds what a transaction has added
to it; whatever is not certain is forgotten, and begins anew from the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from config.settings import ProjectSettings
from core.clock import Clock
from core.domain.access import OPERATOR, Standing
from core.domain.budget import (
    Account,
    AccountLimit,
    Amounts,
    Level,
    Limits,
    Raise,
    Scope,
    Unit,
    UnitStanding,
)
from core.domain.budget import Standing as BudgetStanding
from core.errors import NotFound, OrchardError
from core.orchestrator.budget_book import NO_LIMITS, BudgetBook
from core.orchestrator.budget_order import Order
from core.orchestrator.budget_raises import check_raise, raise_view
from core.orchestrator.budget_reading import budgets_view
from core.orchestrator.budget_views import BudgetsView, RaiseView
from core.orchestrator.scheduling.bars import budget_bar
from core.store import ledger, projects, stories
from core.store.database import Store, Transaction
from core.store.ledger import Call, Source, TurnTaken

log = logging.getLogger(__name__)

T = TypeVar("T")
Told = Callable[[tuple[AccountLimit, ...]], Awaitable[object]]
Stop = Callable[[str, str | None, str], Awaitable[object]]


class Budgets:
    """`settings_of`: the settings in force of a project; None for one that is not configured."""

    def __init__(
        self, store: Store, clock: Clock, settings_of: Callable[[str], ProjectSettings | None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = BudgetBook(clock, settings_of)
        self._tally = self._book.tally
        self._told: set[tuple[Account, Unit, int, Level]] = set()
        self._limits: dict[Account, Limits] = {}  # with what people added, as they were told on
        self._order = Order()  # what is added to the ledger is in the tally before a sum is read
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tell: list[Told] = []
        self._stop: list[Stop] = []

    def on_changed(self, tell: Told) -> None:
        """Calls `tell` with accounts whose limit is another now, or for which something was spent that no
        gateway saw."""
        self._tell.append(tell)

    def on_stop(self, stop: Stop) -> None:
        """Calls `stop(project, story or None, sentence)` when a budget is reached while agents may work."""
        self._stop.append(stop)

    # -- out of the ledger -------------------------------------------------------------------

    async def _begin(self, accounts: Sequence[Account]) -> None:
        """Their sums out of the ledger. Only while nothing is added to it."""
        missing, unread = self._book.missing(accounts)
        if not missing and not unread:
            return
        now = self._clock.now()

        def read(
            conn: sqlite3.Connection,
        ) -> tuple[list[Amounts], Mapping[str, tuple[Raise, ...]]]:
            sums = [ledger.spent(conn, account).amounts for account in missing]
            return sums, {project: ledger.raises(conn, project, now) for project in unread}

        sums, raises = await self._store.read(read)
        self._book.keep_raises(raises)
        for account, spent in zip(missing, sums, strict=True):
            self._tally.begin(account, spent)

    async def _begin_new(self, accounts: Sequence[Account]) -> None:
        if any(self._book.missing(accounts)):
            async with self._order.alone():
                await self._begin(accounts)

    # -- asked before work begins ------------------------------------------------------------

    async def load(self) -> None:
        """At start: what is limited is known, and people hear of what they were not told before a crash."""
        names = [project.name for project in await self._store.read(projects.every)]
        limited = [name for name in names if self._book.terms(name).limited]
        at_work = await self._store.read(
            lambda conn: {name: ledger.stories_at_work(conn, name) for name in limited}
        )
        await self.prepare({name: [story for story, _ in found] for name, found in at_work.items()})
        await self.check()

    async def prepare(self, wanted: Mapping[str, Iterable[str]]) -> None:
        """`why_not` knows of these projects and stories afterwards, as far as anything there is limited."""
        now = self._clock.now()
        accounts = [
            account
            for project, story_ids in wanted.items()
            if self._book.terms(project).limited
            for account in (
                *self._book.accounts_of(project, None, now),
                *(Account(project=project, story_id=story) for story in story_ids),
            )
            if self._book.is_limited(account)
        ]
        await self._begin_new(accounts)

    async def accounts(self, project: str, story_id: str | None) -> tuple[AccountLimit, ...]:
        """What a run of the story (None: of no story, as an epic's design) counts for, with or without limit:
        the story, the day, the project."""
        found = self._book.accounts_of(project, story_id, self._clock.now())
        async with self._order.alone():
            await self._begin(found)
            return tuple(self._book.account_limit(account) for account in found)

    def why_not(self, project: str, story_id: str | None) -> str:
        """Why no agent may begin a turn for it now, as "waits: ..."; empty when one may, and for what was not
        prepared."""
        for account in self._book.known(project, story_id):
            for one in self._book.judged(account).units if self._book.is_used_up(account) else ():
                if not one.may_send:
                    return budget_bar(account, one, self._book.terms(project).zone)
        return ""

    def turns_left(self, project: str) -> tuple[float, str]:
        """How many turns of the project may still begin, those under way not counted, and what is said to who
        has to wait for one that is; math.inf: no limit."""
        left, said = math.inf, ""
        for account in self._book.known(project, None):
            for one in self._book.judged(account).units:
                if one.unit is Unit.TURNS and one.limit - one.spent < left:
                    left = max(0, one.limit - one.spent)
                    said = budget_bar(account, one, self._book.terms(project).zone)
        return left, said

    def used(self, project: str) -> float | None:
        """Of the nearest limit of the project or its day, the part that is spent; may pass 1. None: none."""
        spent = [
            one.spent / one.limit
            for account in self._book.known(project, None)
            for one in self._book.judged(account).units
            if one.limit
        ]
        return max(spent, default=None)

    def minutes_left(self, project: str, story_id: str | None) -> float | None:
        """Wall time until the nearest limit; None: no limit."""
        left = [
            (one.limit - one.spent) / 60_000
            for account in self._book.known(project, story_id)
            for one in self._book.judged(account).units
            if one.unit is Unit.MILLISECONDS
        ]
        return max(0.0, min(left)) if left else None

    def barred_stories(self) -> Mapping[str, int]:
        """How many stories of each project, as far as was looked, have used up what is their own."""
        return Counter(
            account.project
            for account in self._tally.accounts()
            if account.story_id is not None and self._book.is_used_up(account)
        )

    # -- told what was used ------------------------------------------------------------------

    async def record(self, calls: Sequence[Call]) -> int:
        """How many were new. Calls that are known count once; returns when they are on disk."""
        _, new = await self.write(lambda tx: None, calls=calls)
        return new

    async def record_turn(self, turn: TurnTaken) -> bool:
        """Whether it is new."""
        _, new = await self.write(lambda tx: None, turns=(turn,))
        return new == 1

    async def write(
        self, work: Callable[[Transaction], T], *, calls: Sequence[Call] = (), turns: Sequence[TurnTaken] = ()
    ) -> tuple[T, int]:
        """`work`, and what was used, in one transaction: its value, and how many of these were new."""
        # The transaction is done though its waiter is cancelled; then the tally has to hear of it, too.
        value, new = await asyncio.shield(self._keep(self._count(work, calls, turns)))
        return value, len(new)

    async def _count(
        self, work: Callable[[Transaction], T], calls: Sequence[Call], turns: Sequence[TurnTaken]
    ) -> tuple[T, list[Call | TurnTaken]]:
        def both(tx: Transaction) -> tuple[T, list[Call | TurnTaken]]:
            value = work(tx)
            new: list[Call | TurnTaken] = []
            for call in calls:
                known = _in_store(tx.conn, call)
                if known is not None and ledger.record(tx, known):
                    new.append(known)
            new += [turn for turn in turns if ledger.record_turn(tx, turn)]
            return value, new

        used: list[Call | TurnTaken] = [*calls, *turns]
        touched: dict[Account, bool] = {}  # whether the gateway has seen all of it itself
        async with self._order.adding():
            try:
                value, new = await self._store.write(both)
            except BaseException:
                for one in used:
                    for account in self._book.accounts_of(one.project, one.story_id, one.at):
                        self._tally.forget(account)
                raise
            for one in new:
                seen = isinstance(one, Call) and one.source is Source.GATEWAY
                of = self._book.accounts_of(one.project, one.story_id, one.at)
                self._tally.add(of, one.took)
                touched |= {account: touched.get(account, True) and seen for account in of}
        with suppress(OrchardError):  # what is not known yet is begun by whoever asks next
            await self._begin_new([account for account in touched if self._book.is_limited(account)])
        await self._settle(tuple(touched), unseen=[each for each, seen in touched.items() if not seen])
        return value, new

    async def _settle(self, accounts: Sequence[Account], *, unseen: Iterable[Account] = ()) -> None:
        """People hear of limits, agents stop at them, the gateway learns what it did not see."""
        known = [account for account in accounts if self._tally.knows(account)]
        standings = [self._book.judged(account) for account in known]
        news = [one for one in standings if self._is_news(one)]
        if news:
            try:
                await self._store.write(lambda tx: [ledger.tell(tx, one) for one in news])
            except OrchardError as error:  # what was used is kept all the same; `check` comes back to it
                log.warning("people could not be told of budgets: %s", error)
            else:
                self._told |= {_key(one.account, unit) for one in news for unit in one.units}
        # Of a day that has just begun the gateway may not have seen the calls that midnight came over.
        over = [one.account for one in news if one.reached]
        changed = tuple(
            self._book.account_limit(each)
            for each in dict.fromkeys((*unseen, *over))
            if self._tally.knows(each)
        )
        for tell in self._tell if changed else ():
            self._keep(tell(changed))
        for one in standings:
            if one.reached:
                self._stop_work(one.account, one.stops[0])

    def _is_news(self, standing: BudgetStanding) -> bool:
        return any(
            one.level is not Level.FINE and _key(standing.account, one) not in self._told
            for one in standing.units
        )

    def _stop_work(self, account: Account, sentence: str) -> None:
        if account.day is not None and not account.day.start <= self._clock.now() < account.day.end:
            return  # a late figure of a day that is over stops nobody today
        for stop in self._stop:
            self._keep(stop(account.project, account.story_id, sentence))

    async def reached(self, run_id: str, account: Account) -> None:
        """The gateway holds a call of the run: the account's work is to stop, wherever it works."""
        await self._begin_new((account,))
        stops = self._book.judged(account).stops
        log.info("run %s has reached the budget of %s", run_id, account.whose)
        self._stop_work(account, stops[0] if stops else f"{account.whose} has used all of its budget")

    async def check(self, under_way: Mapping[tuple[str, str], int] | None = None) -> None:
        """On a timer: what time has changed. `under_way`: milliseconds of turns that have not ended, by
        project and story."""
        now = self._clock.now()
        for account in self._tally.accounts():
            if account.day is not None and account.day.end <= now:
                self._tally.forget(account)
                today = Account(project=account.project, day=self._book.day(account.project, now))
                if self._book.is_limited(today):  # turns that go on count for it, though nothing begins
                    await self._begin_new((today,))
        known = self._tally.accounts()
        limited = [account for account in known if self._book.is_limited(account)]
        changed = [each for each in known if self._limits.get(each, NO_LIMITS) != self._book.limit(each)]
        self._limits = {each: self._book.limit(each) for each in known}
        await self._settle(limited, unseen=changed)
        for account in limited if under_way else ():
            spent = sum(
                milliseconds
                for (project, story), milliseconds in (under_way or {}).items()
                if project == account.project and account.story_id in (None, story)
            )
            standing = self._book.judged(account, more=Amounts(milliseconds=spent))
            if spent and standing.reached:
                self._stop_work(account, standing.stops[0])

    def _keep(self, work: Awaitable[T] | Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        async def done() -> T:
            return await work

        task = asyncio.create_task(done(), name="budgets")
        self._tasks.add(task)
        task.add_done_callback(self._kept)
        return task

    def _kept(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("budgets: %s", error)  # whoever waits for it hears of it

    async def close(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- more ---------------------------------------------------------------------------------

    async def raise_(
        self,
        *,
        project: str,
        scope: Scope,
        story_id: str | None = None,
        unit: Unit,
        amount: int,
        click: str,
        by: str,
        standing: Standing = OPERATOR,
    ) -> RaiseView:
        """More for a story, a project (for good) or its day (today only); twice with the same `click` counts
        once. Raises NotFound, InvalidInput, NotAllowed."""
        now = self._clock.now()
        check_raise(self._book.terms(project), project, scope, unit, amount, standing)
        day = self._book.day(project, now) if scope is Scope.DAY else None
        account = Account(project=project, story_id=story_id, day=day)
        raised = Raise(
            id=click,
            project=project,
            scope=scope,
            story_id=story_id,
            unit=unit,
            amount=amount,
            at=now,
            until=day.end if day else None,
            by=by,
        )

        def add(tx: Transaction) -> tuple[bool, Raise, tuple[Raise, ...]]:
            if story_id is not None and stories.get(tx.conn, story_id).project != project:
                raise NotFound(f"{project} has no story {story_id}.")
            projects.get(tx.conn, project)
            new = ledger.add_raise(tx, raised)
            return new, ledger.get_raise(tx.conn, click), ledger.raises(tx.conn, project, tx.now)

        async with self._order.alone():
            new, kept, raises = await self._store.write(add)
            self._book.keep_raises({project: raises})
            await self._begin((account,))
        self._told = {each for each in self._told if (each[0], each[1]) != (account, unit)}
        for tell in self._tell:
            self._keep(tell((self._book.account_limit(account),)))
        return raise_view(account, kept, new=new, limit=self._book.limit(account).of(kept.unit) or 0)

    # -- looking ------------------------------------------------------------------------------

    async def view(self, project: str | None = None, *, story_id: str | None = None) -> BudgetsView:
        """Straight from the ledger. Every project with a limit or with spending; the one that is named in any
        case. Raises NotFound."""
        now = self._clock.now()
        return await self._store.read(
            lambda conn: budgets_view(conn, self._book.terms, now, project=project, story_id=story_id)
        )


def _key(account: Account, one: UnitStanding) -> tuple[Account, Unit, int, Level]:
    return (account, one.unit, one.limit, one.level)


def _in_store(conn: sqlite3.Connection, call: Call) -> Call | None:
    """For a story that is not in the store the call counts for its project; None without that: one call that
    nothing can be told of keeps no other from being counted."""
    if conn.execute("SELECT 1 FROM projects WHERE name = ?", (call.project,)).fetchone() is None:
        log.error("call %s is of the project %s, which is not there: not counted", call.call_id, call.project)
        return None
    if call.story_id is not None and stories.find(conn, call.story_id) is None:
        return replace(call, story_id=None)
    return call
