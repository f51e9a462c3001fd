"""The runs that may ask, and how each fares, inside the gateway's process."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field

from core.gateway.contract import GatewayFacts, RunStart
from core.gateway.refusal import HOLDS, Refusal

_ADDED_KEPT = 1000


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """`waits`: by call, why it is held and since when (monotonic). `stopped`: why the provider
    takes no more work with the key, when its last call was refused so."""

    start: RunStart
    calls: int = 0
    refused_in_a_row: int = 0
    last_refusal: str = ""
    stopped: Refusal | None = None
    waits: dict[str, tuple[str, float]] = field(default_factory=dict)
    tasks: set[asyncio.Task[object]] = field(default_factory=set)
    closed: bool = False

    def answered(self) -> None:
        self.refused_in_a_row = 0
        self.last_refusal = ""
        self.stopped = None

    def refused(self, why: str, refusal: Refusal | None = None) -> None:
        self.refused_in_a_row += 1
        self.last_refusal = why
        holds = refusal is not None and refusal.kind in HOLDS
        self.stopped = refusal if holds else None

    def facts(self, now: float) -> dict[str, object]:
        """For who wonders why the agent is silent: see docs/gateway.md."""
        until = self.stopped.until if self.stopped is not None else None
        held, since = min(self.waits.values(), key=lambda each: each[1], default=("", now))
        return {
            "calls": self.calls,
            "in_flight": len(self.tasks),
            "refused_in_a_row": self.refused_in_a_row,
            "last_refusal": self.last_refusal,
            "stopped": self.stopped.kind.value if self.stopped is not None else "",
            "until": until.isoformat() if until is not None else None,
            "held": held,
            "held_seconds": round(now - since, 3),
        }


class Runs:
    def __init__(self) -> None:
        self._by_hash: dict[str, Run] = {}
        self._by_id: dict[str, Run] = {}
        self.calls = 0
        self.added: deque[float] = deque(maxlen=_ADDED_KEPT)  # seconds

    def open(self, start: RunStart, token_hash: str) -> None:
        if start.run_id not in self._by_id:
            self._by_id[start.run_id] = self._by_hash[token_hash] = Run(start=start)

    def close(self, run_id: str) -> Run | None:
        """Its token is good for nothing from now on."""
        run = self._by_id.pop(run_id, None)
        if run is not None:
            run.closed = True
            self._by_hash = {known: each for known, each in self._by_hash.items() if each is not run}
        return run

    def of_token(self, token: str | None) -> Run | None:
        return self._by_hash.get(hash_of(token)) if token else None

    def all(self) -> list[Run]:
        return list(self._by_id.values())

    def facts(self, waits: dict[str, float]) -> GatewayFacts:
        """`waits`: by provider, seconds until it may be asked again."""
        ordered = sorted(self.added)

        def quantile(share: float) -> float | None:
            return round(ordered[int(share * (len(ordered) - 1))] * 1000, 3) if ordered else None

        return GatewayFacts(
            in_flight=sum(len(run.tasks) for run in self._by_id.values()),
            held=sum(len(run.waits) for run in self._by_id.values()),
            calls=self.calls,
            added_p50_ms=quantile(0.5),
            added_p99_ms=quantile(0.99),
            waits=waits,
        )
