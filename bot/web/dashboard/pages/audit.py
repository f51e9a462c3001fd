"""The audit log: who did what, refused or not, in a chain that shows when a row was changed."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime

from nicegui import background_tasks, ui

from bot.web.dashboard.fragments import Fragments, Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import Parts, act, barred, heading
from bot.web.dashboard.views.audit import PAGE, AuditRows
from core.errors import InvalidInput, OrchardError
from core.orchestrator.security_views import AuditEntry, AuditVerdict
from core.runtime import Runtime
from core.security.access import Action
from core.security.audit import AuditKind

log = logging.getLogger(__name__)

_GRAVE = frozenset(
    {
        AuditKind.ACCESS_DENIED,
        AuditKind.LOGIN_FAILED,
        AuditKind.LOCKED_OUT,
        AuditKind.SECRET_REFUSED,
        AuditKind.ISOLATION_BREACH,
        AuditKind.EGRESS_DENIED,
        AuditKind.AUDIT_BROKEN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    seq: int
    at: datetime
    sign: str
    word: str
    actor: str
    project: str | None
    subject: str
    more: str


def row_of(entry: AuditEntry) -> Row:
    return Row(
        seq=entry.seq,
        at=entry.at,
        sign="bad" if entry.kind in _GRAVE else "later",
        word=entry.kind.replace("_", " "),
        actor=entry.actor,
        project=entry.project,
        subject=entry.subject,
        more=" ".join(f"{name}={value}" for name, value in entry.data.items())[:300],
    )


def audit_view(runtime: Runtime) -> View[tuple[AuditEntry, ...]]:
    """The newest of all kinds; most are written with an event, or soon after it."""

    async def look() -> tuple[AuditEntry, ...]:
        return await runtime.commands.audit_latest(limit=PAGE)

    return View(name="audit", look=look, seconds=2)


class AuditPage:
    """It follows what is recorded, unless it is held still; what is chosen and read stays as it is."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._rows = AuditRows()
        self._latest: tuple[AuditEntry, ...] = ()
        self._verdict: AuditVerdict | None = None
        self._reading = asyncio.Lock()
        self._head: Fragments | None = None
        self._table: Fragments | None = None

    async def open(self) -> None:
        client = ui.context.client
        view = audit_view(self._viewer.house.runtime)
        self._latest = await self._viewer.live.watch(client.id, view, self._told)
        await self._begin()
        self._head = Fragments(self._head_parts(), does=self._does)
        self._table = Fragments(self._parts(), does=self._does)
        client.on_connect(self._follow)

    async def _begin(self, *, again: bool = False) -> None:
        """`again`: to follow, unless it is held meanwhile."""
        async with self._reading:
            while True:
                seen = self._latest[0].seq if self._latest else 0
                found = await self._read(None)
                if again and self._rows.held:
                    return
                self._rows.begin(found, seen=seen)
                if self._rows.follow(self._latest):  # what was told meanwhile
                    return

    async def _read(self, before: int | None) -> tuple[AuditEntry, ...]:
        commands = self._viewer.house.runtime.commands
        return await commands.audit_latest(before=before, limit=PAGE + 1, kind=self._rows.kind)

    def _told(self, latest: tuple[AuditEntry, ...]) -> None:
        self._latest = latest
        if self._head is not None and self._head.client.has_socket_connection:
            self._follow()

    def _follow(self) -> None:
        if not self._rows.held and not self._reading.locked() and not self._rows.follow(self._latest):
            background_tasks.create(self._begin_again(), name="the audit log, read anew")
            return
        self._show()

    async def _begin_again(self) -> None:
        try:
            await self._begin(again=True)
        except OrchardError as error:  # the next that is told tries it again
            log.debug("the audit log cannot be read: %s", error)
        self._show()

    def _show(self) -> None:
        assert self._head is not None
        assert self._table is not None
        if not self._viewer.may(Action.SEE_AUDIT):
            self._head.show({"head": barred()})
            self._table.show({})
            return
        self._head.show(self._head_parts())
        self._table.show(self._parts())

    def _head_parts(self) -> Parts:
        kinds = [one.value for one in AuditKind]
        rows = self._rows
        return {
            "head": drawn("audit_head", kinds=kinds, kind=rows.kind or "", verdict=self._verdict),
            "follow": drawn("audit_follow", held=rows.held, waiting=rows.waiting(self._latest)),
        }

    def _parts(self) -> Parts:
        shown = {
            f"rows {chunk.key}": drawn("audit_rows", rows=[row_of(one) for one in chunk.rows])
            for chunk in self._rows.chunks
        }
        before = self._rows.last or 0 if self._rows.more else 0
        return {**shown, "foot": drawn("audit_foot", before=before)}

    async def _does(self, said: Said) -> None:
        if await act(lambda: self._do(said)):
            self._show()

    async def _do(self, said: Said) -> str:
        await self._viewer.admit(Action.SEE_AUDIT)
        rows = self._rows
        match said["do"]:
            case "filter":
                rows.kind = said.get("kind") or None
                await self._begin()
                return "New entries follow."
            case "older" if rows.last is not None:
                async with self._reading:
                    rows.older(await self._read(rows.last))
                return "Older rows are below."
            case "hold":
                rows.held = True
                return "It stays as it is."
            case "follow":
                if not rows.follow(self._latest):
                    await self._begin()
                return "New entries follow."
            case "verify":
                self._verdict = await self._viewer.house.runtime.commands.verify_audit()
                return "The chain was verified."
            case _:
                raise InvalidInput("This control is not known.", hint="Load the page again.")


async def build(viewer: Viewer) -> None:
    heading("Audit")
    await AuditPage(viewer).open()
