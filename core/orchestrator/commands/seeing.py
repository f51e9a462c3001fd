"""What is shown of every project, as far as somebody sees the projects. PURE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from core.errors import NotAllowed
from core.ids import project_of
from core.orchestrator.budget_views import total_of
from core.security.access import EVERY_PROJECT

if TYPE_CHECKING:
    from core.domain.alert import Rule
    from core.domain.trend import NeedsGraph
    from core.orchestrator.agent_desk import AgentView
    from core.orchestrator.budget_views import BudgetsView
    from core.orchestrator.resource_views import LockView, ResourcesView
    from core.orchestrator.session_views import SearchView, SessionDetail
    from core.orchestrator.views import Digest, SystemView

Sees = Callable[[str], bool]
"""Whether somebody sees the project of this name; of EVERY_PROJECT, whether every one."""


def shown(request: str, found: Any, sees: Sees) -> Any:
    """What the request found, without what is of projects that are not seen."""
    cut = _CUTS.get(request)
    return found if cut is None or sees(EVERY_PROJECT) else cut(found, sees)


def _system(found: SystemView, sees: Sees) -> SystemView:
    """Without the figures, and without what is wrong with settings: both tell of every project."""
    return replace(
        found,
        projects=tuple(each for each in found.projects if sees(each.project.name)),
        pending_approvals=tuple(each for each in found.pending_approvals if sees(each.project)),
        unusable={name: why for name, why in found.unusable.items() if sees(name)},
        refused_settings="",
        figures=None,
    )


def _resources(found: ResourcesView, sees: Sees) -> ResourcesView:
    return replace(
        found,
        projects=tuple(each for each in found.projects if sees(each.project)),
        locks=tuple(_lock(each, sees) for each in found.locks),
        problems=(),
    )


def _lock(found: LockView, sees: Sees) -> LockView:
    holders = tuple(name if sees(project_of(name)) else "another project" for name in found.holders)
    waiting = tuple(name for name in found.waiting if sees(project_of(name)))
    return replace(found, holders=holders, waiting=waiting)


def _budgets(found: BudgetsView, sees: Sees) -> BudgetsView:
    projects = tuple(each for each in found.projects if sees(each.project))
    return replace(found, projects=projects, total=total_of(projects))


def _digest(found: Digest, sees: Sees) -> Digest:
    """Without counts, which are of every project's events."""
    questions = tuple(each for each in found.questions if sees(each.project))
    blocked = _views(found.blocked, sees)
    told = {*(each.id for each in questions), *(view.story.id for view in blocked)}
    return replace(
        found,
        merged=_views(found.merged, sees),
        blocked=blocked,
        questions=questions,
        finished_sprints=tuple(each for each in found.finished_sprints if sees(each.project)),
        counts={} if found.project is None else found.counts,
        posts={name: place for name, place in found.posts.items() if name in told},
    )


def _search(found: SearchView, sees: Sees) -> SearchView:
    return replace(found, hits=tuple(hit for hit in found.hits if sees(hit.turn.project)))


def _session(found: SessionDetail, sees: Sees) -> SessionDetail:
    """Asked for by a name that an agent gave it, it may be of any project."""
    if not sees(found.view.session.project):
        raise NotAllowed("This session is of a project that you do not see.", hint="Ask its maintainers.")
    return found


def _agents(found: tuple[AgentView, ...], sees: Sees) -> tuple[AgentView, ...]:
    return tuple(
        replace(
            each,
            used_by=tuple(name for name in each.used_by if sees(name)),
            fallback_of=tuple(name for name in each.fallback_of if sees(name)),
        )
        for each in found
    )


def _needs_graph(found: NeedsGraph, sees: Sees) -> NeedsGraph:
    seen = tuple(each for each in found.stories if sees(each.project))
    ids = {each.id for each in seen}
    return replace(
        found, stories=seen, needs=tuple(each for each in found.needs if {each.story, each.needs} <= ids)
    )


def _insights(found: Any, sees: Sees) -> Any:
    """What all projects have in common names none of them."""
    return replace(found, projects=tuple(each for each in found.projects if sees(each.project)))


def _alert_rules(found: tuple[Rule, ...], sees: Sees) -> tuple[Rule, ...]:
    """Without those that name a project which is not seen."""
    return tuple(each for each in found if "project" not in each.match or sees(each.match["project"]))


def _views(found: Any, sees: Sees) -> Any:
    return tuple(each for each in found if sees(each.story.project))


_CUTS: Mapping[str, Callable[[Any, Sees], Any]] = MappingProxyType(
    {
        "system": _system,
        "projects": lambda found, sees: tuple(each for each in found if sees(each.project.name)),
        "stories": _views,
        "story_titles": lambda found, sees: tuple(each for each in found if sees(project_of(each.id))),
        "approvals": lambda found, sees: tuple(each for each in found if sees(each.project)),
        # an event of no project is of the whole machine
        "events": lambda found, sees: tuple(each for each in found if each.project and sees(each.project)),
        "digest": _digest,
        "news": _digest,
        "sessions": lambda found, sees: tuple(each for each in found if sees(each.session.project)),
        "session": _session,
        "search_sessions": _search,
        "budgets": _budgets,
        "resources": _resources,
        "insights": _insights,
        "cycle_times": lambda found, sees: replace(
            found, stories=tuple(each for each in found.stories if sees(each.project))
        ),
        "use_history": lambda found, sees: replace(
            found, projects=tuple(each for each in found.projects if sees(each.project))
        ),
        "spending_history": lambda found, sees: replace(
            found, spent=tuple(each for each in found.spent if sees(each.project))
        ),
        "needs_graph": _needs_graph,
        "repositories": lambda found, sees: tuple(each for each in found if sees(each.link.project)),
        "agents": _agents,
        "alerts": lambda found, sees: tuple(each for each in found if each.project and sees(each.project)),
        "alert_rules": _alert_rules,
    }
)
FILTERED = frozenset(_CUTS) - {"session"}
"""The requests that may be of every project, and are cut to what the asker sees."""
