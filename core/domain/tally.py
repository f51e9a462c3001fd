"""What each account has spent and reserved, kept in memory so that a call is judged without a wait. PURE.

A call reserves its estimate before it is sent and settles with what it really took. Both are one step each,
with nothing in between: of calls that ask at once, each sees the reservations of those before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.domain.budget import Account, Amounts

_NOTHING = Amounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    accounts: tuple[Account, ...]
    estimate: Amounts


@dataclass(slots=True, kw_only=True)
class Tally:
    """Accounts begin with what the ledger says; one that has not begun raises KeyError."""

    _spent: dict[Account, Amounts] = field(default_factory=dict)
    _reserved: dict[Account, Amounts] = field(default_factory=dict)
    _calls: dict[str, _Reservation] = field(default_factory=dict)

    def begin(self, account: Account, spent: Amounts) -> None:
        """Nothing where it has begun: what was counted since is not in an older sum. The sum must hold each
        call that has settled: begin before the account's first call is reserved."""
        if account not in self._spent:
            self._spent[account] = spent
            held = (call.estimate for call in self._calls.values() if account in call.accounts)
            self._reserved[account] = sum(held, _NOTHING)

    def forget(self, account: Account) -> None:
        """A day that is over, a story that has ended. Calls under way there count again if it begins anew."""
        self._spent.pop(account, None)
        self._reserved.pop(account, None)

    def knows(self, account: Account) -> bool:
        return account in self._spent

    def accounts(self) -> tuple[Account, ...]:
        """Those that have begun."""
        return tuple(self._spent)

    def spent(self, account: Account) -> Amounts:
        return self._spent[account]

    def reserved(self, account: Account) -> Amounts:
        return self._reserved.get(account, _NOTHING)

    @property
    def under_way(self) -> int:
        return len(self._calls)

    def reserve(self, call_id: str, accounts: Iterable[Account], estimate: Amounts) -> None:
        """Judge first, in the same step. Raises ValueError for a call that has reserved already."""
        if call_id in self._calls:
            raise ValueError(f"call {call_id} has reserved already")
        held = _Reservation(accounts=tuple(dict.fromkeys(accounts)), estimate=estimate)
        for account in held.accounts:
            self.spent(account)  # all have begun, or nothing is reserved
        for account in held.accounts:
            self._reserved[account] = self.reserved(account) + estimate
        self._calls[call_id] = held

    def settle(self, call_id: str, took: Amounts) -> None:
        """In place of the estimate; nothing for a call that has settled, so that it counts once.
        A call that was never sent took nothing."""
        held = self._calls.pop(call_id, None)
        if held is None:
            return
        for account in held.accounts:
            if account in self._spent:
                self._reserved[account] = self.reserved(account) - held.estimate
                self._spent[account] += took

    def add(self, accounts: Iterable[Account], took: Amounts) -> None:
        """What was not reserved: a turn that ended, an agent's own word."""
        for account in dict.fromkeys(accounts):
            if account in self._spent:
                self._spent[account] += took
