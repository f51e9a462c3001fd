"""The interactive shell: `multi-orch> `. Orchard goes on at full speed while somebody types."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import NestedCompleter
from prompt_toolkit.history import FileHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console, RenderableType
from rich.text import Text

from bot.app import loader, open_app
from bot.cli import output
from bot.cli.session import open_session
from core.errors import InvalidInput, OrchardError, Unavailable
from core.logs import logging_to
from core.orchestrator.commands import Commands
from core.runtime import state_folder

PROMPT = "multi-orch> "
ACTOR = "shell"

HELP = {
    "help": "Show this help message",
    "status [component]": "Show system status, or one project's",
    "projects": "List all projects",
    "register <name> <path>": "Register a new project",
    "discover <paths...>": "Discover and register projects",
    "start <project>": "Start a project orchestrator",
    "stop <project>": "Stop a project orchestrator",
    "add <project> <title...>": "Add a story to a project's backlog",
    "plan <project> [stories...]": "Plan a sprint; no stories: the whole backlog",
    "sprint <project>": "Start the planned sprint",
    "approvals": "Show what waits for an answer",
    "approve <approval>": "Approve",
    "reject <approval> <reason...>": "Reject, and say why",
    "optimize": "Run resource optimization",
    "insights": "Show cross-project insights",
    "exit/quit": "Exit the shell",
}


class Shell:
    """One line in, one renderable out; knows no terminal."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._table: dict[str, Callable[[Sequence[str]], Awaitable[RenderableType]]] = {
            "help": self._help,
            "status": self._status,
            "projects": self._projects,
            "register": self._register,
            "discover": self._discover,
            "start": self._start,
            "stop": self._stop,
            "add": self._add,
            "plan": self._plan,
            "sprint": self._sprint,
            "approvals": self._approvals,
            "approve": self._approve,
            "reject": self._reject,
            "optimize": self._later("optimize", "the resource scheduler"),
            "insights": self._later("insights", "cross-project intelligence"),
        }

    async def answer(self, line: str) -> RenderableType | None:
        """What a line gives; None when there is nothing to say. Raises OrchardError."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InvalidInput(
                f"The line cannot be read: {str(error).lower()}.", hint="Close the quotes."
            ) from None
        if not words:
            return None
        name, *rest = words
        command = self._table.get(name.lower())
        if command is None:
            raise InvalidInput(f"There is no command '{name}'.", hint="help shows them all.")
        return await command(rest)

    async def completer(self) -> NestedCompleter:
        """Commands, project names and open approvals, as they are now."""
        names = {view.project.name: None for view in await self._commands.projects()}
        pending = {approval.id: None for approval in await self._commands.approvals()}
        words: dict[str, dict[str, None] | None] = dict.fromkeys([*self._table, "exit", "quit"])
        words |= dict.fromkeys(("status", "start", "stop", "add", "plan", "sprint"), names)
        words |= dict.fromkeys(("approve", "reject"), pending)
        return NestedCompleter.from_nested_dict(words)

    async def _help(self, words: Sequence[str]) -> RenderableType:
        width = max(map(len, HELP)) + 1
        return Text(
            "Available commands:\n" + "\n".join(f"  {name:<{width}}- {what}" for name, what in HELP.items())
        )

    async def _status(self, words: Sequence[str]) -> RenderableType:
        if words:
            return output.report(await output.project_report(self._commands, words[0]))
        return output.system(await self._commands.system())

    async def _projects(self, words: Sequence[str]) -> RenderableType:
        return output.projects(await self._commands.projects())

    async def _register(self, words: Sequence[str]) -> RenderableType:
        name, path = _wanted(words, "register <name> <path>", 2)
        return output.registered(
            await self._commands.register_project(name, Path(path).expanduser().absolute(), actor=ACTOR)
        )

    async def _discover(self, words: Sequence[str]) -> RenderableType:
        paths = [Path(word).expanduser().absolute() for word in words or ["."]]
        return output.discovered(await output.discover(self._commands, paths, register=True, actor=ACTOR))

    async def _start(self, words: Sequence[str]) -> RenderableType:
        (name,) = _wanted(words, "start <project>", 1)
        project = await self._commands.start_project(name, actor=ACTOR)
        return output.started(project, running=(await self._commands.system()).running)

    async def _stop(self, words: Sequence[str]) -> RenderableType:
        (name,) = _wanted(words, "stop <project>", 1)
        return output.stopped(await self._commands.stop_project(name, actor=ACTOR))

    async def _add(self, words: Sequence[str]) -> RenderableType:
        if len(words) < 2:
            raise _usage("add <project> <title...>")
        story = await self._commands.add_story(words[0], " ".join(words[1:]), actor=ACTOR)
        return Text.assemble(("✓ ", "green"), f"{story.id}: {story.title}")

    async def _plan(self, words: Sequence[str]) -> RenderableType:
        if not words:
            raise _usage("plan <project> [stories...]")
        view = await self._commands.plan_sprint(words[0], stories=list(words[1:]), actor=ACTOR)
        return Text.assemble(("✓ ", "green"), f"Sprint {view.sprint.number}: {len(view.stories)} stories.")

    async def _sprint(self, words: Sequence[str]) -> RenderableType:
        (name,) = _wanted(words, "sprint <project>", 1)
        await self._commands.start_sprint(name, actor=ACTOR)
        return output.report(await output.project_report(self._commands, name))

    async def _approvals(self, words: Sequence[str]) -> RenderableType:
        return output.approvals(await self._commands.approvals())

    async def _approve(self, words: Sequence[str]) -> RenderableType:
        (approval,) = _wanted(words, "approve <approval>", 1)
        return output.answered(await self._commands.answer_approval(approval, True, actor=ACTOR))

    async def _reject(self, words: Sequence[str]) -> RenderableType:
        if len(words) < 2:
            raise _usage("reject <approval> <reason...>")
        return output.answered(
            await self._commands.answer_approval(words[0], False, reason=" ".join(words[1:]), actor=ACTOR)
        )

    @staticmethod
    def _later(name: str, feature: str) -> Callable[[Sequence[str]], Awaitable[RenderableType]]:
        async def refuse(words: Sequence[str]) -> RenderableType:
            raise Unavailable(
                f"{name} is not there yet.", why=f"It comes with {feature}.", hint="help shows what is."
            )

        return refuse


def _usage(form: str) -> InvalidInput:
    return InvalidInput("Something is missing or too much.", hint=f"Use: {form}")


def _wanted(words: Sequence[str], form: str, count: int) -> Sequence[str]:
    if len(words) != count:
        raise _usage(form)
    return words


async def run_shell(root: Path, *, with_orchard: bool, discord: bool, debug: bool) -> None:
    """Reads lines until exit, quit or end of input."""
    console = Console()
    async with AsyncExitStack() as stack:
        load = loader(root)
        configuration = load()
        history = state_folder(configuration) / "shell-history"
        session = await stack.enter_async_context(open_session(root)) if not with_orchard else None
        if session is None:
            stack.enter_context(logging_to(configuration.state_path / "logs", debug=debug))
            try:
                app = await stack.enter_async_context(open_app(load, discord=discord))
                commands, running = app.runtime.commands, True
            except Unavailable as error:
                # Most often: another process runs it; then this shell talks to that one.
                console.print(Text(f"{error.message} This shell talks to it.", style="dim"))
                session = await stack.enter_async_context(open_session(root))
        if session is not None:
            commands, running = session.commands, session.running
        if not running:
            console.print(Text("Nothing runs now; what you change waits for: orchard run", style="dim"))
        await _converse(Shell(commands), console, history)


async def _converse(shell: Shell, console: Console, history: Path) -> None:
    prompt: PromptSession[str] = PromptSession(history=FileHistory(str(history)))
    while True:
        try:
            with patch_stdout():
                line = await prompt.prompt_async(PROMPT, completer=await shell.completer())
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        if line.strip().lower() in ("exit", "quit"):
            return
        try:
            if (shown := await shell.answer(line)) is not None:
                console.print(shown)
        except OrchardError as error:
            output.print_error(error, console)
