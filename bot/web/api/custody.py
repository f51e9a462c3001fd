"""The API of what is kept: secrets (never a value), the audit log, what a project's agents are shut in by."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from pydantic_core import to_jsonable_python

from bot.web.api.paging import LINK, Paged
from bot.web.api.route import Body
from bot.web.api.route import router as api_router
from bot.web.house import House
from bot.web.visitors import Asks, Visitor, house_of
from core.domain.project import Project
from core.folder import variables
from core.security.access import Action
from core.security.secrets import SecretListed
from core.store import projects

router = api_router("custody")
SeesSecretNames = Annotated[Visitor, Depends(Asks(Action.SEE_SECRET_NAMES))]
SetsSecret = Annotated[Visitor, Depends(Asks(Action.SET_SECRET))]
SeesAudit = Annotated[Visitor, Depends(Asks(Action.SEE_AUDIT))]
# Whoever may try a project's sandboxes may read what they are.
TestsIsolation = Annotated[Visitor, Depends(Asks(Action.TEST_ISOLATION))]


class SecretSeen(BaseModel):
    name: str
    version: int
    set_at: datetime
    set_by: str


class NewSecret(Body):
    value: Annotated[str, Field(max_length=100_000)]


class Verdict(BaseModel):
    sound: bool
    rows: int
    first: int
    last: int
    problems: list[str] = Field(description="The first hundred of them.")
    notes: list[str]


@router.get("/projects/{project}/secrets")
async def secrets(request: Request, _: SeesSecretNames, project: str) -> list[SecretSeen]:
    house = house_of(request)
    return [_seen(each) for each in await house.secrets.listed(await _known(house, project))]


@router.put("/projects/{project}/secrets/{name}")
async def set_secret(
    request: Request, visitor: SetsSecret, project: str, name: str, wanted: NewSecret
) -> SecretSeen:
    """Sets or rotates it."""
    house = house_of(request)
    known = await _known(house, project)
    return _seen(await house.secrets.set(known, name, wanted.value, actor=visitor.asker.name))


@router.delete("/projects/{project}/secrets/{name}", status_code=204)
async def remove_secret(request: Request, visitor: SetsSecret, project: str, name: str) -> Response:
    house = house_of(request)
    await house.secrets.remove(await _known(house, project), name, actor=visitor.asker.name)
    return Response(status_code=204)


class AuditRow(BaseModel):
    seq: int
    at: datetime
    kind: str
    actor: str
    project: str | None
    subject: str
    data: dict[str, Any]


@router.get("/audit", description=f"The newest first. {LINK}")
async def audit(
    request: Request, _: SeesAudit, page: Paged, kind: Annotated[str | None, Query(max_length=100)] = None
) -> list[AuditRow]:
    found = await house_of(request).runtime.commands.audit_latest(
        before=page.number(), limit=page.limit + 1, kind=kind
    )
    rows = [
        AuditRow(
            seq=one.seq,
            at=one.at,
            kind=one.kind,
            actor=one.actor,
            project=one.project,
            subject=one.subject,
            data=dict(one.data),
        )
        for one in found
    ]
    return page.shown(rows, lambda row: str(row.seq))


@router.get("/audit/verify")
async def verify_audit(request: Request, _: SeesAudit) -> Verdict:
    """Whether a row was altered, is missing or out of order."""
    found = await house_of(request).runtime.commands.verify_audit()
    return Verdict(
        sound=found.sound,
        rows=found.rows,
        first=found.first,
        last=found.last,
        problems=list(found.problems),
        notes=list(found.notes),
    )


@router.get("/audit/export", response_class=Response)
async def export_audit(request: Request, visitor: SeesAudit) -> Response:
    """The whole log as JSON lines, oldest first. That it was exported is its next row."""
    lines = _lines(house_of(request), visitor.asker.name)
    headers = {"Content-Disposition": 'attachment; filename="orchard-audit.jsonl"'}
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


@router.get("/projects/{project}/isolation")
async def isolation(
    request: Request,
    _: TestsIsolation,
    project: str,
    role: Annotated[str, Query(max_length=100)] = "code",
) -> dict[str, Any]:
    """How an agent in the role would be started: its command, mounts, doors, allow-list and limits."""
    from core.doctor.isolation import Reviewer

    house = house_of(request)
    name, configuration = await _known(house, project), house.runtime.configuration()

    def look() -> dict[str, Any]:
        reviewer = Reviewer(
            name,
            configuration.settings,
            state_path=configuration.state_path,
            machine=house.runtime.machine,
            environ=variables(configuration.root),
        )
        view: dict[str, Any] = to_jsonable_python(reviewer.show(role))
        return view

    return await asyncio.to_thread(look)


async def _lines(house: House, actor: str) -> AsyncIterator[bytes]:
    commands, after, count = house.runtime.commands, 0, 0
    while True:
        page = await commands.audit_page(after)
        count += len(page.lines)
        yield "".join(f"{line}\n" for line in page.lines).encode()
        if page.last is None:
            break
        after = page.last
    await commands.audit_exported(count, actor=actor)


async def _known(house: House, project: str) -> str:
    """Its name as the store has it. Raises NotFound."""

    def look(conn: sqlite3.Connection) -> Project:
        return projects.get(conn, project.strip().lower())

    return (await house.runtime.store.read(look)).name


def _seen(found: SecretListed) -> SecretSeen:
    return SecretSeen(name=found.name, version=found.version, set_at=found.set_at, set_by=found.set_by)
