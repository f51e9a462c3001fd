"""What other programs ask a server: whether it lives, whether it is ready, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from bot.web.feed.hub import Hub
from bot.web.feed.sight import View, sight_of
from bot.web.visitors import Asks, Visitor, house_of
from core.domain.metric import Sample
from core.errors import OrchardError, Unavailable
from core.monitoring.export.openmetrics import CONTENT_TYPE, openmetrics
from core.security.access import Action
from core.store import news
from core.version import program_version

LIVES, READY = "/healthz", "/readyz"
WITHOUT_ACTION = {
    LIVES: "says that the server answers, nothing else",
    READY: "says whether the store does, nothing else",
}
_READY_SECONDS = 2.0

router = APIRouter(tags=["system"])
SeesMetrics = Annotated[Visitor, Depends(Asks(Action.SEE_METRICS, from_here=True))]


class Lives(BaseModel):
    ok: bool


@router.get(LIVES)
async def lives() -> Lives:
    """Answers as long as the program does."""
    return Lives(ok=True)


@router.get(READY, responses={503: {"description": "The store does not answer."}})
async def ready(request: Request) -> Lives:
    """Whether it can work: the store answers within 2 seconds. Else 503."""
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await house_of(request).runtime.store.read(news.last_seq)
    except (TimeoutError, OrchardError):
        raise Unavailable(
            "Orchard is not ready.", why="Its store does not answer.", hint="See its log."
        ) from None
    return Lives(ok=True)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE: {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request, visitor: SeesMetrics) -> Response:
    """All metrics, as OpenMetrics: for Prometheus and what understands it. Open to programs on Orchard's own
    machine; else it takes a session or a token. Of projects, only those that one may see."""
    runtime = house_of(request).runtime
    view = View(sight=sight_of(visitor.asker))
    readings, tallies = runtime.monitoring.readings.latest(), runtime.monitoring.counts
    if view.sight.projects is not None or not view.sight.system:
        readings = tuple(one for one in readings if view.holds(one.project))
        tallies = {at: one for at, one in tallies.items() if view.holds(dict(at[1]).get("project"))}
    text = openmetrics(
        readings,
        tallies,
        [name for name in runtime.configuration().settings.projects if view.holds(name)],
        program_version(),
    )
    return Response(text, media_type=CONTENT_TYPE)


class FeedProbe:
    """Of the live feed itself."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def samples(self, now: datetime) -> Iterable[Sample]:
        seen = {
            "feed_listeners": self._hub.count,
            "feed_slow": self._hub.slow,
            "feed_dropped": self._hub.dropped,
        }
        return [Sample(metric=name, value=value, at=now, source="feed") for name, value in seen.items()]
