"""What runs count for, their limits, and whether one more call may be sent. PURE.

The gateway's process decides by one of these; the control plane keeps another beside it, so that a new
process goes on from what the last one knew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from core.domain.budget import Account, AccountLimit, Amounts, Limits, Scope, Standing, judge
from core.domain.tally import Tally
from core.gateway.contract import RunStart


class Accounts:
    """Accounts are known while a run counts for them."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._limits: dict[Account, Limits] = {}
        self._runs: dict[str, RunStart] = {}  # with the accounts that it counts for now

    def open(self, run: RunStart) -> None:
        """Nothing for a run that is open. What an account has spent counts from the first run of it that
        opens."""
        if run.run_id in self._runs:
            return
        self._runs[run.run_id] = replace(run, accounts=())
        for each in run.accounts:
            self._tally.begin(each.account, each.spent)
            self._limits[each.account] = each.limits
            self._join(run.run_id, each)

    def close(self, run_id: str) -> None:
        """Forgets the accounts that no run counts for any more."""
        run = self._runs.pop(run_id, None)
        for each in run.accounts if run is not None else ():
            self._leave(each.account)

    def set(self, given: Iterable[AccountLimit]) -> None:
        """Other limits, another day, more that was spent. What was counted here and is not in `spent` yet
        stays counted; turns and their time are not counted here, so theirs is taken as it is."""
        for each in given:
            runs = [run.run_id for run in self._runs.values() if _belongs(run, each.account)]
            if not runs:
                continue
            account = each.account
            self._tally.begin(account, each.spent)
            now = self._tally.spent(account)
            known = Amounts(
                tokens=max(now.tokens, each.spent.tokens),
                microdollars=max(now.microdollars, each.spent.microdollars),
                turns=each.spent.turns,
                milliseconds=each.spent.milliseconds,
            )
            self._tally.add((account,), known - now)
            self._limits[account] = each.limits
            for run_id in runs:
                self._join(run_id, each)

    def run(self, run_id: str) -> RunStart | None:
        """As it was opened, but for what its accounts have spent and may spend now."""
        run = self._runs.get(run_id)
        if run is None:
            return None
        return replace(
            run,
            accounts=tuple(
                AccountLimit(
                    account=each.account,
                    spent=self._tally.spent(each.account),
                    limits=self._limits[each.account],
                )
                for each in run.accounts
            ),
        )

    def stop(self, run_id: str, now: datetime) -> Standing | None:
        """The first account that lets no further call of the run be sent; None: it may be sent."""
        for each in self._runs[run_id].accounts:
            account = each.account
            if account.day is not None and account.day.end <= now:
                continue
            standing = judge(
                account,
                spent=self._tally.spent(account),
                reserved=self._tally.reserved(account),
                limits=self._limits[account],
            )
            if not standing.may_send:
                return standing
        return None

    def reserve(self, run_id: str, call_id: str, estimate: Amounts) -> None:
        """Ask `stop` first, in the same step."""
        accounts = (each.account for each in self._runs[run_id].accounts)
        self._tally.reserve(call_id, accounts, estimate)

    def settle(self, call_id: str, took: Amounts) -> None:
        """Once a call; nothing for one that has reserved nothing."""
        self._tally.settle(call_id, took)

    def add(self, run_id: str, took: Amounts) -> None:
        """What a call of the run took that has not reserved here."""
        if (run := self._runs.get(run_id)) is not None:
            self._tally.add((each.account for each in run.accounts), took)

    def _join(self, run_id: str, given: AccountLimit) -> None:
        run = self._runs[run_id]
        if any(each.account == given.account for each in run.accounts):
            return
        old = [
            each
            for each in run.accounts
            if given.account.scope is Scope.DAY and each.account.scope is Scope.DAY
        ]
        kept = tuple(each for each in run.accounts if each not in old)
        self._runs[run_id] = replace(run, accounts=(*kept, given))
        for each in old:
            self._leave(each.account)

    def _leave(self, account: Account) -> None:
        if not any(each.account == account for run in self._runs.values() for each in run.accounts):
            self._tally.forget(account)
            self._limits.pop(account, None)


def _belongs(run: RunStart, account: Account) -> bool:
    return account.project == run.project and account.story_id in (None, run.story_id)
