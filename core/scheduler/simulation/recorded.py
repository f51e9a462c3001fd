"""PURE: a week as it was, to be played again: when stories could go on, and how long their phases took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from core.errors import InvalidInput
from core.scheduler.resources import Resources
from core.scheduler.simulation.workload import LoadPhase, LoadProject, LoadStory, Week, in_order

_LEAST_SECONDS = 1.0
_REST_SECONDS = 3600.0  # after the last end, so that what is as quick as then comes to its end


class Ran(Protocol):
    """A phase that ran: core.store.load.PhaseRun."""

    @property
    def project(self) -> str: ...
    @property
    def story_id(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def ready_at(self) -> datetime: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime: ...


def recorded(
    runs: Sequence[Ran],
    projects: Mapping[str, LoadProject],
    *,
    capacity: Resources,
    max_concurrent_projects: float = math.inf,
) -> Week:
    """What ran, under the present settings: `projects` by name, each phase asking for what `each` says.

    A story arrives when its first phase was ready. Between two of its phases lies what lay between them then
    (people's answers, other stories), but not the wait for room: that is the strategy's to decide anew. Runs
    of projects that are gone are left out. InvalidInput: nothing is left.
    """
    by_story: dict[str, list[Ran]] = {}
    for run in runs:
        if run.project in projects:
            by_story.setdefault(run.story_id, []).append(run)
    if not by_story:
        raise InvalidInput("Nothing that ran is of a project that is there now.")
    stories = []
    for story_id, own in by_story.items():
        own.sort(key=lambda run: (run.started_at, run.ended_at))
        project = projects[own[0].project]
        stories.append(
            LoadStory(
                id=story_id,
                project=project.name,
                arrives_at=own[0].ready_at.timestamp(),
                phases=tuple(
                    _phase(run, before, project.each) for run, before in zip(own, [None, *own], strict=False)
                ),
            )
        )
    starts_at = math.floor(min(story.arrives_at for story in stories) / 3600.0) * 3600.0
    last = max(run.ended_at.timestamp() for own in by_story.values() for run in own)
    return Week(
        name="recorded",
        starts_at=starts_at,
        seconds=last - starts_at + _REST_SECONDS,
        capacity=capacity,
        projects=tuple(projects[name] for name in sorted(projects)),
        stories=in_order(stories),
        max_concurrent_projects=max_concurrent_projects,
    )


def _phase(run: Ran, before: Ran | None, each: Resources) -> LoadPhase:
    """Whole seconds. A merge needs no agent."""
    seconds = (run.ended_at - run.started_at).total_seconds()
    gap = 0.0 if before is None else (run.ready_at - before.ended_at).total_seconds()
    return LoadPhase(
        demand=each._replace(agents=0.0) if run.phase == "commit" else each,
        seconds=max(float(round(seconds)), _LEAST_SECONDS),
        after_seconds=max(float(round(gap)), 0.0),
    )
