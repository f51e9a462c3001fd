"""`/tdd`: one story's way through its phases. No gate is passed over here: the core does not let one be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from discord.ext import commands

from cogs import hybrid, render_stories
from cogs.desk import AT_WORK, Context, Desk, actor
from cogs.hybrid import PROJECT, STORY
from cogs.message import Message
from cogs.replies import answer, answer_then
from cogs.text import title
from core.domain.lifecycles import Phase
from core.domain.story import StoryStatus
from core.errors import InvalidInput, NotFound
from core.orchestrator.views import StoryView

_S = StoryStatus
_STARTABLE = hybrid.stories(AT_WORK | {_S.BACKLOG})
_WORKED = hybrid.stories(AT_WORK)
_EVER = hybrid.stories(frozenset(_S) - {_S.PROPOSED, _S.REMOVED})


class Tdd(commands.Cog):
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        desk.pages["cycles"] = self._cycles_page
        desk.pages["log"] = self._log_page

    @hybrid.group("A story's way: design, test, code, refactor, commit")
    async def tdd(self, ctx: Context) -> None:
        raise InvalidInput(
            "What about it?",
            hint="start, status, design, test, code, refactor, commit, next, abort, logs, overview, "
            "run_tests or stop_tests.",
        )

    @hybrid.subcommand(tdd, "Let a story run, or go on after a stop")
    @hybrid.options({"story": _STARTABLE}, story=STORY, project=PROJECT)
    async def start(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        start = self._desk.commands.start_story
        await self._hold(ctx, story, project, "goes on by itself", lambda id_, by: start(id_, actor=by))

    @hybrid.subcommand(tdd, "Where a story stands, with its gates and evidence")
    @hybrid.options({"story": _EVER}, story=STORY, project=PROJECT)
    async def status(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        async def show() -> Message:
            found = await self._desk.story(ctx, story, project)
            return render_stories.story(await self._desk.commands.story(found))

        await answer(ctx, show())

    @hybrid.subcommand(tdd, "Run the design phase, or go back to it")
    @hybrid.options({"story": _WORKED}, story=STORY, reason="Why; the agent reads it", project=PROJECT)
    async def design(
        self, ctx: Context, story: str | None = None, *, reason: str = "", project: str | None = None
    ) -> None:
        await self._phase(ctx, Phase.DESIGN, story, reason, project)

    @hybrid.subcommand(tdd, "Run the phase that writes the failing test, or go back to it")
    @hybrid.options({"story": _WORKED}, story=STORY, reason="Why; the agent reads it", project=PROJECT)
    async def test(
        self, ctx: Context, story: str | None = None, *, reason: str = "", project: str | None = None
    ) -> None:
        await self._phase(ctx, Phase.TEST_RED, story, reason, project)

    @hybrid.subcommand(tdd, "Run the phase that makes the test pass, or go back to it", name="code")
    @hybrid.options({"story": _WORKED}, story=STORY, reason="Why; the agent reads it", project=PROJECT)
    async def code_green(
        self, ctx: Context, story: str | None = None, *, reason: str = "", project: str | None = None
    ) -> None:
        await self._phase(ctx, Phase.CODE_GREEN, story, reason, project)

    @hybrid.subcommand(tdd, "Run the phase that says the same better")
    @hybrid.options({"story": _WORKED}, story=STORY, reason="Why; the agent reads it", project=PROJECT)
    async def refactor(
        self, ctx: Context, story: str | None = None, *, reason: str = "", project: str | None = None
    ) -> None:
        await self._phase(ctx, Phase.REFACTOR, story, reason, project)

    @hybrid.subcommand(tdd, "Merge a story whose gates have all passed")
    @hybrid.options({"story": _WORKED}, story=STORY, reason="Why, for the record", project=PROJECT)
    async def commit(
        self, ctx: Context, story: str | None = None, *, reason: str = "", project: str | None = None
    ) -> None:
        await self._phase(ctx, Phase.COMMIT, story, reason, project)

    @hybrid.subcommand(tdd, "Run one phase with its gate, then stop", name="next")
    @hybrid.options({"story": _WORKED}, story=STORY, project=PROJECT)
    async def next_(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        step = self._desk.commands.next_phase
        await self._hold(
            ctx, story, project, "runs one phase, then stops", lambda id_, by: step(id_, actor=by)
        )

    @hybrid.subcommand(tdd, "End a story for good; it counts as a failure")
    @hybrid.options({"story": _WORKED}, story=STORY, reason="Why", project=PROJECT)
    async def abort(
        self, ctx: Context, story: str | None = None, *, reason: str, project: str | None = None
    ) -> None:
        async def abort() -> Message:
            found, words = await self._desk.story_and_text(ctx, story, reason, project)
            view = await self._desk.commands.abort_story(found, words, actor=actor(ctx.author))
            return render_stories.held(view, f"🛑 {view.story.id} is aborted")

        await answer(ctx, abort(), slow=True)

    @hybrid.subcommand(tdd, "What happened to a story, and its last turn's words")
    @hybrid.options({"story": _EVER}, story=STORY, project=PROJECT)
    async def logs(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        async def show() -> Message:
            return await self._log_page(await self._desk.story(ctx, story, project), 0)

        await answer(ctx, show())

    @hybrid.subcommand(tdd, "All stories at work: phase, try, time, overlaps, merge queue")
    @hybrid.options(project=PROJECT)
    async def overview(self, ctx: Context, project: str | None = None) -> None:
        async def show() -> Message:
            return await self._cycles_page(self._desk.project(ctx, project), 0)

        await answer(ctx, show())

    @hybrid.subcommand(tdd, "Run the project's tests now, or a story's as it stands")
    @hybrid.options({"story": _WORKED}, story="Its id or title; none: the main branch", project=PROJECT)
    async def run_tests(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        name, asked = await self._suite(ctx, story, project)

        async def run() -> Message:
            return render_stories.tests_ran(
                await self._desk.commands.run_tests(name, asked, actor=actor(ctx.author))
            )

        await answer_then(ctx, render_stories.tests_running(name, asked), run())

    @hybrid.subcommand(tdd, "End a run of the tests that was asked for")
    @hybrid.options({"story": _WORKED}, story="Its id or title; none: the main branch", project=PROJECT)
    async def stop_tests(self, ctx: Context, story: str | None = None, project: str | None = None) -> None:
        async def stop() -> Message:
            name, asked = await self._suite(ctx, story, project)
            await self._desk.commands.stop_tests(name, asked, actor=actor(ctx.author))
            return Message(text=f"🛑 The tests of {title(asked or name)} are stopped.")

        await answer(ctx, stop())

    async def _suite(self, ctx: Context, story: str | None, project: str | None) -> tuple[str, str | None]:
        """Whose tests are meant: the project, and the story where it is one's and not the main branch's."""
        own = self._desk.channels.story_of(ctx.channel) if ctx.channel is not None else None
        if story or (own and not project):
            asked = await self._desk.story(ctx, story, project)
            return (await self._desk.commands.story(asked)).view.story.project, asked
        return (await self._desk.commands.project(self._desk.project(ctx, project))).project.name, None

    async def _phase(
        self, ctx: Context, phase: Phase, story: str | None, reason: str, project: str | None
    ) -> None:
        async def run() -> Message:
            found, words = await self._desk.story_and_text(ctx, story, reason, project)
            view = await self._desk.commands.run_phase(found, phase, words, actor=actor(ctx.author))
            return render_stories.held(view, f"▶️ {view.story.id}: {phase}")

        await answer(ctx, run(), slow=True)

    async def _hold(
        self,
        ctx: Context,
        story: str | None,
        project: str | None,
        what: str,
        change: Callable[[str, str], Awaitable[StoryView]],
    ) -> None:
        async def held() -> Message:
            view = await change(await self._desk.story(ctx, story, project), actor(ctx.author))
            return render_stories.held(view, f"▶️ {view.story.id} {what}")

        await answer(ctx, held())

    async def _cycles_page(self, project: str, page: int) -> Message:
        return render_stories.cycles(await self._desk.commands.cycles(project), time.time(), page)

    async def _log_page(self, story_id: str, page: int) -> Message:
        events, words = await asyncio.gather(
            self._desk.commands.story_log(story_id), self._transcript(story_id)
        )
        return render_stories.log(story_id, events, words, page)

    async def _transcript(self, story_id: str) -> str:
        try:
            return await self._desk.commands.transcript(story_id)
        except NotFound:
            return ""  # no turn yet: the events tell the rest
