"""What a command of `orchard` does to ask and to show: one question, as JSON or for people."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from bot.cli.terminal import display, display_long, execute, refuse, send

if TYPE_CHECKING:
    from bot.cli.command import Misused, Told
    from bot.cli.session import Session

T = TypeVar("T")
ACTOR = "cli"
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ProjectName = Annotated[str, typer.Argument(help="The project's name.")]
StoryName = Annotated[str, typer.Argument(help="The story's id, such as shop-3.")]
_MISUSED = 2  # the exit code of a line that fits no form, as of other bad usage

# What JSON leaves as it is, and a terminal or a reader's eye does not.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What stands before the command."""

    root: Path = Path()
    debug: bool = False


def options(ctx: typer.Context) -> Options:
    found: Options = ctx.find_object(Options) or Options()
    return found


def ask(
    ctx: typer.Context,
    question: Callable[[Session], Awaitable[T]],
    *,
    as_json: bool = False,
    looking: bool = False,
) -> T:
    """The answer of the running Orchard, or of the store. `looking`: the question changes nothing."""

    async def work() -> T:
        from bot.cli.session import open_session

        async with open_session(options(ctx).root, looking=looking) as session:
            return await question(session)

    return execute(work(), as_json=as_json, debug=options(ctx).debug)


def show(value: Any, render: Callable[[Any], Any], *, as_json: bool) -> None:
    """Prints a value as JSON for scripts, or as `render` makes it for people."""
    if as_json:
        from pydantic_core import to_jsonable_python

        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        text = json.dumps(to_jsonable_python(value), indent=2, ensure_ascii=not unicode)
        send(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")
    else:
        display(render(value))


def obey(ctx: typer.Context, words: list[str], *, as_json: bool) -> Told:
    """What a line of the shell gives. One that does not fit its form ends the program as bad usage does."""
    from bot.cli.command import Asked, Misused
    from bot.cli.shell import find_command

    async def work(session: Session) -> tuple[Told | Misused, bool]:
        asked = Asked(session=session, words=tuple(words[1:]), actor=ACTOR, in_shell=False)
        try:
            return await command.answer(asked), session.running
        except Misused as error:
            return error, session.running

    try:
        command = find_command(words)
    except Misused as error:
        refuse_words(error, as_json=as_json)
    told, running = ask(ctx, work, as_json=as_json, looking=command.looks)
    if isinstance(told, Misused):
        refuse_words(told, as_json=as_json)
    if not running and not command.looks and command.name != "start":  # that one says it itself
        display("Nothing runs now; what you change waits for: orchard run", errors=True)
    return told


def refuse_words(error: Misused, *, as_json: bool) -> NoReturn:
    """In the words of the command line."""
    error.hint = error.hint.replace("Use: ", "Use: orchard do ").replace(
        "help shows", "orchard do help shows"
    )
    refuse(error, as_json=as_json, code=_MISUSED)


def show_long(value: Any, render: Callable[[Any], Any], *, as_json: bool) -> None:
    if as_json:
        show(value, render, as_json=True)
    else:
        display_long(render(value))
