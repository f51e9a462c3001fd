"""Secrets of projects, the audit log, and backups of the store: of whoever sits at the machine alone."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.errors import InvalidInput
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.security_views import AuditEntry, AuditPage, AuditVerdict, BackupView, SecretView

if TYPE_CHECKING:
    from core.security.audit import AuditKind
    from core.security.secrets import SecretListed, Secrets
    from core.store.audit import Entry

_ACTOR = "cli"
PAGE_ROWS = 2000


class Custody(Topic):
    async def set_secret(self, project: str, name: str, value: str) -> SecretView:
        """Sets or rotates it. Raises InvalidInput for a name or value that cannot be one."""
        known = await self._known(project)
        return self._secret(await self._secrets().set(known, name.strip(), value, actor=_ACTOR))

    async def remove_secret(self, project: str, name: str) -> None:
        known = await self._known(project)
        await self._secrets().remove(known, name.strip(), actor=_ACTOR)

    async def secrets(self, project: str) -> tuple[SecretView, ...]:
        """By name, without values."""
        known = await self._known(project)
        return tuple(self._secret(each) for each in await self._secrets().listed(known))

    async def verify_audit(self) -> AuditVerdict:
        """Against the head that is kept outside the store, too, so that a log is found whose end is gone."""
        auditor, kept = self._vault.auditor, self._vault.head_file
        seen = await asyncio.to_thread(kept.read)
        found = await self._store.read(lambda conn: auditor.verify(conn, seen=seen))
        unkept = f"No head of this key is kept in {kept.path}: whether the end is missing is not known."
        notes = () if not found.last or (seen is not None and auditor.signed(seen)) else (unkept,)
        return AuditVerdict(
            sound=found.sound,
            rows=found.rows,
            first=found.first,
            last=found.last,
            found=found.found,
            problems=tuple(problem.text for problem in found.problems),
            notes=(*found.notes, *notes),
        )

    async def audit_entries(self, limit: int, kind: str | None = None) -> tuple[AuditEntry, ...]:
        """The newest `limit`, oldest first."""
        from core.store.audit import entries

        wanted = _kind(kind)

        def look(conn: sqlite3.Connection) -> tuple[AuditEntry, ...]:
            after = 0
            if limit > 0:
                row = conn.execute(
                    "SELECT seq FROM audit_log WHERE ? IS NULL OR kind = ?"
                    " ORDER BY seq DESC LIMIT 1 OFFSET ?",
                    (wanted and wanted.value, wanted and wanted.value, limit),
                ).fetchone()
                after = row[0] if row else 0
            found = entries(conn, after=after, limit=limit, kind=wanted)
            return tuple(map(_entry, found))

        return await self._store.read(look)

    async def audit_latest(
        self, *, before: int | None = None, limit: int, kind: str | None = None
    ) -> tuple[AuditEntry, ...]:
        """The newest first, of those before number `before`."""
        from core.store.audit import latest

        wanted = _kind(kind)
        return await self._store.read(
            lambda conn: tuple(map(_entry, latest(conn, before=before, limit=limit, kind=wanted)))
        )

    async def audit_page(self, after: int) -> AuditPage:
        """Rows behind number `after`, as they are exported."""
        from core.security.audit import line_of
        from core.store.audit import rows

        def look(conn: sqlite3.Connection) -> AuditPage:
            found = list(rows(conn, after=after, limit=PAGE_ROWS))
            last = found[-1].seq if len(found) == PAGE_ROWS else None
            return AuditPage(lines=tuple(map(line_of, found)), last=last)

        return await self._store.read(look)

    async def audit_exported(self, rows: int, *, actor: str = _ACTOR) -> None:
        """Whoever exported the log says so in it."""
        from core.security.audit import AuditKind

        auditor = self._vault.auditor
        await self._store.write(
            lambda tx: auditor.record(tx, AuditKind.AUDIT_EXPORTED, actor=actor, data={"rows": rows})
        )

    async def note_denied(self, actor: str, what: str, project: str | None, why: str) -> None:
        """Somebody was refused something of weight by a face."""
        if self._vault_of is None:  # nothing is recorded where there is no key to sign with
            return
        from core.security.audit import AuditKind

        auditor, data = self._vault.auditor, {"why": why[:500]}
        await self._store.write(
            lambda tx: auditor.record(
                tx, AuditKind.ACCESS_DENIED, actor=actor, project=project, subject=what[:100], data=data
            )
        )

    async def back_up(self) -> BackupView:
        """A proven backup, beside which those that are too old are removed. Raises Unavailable."""
        from core.orchestrator.backup_keeping import make_backup

        security = self._registry.configuration.settings.global_.security
        made, gone = await make_backup(self._store, SystemClock(), self._vault, security, actor=_ACTOR)
        return BackupView(
            path=str(made.path),
            at=made.at,
            rows=sum(made.proven.rows.values()),
            encrypted=made.proven.encrypted,
            removed=gone,
        )

    async def _known(self, project: str) -> str:
        return (await self._store.read(lambda conn: find(conn, project))).name

    def _secrets(self) -> Secrets:
        from core.security.secrets import Secrets

        return Secrets(self._store, self._vault.key, self._vault.auditor)

    def _secret(self, found: SecretListed) -> SecretView:
        settings = self._registry.configuration.settings.projects.get(found.project)
        given = []
        if settings is not None and found.name in settings.agent_secrets:
            given.append("agents")
        if settings is not None and found.name in settings.test_secrets:
            given.append("tests")
        return SecretView(
            project=found.project,
            name=found.name,
            version=found.version,
            set_at=found.set_at,
            set_by=found.set_by,
            given_to=tuple(given),
        )


def _kind(text: str | None) -> AuditKind | None:
    from core.security.audit import AuditKind

    if text is None:
        return None
    try:
        return AuditKind(text.strip().lower())
    except ValueError:
        raise InvalidInput(
            f"There is no kind '{text[:40]}' of audit rows.", hint=f"Possible: {', '.join(AuditKind)}."
        ) from None


def _entry(each: Entry) -> AuditEntry:
    return AuditEntry(
        seq=each.seq,
        at=each.at,
        kind=each.kind,
        actor=each.actor,
        project=each.project,
        subject=each.subject,
        data=each.data,
    )
