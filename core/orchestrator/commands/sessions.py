"""Agents' sessions: listed, shown, searched, forked, linked."""

from __future__ import annotations

from core.errors import Unavailable
from core.orchestrator.commands.topic import Topic
from core.orchestrator.session_views import ForkView, LinkView, SearchView, SessionDetail, SessionView


class Sessions(Topic):
    async def sessions(self, scope: str | None = None, *, limit: int = 50) -> tuple[SessionView, ...]:
        """Of a project, a story or an epic, or all; the latest first. Raises NotFound."""
        raise Unavailable("Sessions cannot be listed yet.")

    async def session(self, name: str) -> SessionDetail:
        """By a turn's id (`shop-3.7`), a story's or an epic's id (its last session), or the agent's own name for
        it. Raises NotFound."""
        raise Unavailable("Sessions cannot be shown yet.")

    async def search_sessions(self, words: str, *, project: str | None = None, limit: int = 20) -> SearchView:
        """Turns in whose transcripts all the words stand; `"in quotes"`: in this order."""
        raise Unavailable("Sessions cannot be searched yet.")

    async def fork_session(self, source: str, story_id: str, *, actor: str) -> ForkView:
        """The first turn of `story_id` goes on from the session `source` of another story of its project."""
        raise Unavailable("Sessions cannot be forked yet.")

    async def link_session(self, story_id: str, linked_id: str, *, actor: str) -> LinkView:
        """From its next turn on the agents of `story_id` are told what `linked_id` came to."""
        raise Unavailable("Sessions cannot be linked yet.")

    async def unlink_session(self, story_id: str, linked_id: str, *, actor: str) -> LinkView:
        raise Unavailable("Sessions cannot be linked yet.")
