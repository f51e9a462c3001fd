"""The REST API: one module a kind of resource; what they have in common is in `route` and `paging`."""

from bot.web.api import (
    alerts,
    approvals,
    custody,
    github,
    metrics,
    orchestration,
    own,
    people,
    projects,
    system,
    tasks,
)

ROUTERS = (
    own.router,
    people.router,
    custody.router,
    projects.router,
    tasks.router,
    approvals.router,
    alerts.router,
    metrics.router,
    orchestration.router,
    github.router,
    system.router,
)
