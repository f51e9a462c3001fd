"""`/session`: what agents were told and said, found, branched off and linked."""

from __future__ import annotations

from collections import OrderedDict

from discord.ext import commands

from cogs import hybrid, render_sessions
from cogs.desk import Context, Desk, actor
from cogs.hybrid import PROJECT
from cogs.message import Message
from cogs.replies import answer
from core.domain.story import StoryStatus
from core.errors import InvalidInput
from core.ids import new_id
from core.orchestrator.session_views import SearchView

EVERY = "-"
KEPT = 16  # searches whose pages can be leafed through
_MOST = 200  # sessions that are listed
_HITS = 50

_ANY = hybrid.stories(StoryStatus, own_first=True)
_NAMED = "Its id, such as shop-1.3, or its story's; in a story's thread: that story's last"


class Session(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._searches: OrderedDict[str, SearchView] = OrderedDict()
        desk.pages["sessions"] = self._list_page
        desk.pages["session"] = self._session_page
        desk.pages["found"] = self._found_page

    @hybrid.group("What agents were told and said")
    async def session(self, ctx: Context) -> None:
        """By itself as text: the list; with an id behind it: that one."""
        if word := hybrid.typed_behind(ctx):
            await answer(ctx, self._session_page(word, 0))
        else:
            await answer(ctx, self._listed(ctx, None, None))

    @hybrid.subcommand(session, "Agents' sessions, the latest first", name="list")
    @hybrid.options(
        {"story": _ANY},
        story="Only this story's; in a story's thread: that story's",
        project="Only this project's; in a project's channel: that one's",
    )
    async def list_(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        await answer(ctx, self._listed(ctx, story, project))

    @hybrid.subcommand(session, "One session: its turns, with its last prompt and words attached")
    @hybrid.options({"session": _ANY}, session=_NAMED)
    async def show(self, ctx: Context, session: str | None = None) -> None:
        async def show() -> Message:
            return await self._session_page(await self._meant(ctx, session), 0)

        await answer(ctx, show())

    @hybrid.subcommand(session, "Find turns by words that were said in them")
    @hybrid.options(words='Words that all stand in it; "in quotes": in this order', project="Only this one's")
    async def search(self, ctx: Context, *, words: str, project: str | None = None) -> None:
        async def look() -> Message:
            within = (project or "").strip() or None
            view = await self._desk.commands.search_sessions(words, project=within, limit=_HITS)
            name = new_id("search")
            self._searches[name] = view
            if len(self._searches) > KEPT:
                self._searches.popitem(last=False)
            return render_sessions.found(view, kept=name)

        await answer(ctx, look())

    @hybrid.subcommand(session, "Let a new story's first turn go on from another story's session")
    @hybrid.options(
        {"session": _ANY, "story": hybrid.stories(StoryStatus)},
        session="From which one: its id, such as shop-1.3, or its story's",
        story="The story that has not begun",
        project=PROJECT,
    )
    async def fork(self, ctx: Context, session: str, story: str, project: str | None = None) -> None:
        async def fork() -> Message:
            found = await self._desk.story(ctx, story, project)
            made = await self._desk.commands.fork_session(session, found, actor=actor(ctx.author))
            return render_sessions.forked(made)

        await answer(ctx, fork())

    @hybrid.subcommand(session, "Tell a story's agents what another story came to")
    @hybrid.options(
        {"other": _ANY, "story": _ANY},
        other="The story that they are told of",
        story="Whose agents; in a story's thread: that story's",
        project=PROJECT,
    )
    async def link(
        self, ctx: Context, other: str, story: str | None = None, project: str | None = None
    ) -> None:
        async def link() -> Message:
            found = await self._desk.story(ctx, story, project)
            made = await self._desk.commands.link_session(found, other, actor=actor(ctx.author))
            return render_sessions.linked(made)

        await answer(ctx, link())

    @hybrid.subcommand(session, "Take a link away: its agents are told no more")
    @hybrid.options(
        {"other": _ANY, "story": _ANY},
        other="The story that they were told of",
        story="Whose agents; in a story's thread: that story's",
        project=PROJECT,
    )
    async def unlink(
        self, ctx: Context, other: str, story: str | None = None, project: str | None = None
    ) -> None:
        async def unlink() -> Message:
            found = await self._desk.story(ctx, story, project)
            made = await self._desk.commands.unlink_session(found, other, actor=actor(ctx.author))
            return render_sessions.linked(made)

        await answer(ctx, unlink())

    # -- inside ------------------------------------------------------------------------------

    async def _listed(self, ctx: Context, story: str | None, project: str | None) -> Message:
        if story and story.strip():
            return await self._list_page(await self._desk.story(ctx, story, project, anywhere=True), 0)
        own = self._desk.channels.story_of(ctx.channel) if ctx.channel is not None else None
        named = (project or "").strip().lower() or own or self._desk.implied(ctx.channel)
        return await self._list_page(named or EVERY, 0)

    async def _meant(self, ctx: Context, session: str | None) -> str:
        """A name of a session; else the thread's story, or the only one at work."""
        if session and session.strip():
            return session
        return await self._desk.story(ctx, None)

    async def _list_page(self, argument: str, page: int) -> Message:
        scope = None if argument == EVERY else argument
        found = await self._desk.commands.sessions(scope, limit=_MOST)
        return render_sessions.sessions(found, page, argument=argument)

    async def _session_page(self, argument: str, page: int) -> Message:
        return render_sessions.session(await self._desk.commands.session(argument), page)

    async def _found_page(self, argument: str, page: int) -> Message:
        view = self._searches.get(argument)
        if view is None:
            raise InvalidInput(
                "This search is not kept any more.",
                why="What is indexed changes all the time.",
                hint="/session search finds what is there now.",
            )
        return render_sessions.found(view, page, kept=argument)
