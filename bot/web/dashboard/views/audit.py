"""The audit log's rows on a page, the newest first: followed as they come, or held still. PURE.

Rows stand in chunks, whose keys stay while more come: what somebody reads is not drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.orchestrator.security_views import AuditEntry

PAGE = 100  # rows that are read at once
_CHUNK = 150  # a fuller one gets no more
_MOST = 1500  # rows that are kept while they are followed


@dataclass(slots=True, kw_only=True)
class Chunk:
    key: int
    rows: list[AuditEntry]


@dataclass(slots=True)
class AuditRows:
    """`kind`: only these; None: all. `held`: what comes is counted and waits. `more`: there are older."""

    kind: str | None = None
    held: bool = False
    more: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    _top: int = 0  # the highest number that was shown, or is of another kind
    _made: int = 0

    def begin(self, found: Sequence[AuditEntry], *, seen: int) -> None:
        """Anew, with up to PAGE + 1 entries of the kind; all kinds were looked at up to the number `seen`."""
        self.chunks, self.held, self._top = [], False, seen
        self.older(found)

    def older(self, found: Sequence[AuditEntry]) -> None:
        """Behind the last, up to PAGE + 1 entries of the kind."""
        self.more = len(found) > PAGE
        if found:
            self.chunks.append(self._chunk(found[:PAGE]))
            self._top = max(self._top, found[0].seq)

    def waiting(self, latest: Sequence[AuditEntry]) -> int | None:
        """How many of the kind are newer than what is shown; None: more than `latest` holds, which are the
        newest of all kinds."""
        if len(latest) >= PAGE and latest[-1].seq > self._top + 1:
            return None
        return len(self._fresh(latest))

    def follow(self, latest: Sequence[AuditEntry]) -> bool:
        """Puts those on top. False: some are missing in between, and it has to `begin` anew."""
        if self.waiting(latest) is None:
            return False
        self.held = False
        if fresh := self._fresh(latest):
            if self.chunks and len(self.chunks[0].rows) + len(fresh) <= _CHUNK:
                self.chunks[0].rows[:0] = fresh
            else:
                self.chunks.insert(0, self._chunk(fresh))
        if latest:
            self._top = max(self._top, latest[0].seq)
        while len(self.chunks) > 1 and sum(len(chunk.rows) for chunk in self.chunks) > _MOST:
            self.chunks.pop()
            self.more = True
        return True

    @property
    def last(self) -> int | None:
        return self.chunks[-1].rows[-1].seq if self.chunks else None

    def _fresh(self, latest: Sequence[AuditEntry]) -> list[AuditEntry]:
        return [one for one in latest if one.seq > self._top and self.kind in (None, one.kind)]

    def _chunk(self, rows: Sequence[AuditEntry]) -> Chunk:
        self._made += 1
        return Chunk(key=self._made, rows=list(rows))
