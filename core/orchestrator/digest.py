"""A digest's content, read in one snapshot."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from core.domain.approval import Approval
from core.domain.event import EventKind
from core.domain.story import StoryState, StoryStatus
from core.orchestrator import overview
from core.orchestrator.overview import Why
from core.orchestrator.views import Digest, PostPlace, StoryView
from core.store import approvals, news, posts, stories

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def between(conn: sqlite3.Connection, after: int, last: int, project: str | None, why: Why) -> Digest:
    """Of the events in (`after`, `last`]; blocked stories and questions as they are now."""
    merged = news.stories_with(conn, EventKind.STORY_MERGED, after, last, project)
    at_work = overview.story_views(conn, stories.of_project(conn, project, states=(StoryState.ACTIVE,)), why)
    blocked = tuple(view for view in at_work if view.status is StoryStatus.BLOCKED)
    questions = approvals.pending(conn, project)
    since = news.time_of(conn, after) or _BEGINNING
    return Digest(
        project=project,
        after=after,
        last=last,
        since=since,
        until=news.time_of(conn, last) or since,
        merged=overview.story_views(conn, [stories.get(conn, story_id) for story_id in merged], why),
        blocked=blocked,
        questions=questions,
        finished_sprints=news.finished_sprints(conn, after, last, project),
        counts=news.counts(conn, after, last, project),
        posts=_places(conn, blocked, questions),
    )


def _places(
    conn: sqlite3.Connection, blocked: tuple[StoryView, ...], questions: tuple[Approval, ...]
) -> dict[str, PostPlace]:
    wanted = [("blocked", view.story.id) for view in blocked] + [
        ("approval", asked.id) for asked in questions
    ]
    found = {ref: posts.find(conn, kind, ref) for kind, ref in wanted}
    return {
        ref: PostPlace(channel_id=post.channel_id, message_id=post.message_id)
        for ref, post in found.items()
        if post is not None and post.channel_id is not None and post.message_id is not None
    }
