"""An event's post with what only the store knows: the whole question, titles, an epic's proposals."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from bot.discord import board, notices, render
from bot.discord.budget_notices import budget_key
from bot.discord.github_notices import LINKED, checks, of_one_pull, with_addresses
from bot.discord.network_notices import refused
from bot.discord.notice import Notice, Place, number, text, texts
from bot.discord.resource_notices import BREACH_HOURS, breached_again
from cogs.message import Message
from core.domain.approval import Approval, ApprovalState
from core.domain.event import Event, EventKind
from core.domain.refused_hosts import told_together
from core.domain.story import StoryState
from core.errors import OrchardError
from core.orchestrator.views import ReviewView
from core.store import approvals, events, github_addresses, needs, posts, stories
from core.store.database import Store

_log = logging.getLogger(__name__)

Review = Callable[[str, int | None], Awaitable[ReviewView]]

DENIALS_READ = 1000
CHECKS_READ = 500

# Posts that show buttons for a question, and as what each is remembered.
ASKING = {
    EventKind.APPROVAL_REQUESTED: "approval",
    EventKind.APPROVAL_ESCALATED: "escalated",
    EventKind.APPROVAL_OVERDUE: "overdue",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """`known_as`: kind and ref under which the post is remembered. `amends`: it takes the place of that post,
    where there is one."""

    notice: Notice
    known_as: tuple[str, str] | None = None
    amends: bool = False


class Composer:
    """`review` gives a sprint's review by project and number."""

    def __init__(self, store: Store, review: Review) -> None:
        self._store = store
        self._review = review

    async def title(self, story_id: str | None) -> str:
        if story_id is None:
            return ""
        story = await self._store.read(lambda conn: stories.find(conn, story_id))
        return story.title if story else ""

    async def compose(self, event: Event) -> Composed | None:
        """None for a kind that people are not told."""
        title = await self.title(event.story_id)
        plain = notices.notice(event, title)
        if plain is None:
            return None
        if event.kind in LINKED and event.story_id:
            plain = await self._addressed(plain, event.story_id)
        match event.kind:
            case EventKind.STORY_BLOCKED if event.story_id:
                return Composed(notice=plain, known_as=("blocked", event.story_id))
            case kind if kind in ASKING:
                return await self._question(event, plain, title)
            case EventKind.USAGE_LIMITED if event.project:
                return Composed(notice=plain, known_as=("usage", event.project))
            case EventKind.BUDGET_REACHED:
                return await self._used_up(event, plain)
            case EventKind.LIMIT_BREACHED if number(event.data, "ended"):
                return Composed(notice=breached_again(plain, await self._breaches(event)))
            case EventKind.NETWORK_DENIED:
                return await self._refused(event)
            case EventKind.CHECKS_CHANGED if event.story_id:
                return await self._checks(event)
            case EventKind.ISSUE_FOLLOWED if event.story_id:
                return await self._followed(event, plain)
            case EventKind.EPIC_PROPOSED:
                return Composed(notice=await self._proposals(event, plain))
            case EventKind.SPRINT_FINISHED:
                return Composed(notice=await self._finished(event, plain))
            case _:
                return Composed(notice=plain)

    async def _used_up(self, event: Event, plain: Notice) -> Composed:
        """Nobody is called for a limit that was raised before this could be posted."""
        if await self._store.read(lambda conn: raised_since(conn, event)):
            return Composed(notice=replace(plain, ping=None, message=replace(plain.message, buttons=())))
        return Composed(notice=plain, known_as=("budget", budget_key(event)))

    async def _refused(self, event: Event) -> Composed | None:
        """One post for what a story was refused in an hour: made with the first, amended with the last."""
        seen = await self._store.read(
            partial(
                events.latest,
                project=event.project,
                story_id=event.story_id,
                kinds=(EventKind.NETWORK_DENIED,),
                limit=DENIALS_READ,
            )
        )
        together = told_together(seen, event)
        if not together or (event != together[0] and event != together[-1]):
            return None
        first = together[0]  # by its mark the post is known again, also when it was amended
        notice = refused(first, together)
        return Composed(
            notice=replace(notice, message=notices.marked(notice.message, first)),
            known_as=("denied", str(first.seq)),
            amends=event != first,
        )

    async def _addressed(self, notice: Notice, story_id: str) -> Notice:
        found = await self._store.read(lambda conn: github_addresses.of_stories(conn, [story_id]))
        return replace(notice, message=with_addresses(notice.message, found.get(story_id, ())))

    async def _checks(self, event: Event) -> Composed | None:
        """One post a pull request: made with the first that is known of its checks, then amended."""
        seen = await self._store.read(
            partial(
                events.latest, story_id=event.story_id, kinds=(EventKind.CHECKS_CHANGED,), limit=CHECKS_READ
            )
        )
        together = of_one_pull(seen, event) or (event,)
        first, last = together[0], together[-1]  # by the first's mark the post is known again
        if event not in (first, last):
            return None
        notice = checks(first, last.data)
        return Composed(
            notice=replace(notice, message=notices.marked(notice.message, first)),
            known_as=("checks", str(first.seq)),
            amends=event != first,
        )

    async def _followed(self, event: Event, notice: Notice) -> Composed | None:
        """A story that nobody worked on yet gets no thread for what became of its issue, and of many such the
        channel has one post."""
        thread = await self._store.read(lambda conn: posts.find(conn, "thread", event.story_id or ""))
        if thread is not None:
            return Composed(notice=notice)
        if event.data.get("together") is True:
            return None
        return Composed(notice=replace(notice, place=Place.CHANNEL))

    async def _breaches(self, event: Event) -> int:
        """How often something of the project was ended for a limit, lately and up to this one."""
        since = event.at - timedelta(hours=BREACH_HOURS)
        seen = await self._store.read(
            partial(events.latest, project=event.project, kinds=(EventKind.LIMIT_BREACHED,), limit=200)
        )
        return sum(
            since < one.at and one.seq <= event.seq and bool(number(one.data, "ended")) for one in seen
        )

    async def _question(self, event: Event, plain: Notice, title: str) -> Composed:
        approval_id = text(event.data, "approval")
        asked = await self._store.read(lambda conn: approvals.find(conn, approval_id))
        if asked is None:
            return Composed(notice=plain)
        notice = plain
        if event.kind is EventKind.APPROVAL_REQUESTED:
            notice = replace(plain, message=notices.marked(self.question(asked, title), event))
        if asked.state is not ApprovalState.PENDING:  # answered before it could be posted
            notice = replace(notice, ping=None, message=replace(notice.message, buttons=()))
        return Composed(notice=notice, known_as=(ASKING[event.kind], approval_id))

    def question(self, asked: Approval, title: str) -> Message:
        return render.approval(asked, title)

    async def _proposals(self, event: Event, plain: Notice) -> Notice:
        ids = texts(event.data, "stories")

        def look(conn: sqlite3.Connection) -> board.Proposals:
            found = [story for story in (stories.find(conn, story_id) for story_id in ids) if story]
            wanted = needs.of_stories(conn, ids)
            return tuple((story, wanted.get(story.id, ())) for story in found)

        proposed = await self._store.read(look)
        if not proposed:
            return plain
        epic = text(event.data, "epic")
        message = board.proposals(epic, proposed)
        waiting = any(story.state is StoryState.PROPOSED for story, _ in proposed)
        if not waiting:  # approved or removed before this could be posted
            message = replace(message, buttons=())
        return replace(plain, message=notices.marked(message, event), ping=plain.ping if waiting else None)

    async def _finished(self, event: Event, plain: Notice) -> Notice:
        number = event.data.get("sprint")
        try:
            review = await self._review(event.project or "", number if isinstance(number, int) else None)
        except OrchardError as error:
            _log.info("sprint %s of %s is told without its review: %s", number, event.project, error)
            return plain
        return replace(plain, message=notices.marked(board.finished(review), event))


def raised_since(conn: sqlite3.Connection, event: Event) -> bool:
    """Whether people allowed more, after this limit was used up."""
    kinds = (EventKind.BUDGET_RAISED,)
    raised = events.latest(conn, project=event.project, kinds=kinds, limit=50)
    return any(one.seq > event.seq and budget_key(one) == budget_key(event) for one in raised)
