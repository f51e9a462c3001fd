"""GET /status: how Orchard stands, at a glance."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from bot.web.api.route import ApiRoute
from bot.web.visitors import LOOKER, Asks, Visitor, house_of
from core.orchestrator.commands.seeing import shown
from core.orchestrator.views import SystemView
from core.security.access import Action

router = APIRouter(tags=["system"], route_class=ApiRoute)
Looks = Annotated[Visitor, Depends(Asks(Action.SEE_SYSTEM, from_here=True))]


@router.get("/status")
async def status(request: Request, visitor: Looks) -> SystemView:
    """How Orchard stands now. Open to programs on its own machine; else it takes a session or a token."""
    return _seen_by(visitor, await house_of(request).runtime.commands.system())


def _seen_by(visitor: Visitor, view: SystemView) -> SystemView:
    """Projects that somebody may not see are not named, nor counted."""
    if visitor.asker is LOOKER:  # which may be an agent that shares our loopback: not what others ask for
        view = replace(
            view, pending_approvals=tuple(replace(one, detail="") for one in view.pending_approvals)
        )
    seen: SystemView = shown("system", view, visitor.sees)
    return seen
