"""POST /webhooks/github: what GitHub says by itself. Its signature is all that it shows, and all that counts.

Nothing of a body is looked at before its signature is found right. A delivery that is taken is acknowledged
when its row is in the store; what it leads to happens afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.web.guard import client_key
from bot.web.problem import Problem, problem_of
from core.clock import Clock
from core.errors import InvalidInput, NotAllowed, OrchardError
from core.github.webhooks.deliveries import Deliveries, Delivery, Receipt, Taken
from core.github.webhooks.signature import HEADER
from core.github.webhooks.signers import Signers
from core.orchestrator.github_views import WebhookCounts
from core.security.audit import AuditKind
from core.security.rate_limit import Limit, RateLimits, TooManyTries
from core.store.auditor import Auditor
from core.store.database import Store

log = logging.getLogger(__name__)

PATH = "/webhooks/github"

_SMALL = 64 * 1024  # bytes; what is larger is not parsed in the event loop
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_EVENT = re.compile(r"[\x21-\x7e]{1,100}")
_MOST_FIELDS = 20
_AUDIT_SECONDS = 60.0
_COST_OF_REFUSED = 50  # calls, for one whose signature is wrong


class NotSigned(NotAllowed):
    slug = "not_signed"


class Webhooks:
    """`calls`: of one address, which the Guard counts, too."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        auditor: Auditor,
        signers: Signers,
        deliveries: Deliveries,
        calls: RateLimits,
    ) -> None:
        self._store = store
        self._clock = clock
        self._auditor = auditor
        self._signers = signers
        self._deliveries = deliveries
        self.calls = calls
        self._became: dict[Taken, int] = dict.fromkeys(Taken, 0)
        self._refused = 0
        self._told = 0  # of the refused
        self._told_at: float | None = None

    @property
    def counts(self) -> WebhookCounts:
        became = self._became
        return WebhookCounts(
            taken=became[Taken.NUDGED] + became[Taken.PONG],
            replayed=became[Taken.REPLAYED],
            ignored=became[Taken.UNKNOWN_EVENT] + became[Taken.UNKNOWN_REPOSITORY],
            refused=self._refused,
        )

    async def take(self, headers: Mapping[str, list[str]], body: bytes, client: str) -> Receipt:
        """`headers`: names in lower case. Raises NotSigned, InvalidInput for what is signed and cannot be
        read, Unavailable."""
        said = headers.get(HEADER, [])
        signed = await self._signers.signed(said[0], body) if len(said) == 1 else None
        if signed is None:
            await self._refuse(client, bool(said))
        delivery = _one(headers, "x-github-delivery", _ID)
        event = _one(headers, "x-github-event", _EVENT)
        kind = (headers.get("content-type") or [""])[0].partition(";")[0].strip().lower()
        if len(body) <= _SMALL:
            payload = payload_of(kind, body)
        else:
            payload = await asyncio.to_thread(payload_of, kind, body)
        receipt = await self._deliveries.take(
            Delivery(id=delivery, event=event, payload=payload, signers=signed.by)
        )
        self._became[receipt.taken] += 1
        log.debug("delivery %s, %s: %s", delivery, event, receipt.taken)
        return receipt

    async def _refuse(self, client: str, was_signed: bool) -> NoReturn:
        """Raises NotSigned. Whoever tries often is told to wait, and the audit log hears of it now and then:
        strangers do not fill it."""
        self._refused += 1
        now = self._clock.monotonic()
        with contextlib.suppress(TooManyTries):
            for _ in range(_COST_OF_REFUSED - 1):
                self.calls.call(client_key(client), now)
        why = "Its signature is not of a secret that Orchard has." if was_signed else "It has no signature."
        hint = "Orchard's GITHUB_WEBHOOK_SECRET and the webhook's secret at GitHub have to be the same."
        if not self._signers.expected:
            why = "Orchard has no secret for webhooks."
            hint = "Set GITHUB_WEBHOOK_SECRET, and the same secret at GitHub."
        if self._told_at is None or now - self._told_at >= _AUDIT_SECONDS:
            count, self._told, self._told_at = self._refused - self._told, self._refused, now
            log.warning("%d deliveries were refused, the last from %s: %s", count, client, why)
            data = {"refused": count, "why": why}
            await self._store.write(
                lambda tx: self._auditor.record(
                    tx, AuditKind.ACCESS_DENIED, actor="github webhook", subject=client, data=data
                )
            )
        raise NotSigned("This delivery is not taken.", why=why, hint=hint)


async def receive(request: Request) -> Response:
    hooks: Webhooks = request.app.state.house.webhooks
    headers: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        headers.setdefault(name, []).append(value)
    try:
        receipt = await hooks.take(headers, await request.body(), str(request.state.client))
    except NotSigned as error:
        return _said(
            Problem(status=401, slug=error.slug, message=error.message, why=error.why, hint=error.hint)
        )
    except OrchardError as error:
        return _said(problem_of(error))
    status = 200 if receipt.taken in (Taken.REPLAYED, Taken.PONG) else 202
    return JSONResponse({"taken": receipt.taken}, status_code=status)


# Not by FastAPI, which takes as long to find out what a function asks for as all the rest does.
ROUTE = Route(PATH, receive, methods=["POST"], include_in_schema=False)


def payload_of(kind: str, body: bytes) -> Mapping[str, Any]:
    """Of a body of this media type: JSON, or a form whose field `payload` is. Raises InvalidInput."""
    try:
        if kind == "application/json":
            text = body.decode()
        elif kind == "application/x-www-form-urlencoded":
            pairs = parse_qsl(
                body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
            )
            (text,) = (value for name, value in pairs if name == "payload")
        else:
            raise _unreadable("Its content type is neither JSON nor a form.")
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _unreadable("It is no JSON that can be read.") from None
    if not isinstance(found, dict):
        raise _unreadable("Its JSON is no object.")
    return found


def limits(per_minute: int) -> RateLimits:
    """Of the deliveries of one address."""
    return RateLimits(Limit(per_second=per_minute / 60, burst=max(1, per_minute // 2)))


def _no_number(text: str) -> None:
    raise ValueError(text)


def _one(headers: Mapping[str, list[str]], name: str, form: re.Pattern[str]) -> str:
    said = headers.get(name, [])
    if len(said) != 1 or not form.fullmatch(said[0]):
        raise InvalidInput("This is no delivery of GitHub's.", why=f"It needs one header {name}.")
    return said[0]


def _unreadable(why: str) -> InvalidInput:
    return InvalidInput(
        "This delivery cannot be read.", why=why, hint="At GitHub set its content type to application/json."
    )


def _said(problem: Problem) -> Response:
    return Response(
        problem.body,
        status_code=problem.status,
        media_type="application/json",
        headers=dict(problem.headers),
    )
