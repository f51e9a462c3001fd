"""Worker generations: each start of a project's worker is numbered, so that an older one is known as such."""

from __future__ import annotations

from core.errors import NotFound
from core.store.transaction import Transaction


def next_generation(tx: Transaction, project: str) -> int:
    """From 1; never given twice. Raises NotFound."""
    row = tx.conn.execute(
        "UPDATE projects SET worker_generation = worker_generation + 1"
        " WHERE name = ? RETURNING worker_generation",
        (project,),
    ).fetchone()
    if row is None:
        raise NotFound(f"There is no project named '{project}'.")
    return int(row[0])
