"""The shell at a terminal (or fed by a pipe): `multi-orch> `, completion, history, signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console, RenderableType
from rich.text import Text

from bot.cli import output
from bot.cli.session import Session, open_session, running_pid
from bot.cli.shell import EXIT, Open, Shell
from bot.cli.terminal import console
from bot.configuration import loader
from core.errors import OrchardError
from core.folder import state_folder
from core.logs import logging_to

PROMPT = "multi-orch> "

log = logging.getLogger(__name__)


async def run_shell(
    root: Path, *, with_orchard: bool, discord: bool, debug: bool, overrides: Mapping[str, Any]
) -> int:
    """Reads lines until exit, quit or the end of input. The exit code: 1 when a line of a pipe failed."""
    owner = asyncio.current_task()
    assert owner is not None
    ended: list[int] = []

    def end(number: int) -> None:
        ended.append(128 + number)
        owner.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, end, number)
    try:
        async with AsyncExitStack() as stack:
            terminal = console()
            configuration = loader(root, overrides)()
            history = state_folder(configuration) / "shell-history"
            opened: Open = partial(open_session, root)
            if with_orchard:
                opened = await _start(
                    stack, root, terminal, discord=discord, debug=debug, overrides=overrides
                )
            if sys.stdin.isatty():
                async with opened() as session:
                    if not session.running:
                        said = "Nothing runs now; what you change waits for: orchard run"
                        terminal.print(Text(said, style="dim"))
            shell = Shell(opened)
            conversation = Conversation(shell, terminal)
            if sys.stdin.isatty():
                await _converse(conversation, shell, history)
                return 0
            return await _obey(conversation)
    except asyncio.CancelledError:
        if not ended:
            raise
        return ended[0]


async def _start(
    stack: AsyncExitStack,
    root: Path,
    terminal: Console,
    *,
    discord: bool,
    debug: bool,
    overrides: Mapping[str, Any],
) -> Open:
    """Runs Orchard here; beside one that runs already, the shell talks to that one."""
    from bot.app import open_app
    from bot.cli.running import greet

    load = loader(root, overrides)
    configuration = load()
    if (pid := running_pid(configuration.state_path)) is not None:
        terminal.print(Text(f"Orchard runs already (pid {pid}): this shell talks to it.", style="dim"))
        return partial(open_session, root)
    stack.enter_context(logging_to(configuration.state_path / "logs", debug=debug, terminal=debug))
    app = await stack.enter_async_context(open_app(load, discord=discord))
    await greet(app, terminal)

    @asynccontextmanager
    async def own() -> AsyncIterator[Session]:
        yield Session(commands=app.runtime.commands, configuration=app.runtime.configuration(), running=True)

    return own


class Conversation:
    """Says lines to a shell, one after the other, and prints what it answers."""

    def __init__(self, shell: Shell, terminal: Console) -> None:
        self._shell = shell
        self._terminal = terminal
        self._asking: asyncio.Future[RenderableType | None] | None = None

    async def say(self, line: str) -> bool:
        """True: it was answered."""
        asking = self._asking = asyncio.ensure_future(self._shell.answer(line))
        try:
            shown = await asking
        except OrchardError as error:
            self._terminal.print(output.failure(error, in_shell=True))
            return False
        except TimeoutError:
            self._terminal.print("The running Orchard did not answer in time.")
            return False
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                asking.cancel()
                raise
            self._terminal.print("Not waited for. What was begun may still be done.")
            return False
        finally:
            self._asking = None
        if shown is not None:
            self._terminal.print(shown)
        return True

    def give_up(self) -> bool:
        """Stops waiting for an answer, and nothing else. False when none is waited for."""
        return self._asking is not None and self._asking.cancel()


# -- a person at a terminal ------------------------------------------------------------------------


async def _converse(conversation: Conversation, shell: Shell, history: Path) -> None:
    prompt: PromptSession[str] = PromptSession(
        history=_history(history), completer=_Words(shell), complete_while_typing=False
    )

    def interrupted() -> None:
        if not conversation.give_up() and prompt.app.is_running:
            prompt.app.key_processor.send_sigint()

    # For as long as the shell lives: in a gap Ctrl-C would end it, and an Orchard inside with it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted)
    while True:
        try:
            with patch_stdout(raw=True):
                line = await prompt.prompt_async(PROMPT, handle_sigint=False)
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
        if line.strip().lower() in EXIT:
            return
        await conversation.say(line)


def _history(path: Path) -> History:
    """Kept in a file that only its owner reads: rejections and suggestions are nobody else's."""
    try:
        with path.open("ab"):
            path.chmod(0o600)
    except OSError as error:
        log.warning("the shell's history is not kept: %s", error)
        return InMemoryHistory()
    return FileHistory(str(path))


class _Words(Completer):
    """Completion by what is there at the moment."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterator[Completion]:
        return iter(())

    async def get_completions_async(
        self, document: Document, event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        line = document.text_before_cursor.lstrip()
        last = line.rpartition(" ")[2]
        if Shell.completes_path(line):
            for found in self._paths.get_completions(Document(last, len(last)), event):
                yield found
            return
        try:
            choices = await self._shell.choices(line)
        except OrchardError:
            return  # it is said once the line is sent
        for choice in choices:
            if choice.startswith(last.lower()):
                yield Completion(choice, start_position=-len(last))


# -- a script --------------------------------------------------------------------------------------


async def _obey(conversation: Conversation) -> int:
    """Lines of a pipe or file. No prompt; a line that fails keeps none of the others from being done."""
    code = 0
    async for line in _lines():
        if line.strip().lower() in EXIT:
            break
        if not await conversation.say(line):
            code = 1
    return code


async def _lines() -> AsyncIterator[str]:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        for line in sys.stdin.buffer.read().decode(errors="replace").splitlines():
            yield line
        return
    # Not by a thread: one that waits for a line would keep the process from ending.
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while raw := await reader.readline():
            yield raw.decode(errors="replace").rstrip("\r\n")
    finally:
        transport.close()
