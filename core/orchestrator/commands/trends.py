"""How things went over time, and what waits for what: what charts are drawn of."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta

from core.domain.trend import CycleTimes, GraphStory, Need, NeedsGraph, SpendingHistory, UseHistory
from core.errors import InvalidInput
from core.ids import project_of
from core.orchestrator import overview
from core.orchestrator.commands.topic import Topic, find
from core.store import needs, trends

DAYS = 30
MOST_DAYS = 366
_POINTS = 96  # of a curve, at most: a phone shows no more
_SPANS = (300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400)  # seconds


class Trends(Topic):
    """Without a project: of each. Raises NotFound for one that there is not."""

    async def cycle_times(self, project: str | None = None, *, days: int = DAYS) -> CycleTimes:
        """How long stories took that were merged in the last so many days, at most 5,000 of them."""
        until = datetime.now(UTC)
        since = until - timedelta(days=_checked(days))
        found = await self._store.read(
            lambda conn: trends.merged(conn, since=since, until=until, project=_name(conn, project))
        )
        return CycleTimes(since=since, until=until, stories=found)

    async def use_history(self, project: str | None = None, *, days: int = 1) -> UseHistory:
        """Agents, processors and memory over the last so many days, in at most 97 spans. What is older than
        the scheduler's samples (35 days) is not known any more."""
        until = datetime.now(UTC)
        since = until - timedelta(days=_checked(days))
        least = days * 86400 / _POINTS
        span = next((one for one in _SPANS if one >= least), _SPANS[-1])
        found = await self._store.read(
            lambda conn: trends.use(
                conn, since=since, until=until, span_seconds=span, project=_name(conn, project)
            )
        )
        return UseHistory(since=since, until=until, span_seconds=span, projects=found)

    async def spending_history(self, project: str | None = None, *, days: int = DAYS) -> SpendingHistory:
        """What agents' calls took on each of the last so many days, today included."""
        until: date = datetime.now(UTC).date()
        since = until - timedelta(days=_checked(days) - 1)
        found = await self._store.read(
            lambda conn: trends.spending(conn, since=since, until=until, project=_name(conn, project))
        )
        return SpendingHistory(since=since, until=until, spent=found)

    async def needs_graph(self, project: str | None = None) -> NeedsGraph:
        """Stories that are not over and wait for another or are waited for, also those of other projects
        that a project's wait for."""
        return await self._store.read(lambda conn: _graph(conn, _name(conn, project)))


def _name(conn: sqlite3.Connection, project: str | None) -> str | None:
    return find(conn, project).name if project else None


def _checked(days: int) -> int:
    if 1 <= days <= MOST_DAYS:
        return days
    raise InvalidInput(
        f"{days} is no number of days that can be looked back.", hint=f"Name one from 1 to {MOST_DAYS}."
    )


def _graph(conn: sqlite3.Connection, project: str | None) -> NeedsGraph:
    found = tuple(Need(story=story, needs=needed) for story, needed in needs.still_open(conn, project))
    named = {one for need in found for one in (need.story, need.needs)}
    of_projects = {project_of(one) for one in named}
    titles = {
        title.id: title
        for each in of_projects
        for title in overview.story_titles(conn, each)
        if title.id in named
    }
    chosen = sorted(titles, key=_in_order)
    return NeedsGraph(
        stories=tuple(
            GraphStory(id=name, title=titles[name].title, status=titles[name].status) for name in chosen
        ),
        needs=found,
    )


def _in_order(story_id: str) -> tuple[str, int]:
    number = story_id.rpartition("-")[2]
    return project_of(story_id), int(number) if number.isdigit() else 0
