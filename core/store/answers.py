"""Answers of the API by the key that a request came with: repeated, it is answered again, not done again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.store.columns import to_time
from core.store.transaction import Transaction

KEPT = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`request` is a digest of what was asked; `status` None: it is being answered, or a crash ended that."""

    request: str
    status: int | None
    body: str


def take(tx: Transaction, who: str, key: str, request: str) -> Answer | None:
    """What is there of the key; None: nothing, from now on it is this request's. Old ones are pruned."""
    tx.conn.execute("DELETE FROM idempotency_keys WHERE at < ?", (to_time(tx.now - KEPT),))
    row = tx.conn.execute(
        "SELECT request, status, body FROM idempotency_keys WHERE who = ? AND key = ?", (who, key)
    ).fetchone()
    if row is not None:
        return Answer(request=row["request"], status=row["status"], body=row["body"] or "")
    tx.conn.execute(
        "INSERT INTO idempotency_keys (who, key, request, at) VALUES (?, ?, ?, ?)",
        (who, key, request, tx.now_text),
    )
    return None


def keep(tx: Transaction, who: str, key: str, status: int, body: str) -> None:
    tx.conn.execute(
        "UPDATE idempotency_keys SET status = ?, body = ? WHERE who = ? AND key = ?", (status, body, who, key)
    )


def forget(tx: Transaction, who: str, key: str) -> None:
    """The key is free again, unless an answer was kept under it."""
    tx.conn.execute("DELETE FROM idempotency_keys WHERE who = ? AND key = ? AND status IS NULL", (who, key))
