"""`orchard demo`: the whole of Orchard on a small stage, with a scripted person or with you."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from bot.app import App, loader, open_app
from bot.cli.demo import browser, screen
from bot.cli.demo.cast import GENERAL, WELCOME, Player
from bot.cli.demo.stage import Play, set_stage
from bot.localguild.people import CannotDo, DidNotRespond, InProcess, Person, PostedMessage
from bot.localguild.ratelimits import RatePolicy
from bot.localguild.server import LocalGuild
from bot.localguild.settings import GuildSettings
from core.domain.event import Event, EventKind
from core.domain.story import OVER, StoryStatus
from core.errors import OrchardError
from core.logs import logging_to
from core.orchestrator.views import StoryDetail

LONGEST_SECONDS = 180.0
PAGE_COLUMNS = 118
PERSON = "robin"
# Where Discord gives a bot three seconds for its first answer: a demo runs on busy machines, too.
_GUILD = GuildSettings(channels=(WELCOME, GENERAL), rates=RatePolicy.generous(), response_seconds=20.0)


async def run_demo(*, interactive: bool, keep: bool, picture: Path | None) -> int:
    """Returns the exit code: 0 when every story was merged."""
    folder = Path(tempfile.mkdtemp(prefix="orchard-demo-"))
    try:
        return await _play(folder, interactive=interactive, picture=picture)
    finally:
        if keep:
            Console().print(f"The demo's projects are kept in {folder}.")
        else:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _play(folder: Path, *, interactive: bool, picture: Path | None) -> int:
    console = _console()
    console.print(
        "Two small git projects, three stories each; two of these out of an epic. A [bold]local guild[/bold]"
        " stands in for Discord, and a [bold]replayed[/bold] agent for a model; git, sandboxes, tests and"
        " gates are real."
    )
    began = time.monotonic()
    async with LocalGuild(_GUILD) as guild:
        play = set_stage(folder, guild.guild_id, in_browser=interactive)
        load = loader(folder, environ={**os.environ, **guild.environment})
        with logging_to(folder / ".orch-global" / "logs"):
            link = InProcess(guild.desk) if interactive else None
            async with open_app(load, web=interactive, guild=link) as app:
                person = guild.person(PERSON)
                if interactive:
                    await _with_you(app, person, guild.person("guide"), play, console)
                else:
                    await _scripted(app, person, play, console, began)
                details = await _details(app)
                taken = await _taken(app)
                people = {f"discord:{await person.user_id()}": PERSON}
    shown = screen.results(details, people, taken)
    console.print(shown)
    merged = sum(detail.view.status is StoryStatus.DONE for detail in details)
    seconds = time.monotonic() - began
    style = "bold green" if merged == len(details) and details else "bold" if interactive else "bold red"
    summary = Text(f"{merged} of {len(details)} stories merged in {seconds:.0f} s.", style=style)
    console.print(summary)
    if picture is not None:
        await asyncio.to_thread(_draw_picture, picture, [shown, summary])
    return 0 if interactive or (details and merged == len(details)) else 1


def _console() -> Console:
    """The terminal; where there is none, a page wide enough for the last table."""
    console = Console()
    if not console.is_terminal:
        console.width = PAGE_COLUMNS
    return console


def _draw_picture(path: Path, shown: Sequence[RenderableType]) -> None:
    page = Console(record=True, width=PAGE_COLUMNS, file=io.StringIO())
    for renderable in shown:
        page.print(renderable)
    # Without the fonts of a foreign host: the viewer's own monospace does.
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    page.save_svg(str(path), title="make demo", code_format=template)


async def _scripted(app: App, person: Person, play: Play, console: Console, began: float) -> None:
    said: list[str] = []
    player = Player(person, play, said.append)
    async with asyncio.timeout(LONGEST_SECONDS), _live(app, said, console, began):
        await player.open_sprints()
        answering = asyncio.create_task(player.answer_questions(), name="demo: answers")
        try:
            await _until_ended(app)
        finally:
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering


async def _until_ended(app: App) -> None:
    """Returns when every story is over, or when one is out of retries and nobody will help it.

    Every sprint has begun by now: there are all the stories that there will be.
    """
    with app.runtime.bus.subscribe() as events:
        while True:
            views = await app.runtime.commands.stories()
            ended = [view.story.state in OVER or view.status is StoryStatus.BLOCKED for view in views]
            if all(ended):
                return
            await anext(events)


@asynccontextmanager
async def _live(app: App, said: list[str], console: Console, began: float) -> AsyncIterator[None]:
    """Draws the live view while the block runs; without a terminal, says what happens line by line."""
    if console.is_terminal:
        tasks = [
            asyncio.create_task(_draw(app, said, console, began), name="demo: draw"),
            asyncio.create_task(_overhear(app, said), name="demo: overhear"),
        ]
    else:
        tasks = [asyncio.create_task(_tell(app, said, console), name="demo: tell")]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _draw(app: App, said: Sequence[str], console: Console, began: float) -> None:
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        while True:
            views = await app.runtime.commands.stories()
            live.update(screen.progress(views, said, time.monotonic() - began))
            await asyncio.sleep(0.2)


async def _overhear(app: App, said: list[str]) -> None:
    """Adds what Orchard posts to what the person said."""
    with app.runtime.bus.subscribe() as events:
        async for event in events:
            if (news := screen.told(event)) is not None:
                said.append(f"Orchard: {news.plain}")  # noqa: PERF401 - shown one by one, for ever


async def _tell(app: App, said: Sequence[str], console: Console) -> None:
    told = 0
    with app.runtime.bus.subscribe() as events:
        async for event in events:
            for line in said[told:]:
                console.print(Text(line))
            told = len(said)
            if (news := screen.told(event)) is not None:
                console.print(news)


async def _details(app: App) -> tuple[StoryDetail, ...]:
    commands = app.runtime.commands
    return tuple([await commands.story(view.story.id) for view in await commands.stories()])


async def _taken(app: App) -> dict[str, Event]:
    """By the id of a story that an agent proposed: when a person approved it."""
    events = await app.runtime.commands.events(limit=1000)
    approvals = (event for event in events if event.kind is EventKind.STORIES_APPROVED)
    return {story: event for event in approvals for story in event.data["stories"]}


async def _with_you(app: App, person: Person, guide: Person, play: Play, console: Console) -> None:
    """You are the person in the guild: in a browser, which shows all of it, and in your terminal, which asks
    what Orchard asks. The sprints are begun for you meanwhile."""
    said: list[str] = []
    player = Player(person, play, said.append)
    await browser.make_owner(app, PERSON)
    await browser.welcome(guide, play.welcome)
    console.print(await browser.invitation(app, PERSON), soft_wrap=True)
    console.print(
        "You are [bold]robin[/bold] in the guild; Orchard asks you here, too. Ctrl-D ends the demo."
    )
    telling = asyncio.create_task(_tell(app, said, console), name="demo: tell")
    try:
        with patch_stdout(raw=True):
            await _ask_you(app, player, console)
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling


async def _open_and_end(app: App, player: Player, console: Console) -> None:
    try:
        await player.open_sprints()
    except (CannotDo, DidNotRespond, TimeoutError, OrchardError) as error:
        console.print(Text(f"The beginning was not played to its end: {error} Go on in the browser.", "red"))
        return
    await _until_ended(app)
    console.print("Every story is over. Look around in the browser; Ctrl-D ends the demo.")


async def _ask_you(app: App, player: Player, console: Console) -> None:
    """Until Ctrl-D. What is answered in the browser is asked here no longer."""
    prompt: PromptSession[str] = PromptSession()
    ended = asyncio.create_task(_open_and_end(app, player, console), name="demo: until ended")
    asked = asyncio.create_task(player.next_question(), name="demo: next question")
    try:
        while True:
            said = await _line(prompt, "> ", {asked})
            if said is not None:
                await _obey(said, app, console)
            if asked.done():
                await _ask(prompt, player, asked.result(), console)
                asked = asyncio.create_task(player.next_question(), name="demo: next question")
    except (EOFError, KeyboardInterrupt):
        return
    finally:
        for task in (ended, asked):
            task.cancel()
        await asyncio.gather(ended, asked, return_exceptions=True)


async def _obey(said: str, app: App, console: Console) -> None:
    if said.strip().lower() == "link":
        console.print(await browser.invitation(app, PERSON), soft_wrap=True)
    elif said.strip():
        console.print("Nothing is asked now. `link` makes another link for a browser; Ctrl-D ends the demo.")


async def _ask(prompt: PromptSession[str], player: Player, question: PostedMessage, console: Console) -> None:
    """Raises EOFError."""
    console.print(Text(f"\n{question.text}\n", style="yellow"))
    settled = asyncio.create_task(player.until_settled(question), name="demo: settled")
    try:
        said = await _line(prompt, "Enter approves; else say what is wrong> ", {settled})
        if said is None:
            console.print("It was answered in the guild.")
        else:
            await player.answer(question, said.strip())
    except CannotDo:
        console.print("It was answered in the guild meanwhile.")
    finally:
        settled.cancel()
        await asyncio.gather(settled, return_exceptions=True)


async def _line(prompt: PromptSession[str], text: str, awaited: set[asyncio.Task[Any]]) -> str | None:
    """What was typed; None: one of the tasks was done first. Raises EOFError, KeyboardInterrupt."""
    typed = asyncio.create_task(prompt.prompt_async(text), name="demo: prompt")
    try:
        await asyncio.wait({typed, *awaited}, return_when=asyncio.FIRST_COMPLETED)
        return typed.result() if typed.done() else None
    finally:
        typed.cancel()
        await asyncio.gather(typed, return_exceptions=True)
