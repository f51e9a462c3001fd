"""What an attack leaves: rows of the audit log with project and story, in a chain that verifies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.evidence import RefusalCode
from core.security.vault import Vault

DENIED = {
    "what": "agent",
    "phase": "test_red",
    "host": "evil.example",
    "port": 443,
    "why": "No rule.",
    "text": "x",
}
BREACHED = {"resource": "memory", "ended": 1, "program": "python", "text": "It took too much.", "used": 1.5}


def refused(*codes: RefusalCode) -> dict[str, Any]:
    refusals = [
        {"code": str(code), "sentence": f"It was {code}.", "tests": [], "files": []} for code in codes
    ]
    return {"phase": "test_red", "attempt": 1, "summary": "no", "refusals": refusals}


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (EventKind.NETWORK_DENIED, DENIED, ("egress_denied", {"host": "evil.example", "port": 443})),
        (
            EventKind.LIMIT_BREACHED,
            BREACHED,
            ("isolation_breach", {"resource": "memory", "program": "python"}),
        ),
        *(
            (
                EventKind.GATE_REFUSED,
                refused(RefusalCode.STILL_RED, code),
                ("isolation_breach", {"refused": str(code), "why": f"It was {code}.", "phase": "test_red"}),
            )
            for code in (
                RefusalCode.TAMPERED,
                RefusalCode.FOREIGN_COMMIT,
                RefusalCode.WROTE_OUTSIDE,
                RefusalCode.FLOODED,
            )
        ),
        (EventKind.GATE_REFUSED, refused(RefusalCode.STILL_RED), None),
    ],
)
async def test_what_can_be_noticed_is_a_row(
    tmp_path: Path, kind: EventKind, data: dict[str, Any], told: tuple[str, dict[str, Any]] | None
) -> None:
    vault = Vault(load(tmp_path, environ={}), environ={})
    vault.store_path.parent.mkdir(parents=True, exist_ok=True)
    async with vault.open_store(clock=SystemClock(), bus=Bus()) as store:
        await store.write(lambda tx: tx.emit(kind, project="shop", data=data))
        rows = await store.read(
            lambda conn: conn.execute("SELECT kind, project, data FROM audit_log ORDER BY seq").fetchall()
        )
        assert await store.read(lambda conn: vault.auditor.verify(conn).sound)
    found = [(row["kind"], row["project"]) for row in rows]
    if told is None:
        assert found == []
        return
    assert found == [(told[0], "shop")]
    assert told[1].items() <= json.loads(rows[0]["data"]).items()
