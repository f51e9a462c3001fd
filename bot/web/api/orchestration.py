"""The API of what is shared by all projects: resources, sharing them anew, and how well it all goes."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Request
from pydantic import BaseModel, Field

from bot.web.api.route import Body
from bot.web.api.route import router as api_router
from bot.web.visitors import Asks, Visitor, house_of
from core.domain.insights import Insights, ProjectFigures
from core.orchestrator.commands.seeing import shown
from core.orchestrator.resource_views import Metrics, Optimization, ResourcesView
from core.security.access import EVERY_PROJECT, Action

router = api_router("orchestration")
SeesResources = Annotated[Visitor, Depends(Asks(Action.SEE_RESOURCES))]
SeesMetrics = Annotated[Visitor, Depends(Asks(Action.SEE_METRICS))]
SeesInsights = Annotated[Visitor, Depends(Asks(Action.SEE_INSIGHTS))]
Optimizes = Annotated[Visitor, Depends(Asks(Action.OPTIMIZE_RESOURCES))]


class Rebalance(Body):
    strategy: Literal["fair_share", "priority_based", "dynamic"] | None = Field(
        default=None, description="Null: the configured one. Another one only as a dry run."
    )
    dry_run: bool = Field(default=False, description="Says what would change, and changes nothing.")


class Analytics(BaseModel):
    figures: Metrics | None = Field(description="Null for whoever does not see every project.")
    cross_project_insights: int = Field(description="Reasons of refusal that more than one project has.")
    projects: list[ProjectFigures] = Field(description="What their gates said of late.")


@router.get("/orchestration/resources")
async def resources(request: Request, visitor: SeesResources) -> ResourcesView:
    """Shares, limits, locks, and what holds starts back, as of now."""
    found = await house_of(request).runtime.commands.resources()
    seen: ResourcesView = shown("resources", found, visitor.sees)
    return seen


@router.post("/orchestration/rebalance")
async def rebalance(request: Request, visitor: Optimizes, wanted: Rebalance | None = None) -> Optimization:
    """Measures, and shares resources anew."""
    wanted = wanted or Rebalance()
    return await house_of(request).runtime.commands.optimize(
        strategy=wanted.strategy, dry_run=wanted.dry_run, actor=visitor.asker.name
    )


@router.get("/orchestration/analytics")
async def analytics(request: Request, visitor: SeesMetrics) -> Analytics:
    """How well everything goes: the four figures, and each project's gates."""
    commands = house_of(request).runtime.commands
    found = await commands.insights()
    return Analytics(
        figures=await commands.metrics() if visitor.sees(EVERY_PROJECT) else None,
        cross_project_insights=sum(reason.projects > 1 for reason in found.reasons),
        projects=[one for one in found.projects if visitor.sees(one.project)],
    )


@router.get("/insights")
async def insights(request: Request, visitor: SeesInsights) -> Insights:
    """What can be learned from all projects' gates; of single projects, those that you see."""
    found: Insights = shown("insights", await house_of(request).runtime.commands.insights(), visitor.sees)
    return found
