"""A store for one command: its first work that is done has a check before it and a note after it, all in one
transaction.

So what a caller saw may be asked for at the very moment of a change, and what came of it be kept with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from core.store.transaction import Transaction

if TYPE_CHECKING:
    from core.store.database import Store

T = TypeVar("T")

Before = Callable[[Transaction], None]
After = Callable[[Transaction, Any], None]
"""With the value of the work."""


class BoundStore:
    """Stands where a Store does, to `read` and `write`. What `before` or `after` raises undoes the work."""

    def __init__(self, store: Store, *, before: Before | None = None, after: After | None = None) -> None:
        self._store = store
        self._before = before
        self._after = after
        self.path = store.path

    async def write(self, work: Callable[[Transaction], T]) -> T:
        before, after = self._before, self._after
        if before is None and after is None:
            return await self._store.write(work)

        def whole(tx: Transaction) -> T:
            if before is not None:
                before(tx)
            value = work(tx)
            if after is not None:
                after(tx, value)
            return value

        made = await self._store.write(whole)
        self._before = self._after = None
        return made

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await self._store.read(query)
