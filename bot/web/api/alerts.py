"""The API of alerts: what is wrong, who looks at it, what is watched."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from pydantic import Field

from bot.web.api.paging import LINK, Paged
from bot.web.api.route import IF_MATCH, Body, changing
from bot.web.api.route import router as api_router
from bot.web.visitors import Asks, Visitor, admit, house_of
from core.domain.alert import Alert, Rule
from core.orchestrator.commands import Commands
from core.orchestrator.commands.seeing import shown
from core.security.access import EVERY_PROJECT, Action, may
from core.store import alerts as rows

router = api_router("alerts")
SeesAlerts = Annotated[Visitor, Depends(Asks(Action.SEE_ALERTS, each=True))]
AnswersAlert = Annotated[Visitor, Depends(Asks(Action.ANSWER_ALERT, each=True))]
AlertId = Annotated[str, Path(max_length=200)]
_AT_ONCE = 200


class Silence(Body):
    until: Annotated[datetime, Field(strict=False, description="With a zone, within 30 days.")]


@router.get("/alerts", description=f"The newest first. {LINK}")
async def alerts(
    request: Request,
    visitor: SeesAlerts,
    page: Paged,
    project: str | None = None,
    everything: Annotated[bool, Query(alias="all", description="Those that are over, too.")] = False,
) -> list[Alert]:
    if project is not None:
        await admit(house_of(request), visitor, Action.SEE_ALERTS, project.strip().lower())
    commands, seen = house_of(request).runtime.commands, list[Alert]()
    before = page.after
    while len(seen) <= page.limit:  # others' alerts are passed over
        found = await commands.alerts(
            project=project, open_only=not everything, limit=_AT_ONCE, before=before
        )
        seen += [one for one in found if _sees(visitor, one)]
        if len(found) < _AT_ONCE:
            break
        before = found[-1].id
    return page.shown(seen, lambda one: one.id)


@router.get("/alerts/rules")
async def rules(request: Request, visitor: SeesAlerts) -> list[Rule]:
    """What is watched: built-in rules as the settings changed them, then the settings' own."""
    found = await house_of(request).runtime.commands.alert_rules()
    return list(shown("alert_rules", found, visitor.sees))


@router.get("/alerts/{alert_id}")
async def alert(request: Request, visitor: SeesAlerts, alert_id: AlertId) -> Alert:
    return await _seen(request, visitor, alert_id)


@router.post("/alerts/{alert_id}/acknowledge", openapi_extra=IF_MATCH)
async def acknowledge(request: Request, visitor: AnswersAlert, alert_id: AlertId) -> Alert:
    """Somebody looks: it is told again only when it resolves or becomes graver."""
    await _answering(request, visitor, alert_id)
    bound = _changing(request, alert_id)
    return await bound.acknowledge_alert(alert_id, actor=visitor.asker.name)


@router.post("/alerts/{alert_id}/silence", openapi_extra=IF_MATCH)
async def silence(request: Request, visitor: AnswersAlert, alert_id: AlertId, wanted: Silence) -> Alert:
    """Until a time, also when it resolves and comes again."""
    await _answering(request, visitor, alert_id)
    bound = _changing(request, alert_id)
    return await bound.silence_alert(alert_id, wanted.until, actor=visitor.asker.name)


@router.post("/alerts/{alert_id}/unsilence", openapi_extra=IF_MATCH)
async def unsilence(request: Request, visitor: AnswersAlert, alert_id: AlertId) -> Alert:
    await _answering(request, visitor, alert_id)
    bound = _changing(request, alert_id)
    return await bound.unsilence_alert(alert_id, actor=visitor.asker.name)


def _changing(request: Request, alert_id: str) -> Commands:
    def now(conn: sqlite3.Connection) -> Alert:
        return rows.get(conn, alert_id)

    def answer(_: sqlite3.Connection, value: Alert) -> Alert:
        return value

    return changing(request, now=now, answer=answer)


def _sees(visitor: Visitor, found: Alert) -> bool:
    """Of no project: whoever sees all of them."""
    return may(Action.SEE_ALERTS, visitor.asker, found.project or EVERY_PROJECT).allowed


async def _seen(request: Request, visitor: Visitor, alert_id: str) -> Alert:
    found = await house_of(request).runtime.commands.alert(alert_id)
    if not _sees(visitor, found):
        raise rows.absent(alert_id)
    return found


async def _answering(request: Request, visitor: Visitor, alert_id: str) -> None:
    """Raises NotFound, also for one that they may not know of, and NotAllowed."""
    found = await _seen(request, visitor, alert_id)
    action = Action.ANSWER_SYSTEM_ALERT if found.project is None else Action.ANSWER_ALERT
    await admit(house_of(request), visitor, action, found.project)
