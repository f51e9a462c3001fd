"""Alerts: what is wrong now, who looks at it, and what is watched."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from core.clock import SystemClock
from core.domain.alert import ALERT, Alert, AlertFact, AlertState, Rule
from core.errors import InvalidInput, NotAllowed
from core.orchestrator.commands.topic import Topic, find
from core.store import alert_tellings
from core.store import alerts as rows
from core.store.alert_tellings import Trouble
from core.store.database import Transaction

PAGE = 200
_LONGEST_SILENCE = timedelta(days=30)


class Alerts(Topic):
    async def alerts(
        self,
        *,
        project: str | None = None,
        open_only: bool = True,
        pending: bool = False,
        limit: int = 50,
        before: str | None = None,
    ) -> tuple[Alert, ...]:
        """The newest first. `pending`: also those that are not breached for long enough yet. `limit`: 1 to
        200. `before`: the id of the last one seen. Raises NotFound."""

        def look(conn: sqlite3.Connection) -> tuple[Alert, ...]:
            return rows.listed(
                conn,
                project=find(conn, project).name if project else None,
                open_only=open_only,
                pending=pending,
                limit=max(1, min(limit, PAGE)),
                before=before,
            )

        return await self._store.read(look)

    async def alert(self, alert_id: str) -> Alert:
        """Raises NotFound."""
        return await self._store.read(lambda conn: rows.get(conn, alert_id))

    async def acknowledge_alert(self, alert_id: str, *, actor: str) -> Alert:
        """Somebody looks: it is told again only when it resolves or becomes graver. Twice is as once. Raises
        NotFound; NotAllowed for one that is over, silenced or not told yet."""
        return await self._store.write(lambda tx: _moved(tx, alert_id, AlertFact.ACKNOWLEDGED, actor))

    async def silence_alert(self, alert_id: str, until: datetime, *, actor: str) -> Alert:
        """`until`: with a zone, ahead and at most 30 days away; it holds also when the alert resolves and
        comes again. Raises NotFound, InvalidInput; NotAllowed for one that is over."""
        now = SystemClock().now()
        if until.tzinfo is None or not now < until <= now + _LONGEST_SILENCE:
            raise InvalidInput(
                "A silence ends in the future, within 30 days.", hint="Say until when, such as 1h or 2d."
            )
        until = until.astimezone(UTC)
        return await self._store.write(lambda tx: _moved(tx, alert_id, AlertFact.SILENCED, actor, until))

    async def unsilence_alert(self, alert_id: str, *, actor: str) -> Alert:
        """It is told again as it stands. Raises NotFound; NotAllowed for one that is not silenced."""

        def end(tx: Transaction) -> Alert:
            found = rows.get(tx.conn, alert_id)
            if found.state is AlertState.RESOLVED and found.until is not None and found.until > tx.now:
                return rows.forget_silence(tx, found, by=actor)
            return _moved(tx, alert_id, AlertFact.SILENCE_OVER, actor)

        return await self._store.write(end)

    async def alert_troubles(self) -> tuple[Trouble, ...]:
        """What cannot be told now, by route, and why: without addresses' paths, which may be secret."""
        return await self._store.read(alert_tellings.troubles)

    async def alert_rules(self) -> tuple[Rule, ...]:
        """What is watched: built-in ones as the settings changed them, then the settings' own; also those
        that are switched off."""
        return self._registry.configuration.settings.global_.alerts.watched


def _moved(
    tx: Transaction, alert_id: str, fact: AlertFact, actor: str, until: datetime | None = None
) -> Alert:
    found = rows.get(tx.conn, alert_id)
    if fact is AlertFact.ACKNOWLEDGED and found.state is AlertState.ACKNOWLEDGED:
        return found
    if until is not None and found.state is AlertState.SILENCED:  # for longer, or shorter
        return rows.prolong(tx, found, until, by=actor)
    if (found.state, fact) not in ALERT:
        raise NotAllowed(
            f"This alert is {found.state}: it cannot be {_DONE[fact]}.",
            why=f"It said: {found.summary}",
            hint="`orchard alerts` lists what is open.",
        )
    return rows.move(tx, found, fact, by=actor, until=until)


_DONE = {
    AlertFact.ACKNOWLEDGED: "acknowledged",
    AlertFact.SILENCED: "silenced",
    AlertFact.SILENCE_OVER: "told again",
}
