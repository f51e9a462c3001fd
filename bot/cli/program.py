"""`orchard`: commands for a terminal and for scripts. Thin: parse, one core call, print."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from bot.cli import output
from bot.cli.session import Session, open_session
from core.errors import OrchardError

T = TypeVar("T")

app = typer.Typer(
    name="orchard",
    help="Runs many AI-assisted development projects at once, from Discord.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
ACTOR = "cli"


class Place:
    """What the options before the command say."""

    root: Path = Path()
    debug: bool = False


@app.callback()
def main_options(
    root: Annotated[
        Path,
        typer.Option(
            help="The folder of orch-config.yaml.", envvar="ORCHARD_ROOT", show_default="this folder"
        ),
    ] = Path(),
    debug: Annotated[bool, typer.Option("--debug", help="Log everything, also to the terminal.")] = False,
) -> None:
    Place.root, Place.debug = root, debug


def execute(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Runs to the end; an OrchardError becomes a sentence and exit code 1, Ctrl-C exit code 130."""
    try:
        return asyncio.run(work)
    except OrchardError as error:
        if as_json:
            print(json.dumps(output.error_data(error)))
        else:
            output.print_error(error, Console(stderr=True))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def ask(question: Callable[[Session], Awaitable[T]], *, as_json: bool = False) -> T:
    async def work() -> T:
        async with open_session(Place.root) as session:
            return await question(session)

    return execute(work(), as_json=as_json)


def show(value: Any, render: Callable[[Any], Any], *, as_json: bool) -> None:
    """Prints a value as JSON for scripts, or as `render` makes it for people."""
    if as_json:
        print(json.dumps(output.data_of(value), indent=2, ensure_ascii=False))
    else:
        Console().print(render(value))


@app.command()
def status(
    project: Annotated[str | None, typer.Argument(help="One project's state and sprint.")] = None,
    as_json: Json = False,
) -> None:
    """Show what runs, what waits, and what waits for you."""
    if project is None:
        show(ask(lambda s: s.commands.system(), as_json=as_json), output.system, as_json=as_json)
    else:
        show(
            ask(lambda s: output.project_report(s.commands, project), as_json=as_json),
            output.report,
            as_json=as_json,
        )


@app.command()
def projects(as_json: Json = False) -> None:
    """List the registered projects."""
    show(ask(lambda s: s.commands.projects(), as_json=as_json), output.projects, as_json=as_json)


@app.command()
def register(name: str, path: Path, as_json: Json = False) -> None:
    """Register a git repository as a project."""
    made = ask(lambda s: s.commands.register_project(name, path.absolute(), actor=ACTOR), as_json=as_json)
    show(made, output.registered, as_json=as_json)


@app.command()
def discover(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders to look in; default: this one.")] = None,
    register_all: Annotated[bool, typer.Option("--register", help="Register what is found.")] = False,
    as_json: Json = False,
) -> None:
    """Look for projects in folders."""
    places = [path.absolute() for path in paths or [Path()]]
    found = ask(
        lambda s: output.discover(s.commands, places, register=register_all, actor=ACTOR), as_json=as_json
    )
    show(found, output.discovered, as_json=as_json)


@app.command()
def start(project: str, as_json: Json = False) -> None:
    """Let a project work."""

    async def work(session: Session) -> tuple[Any, bool]:
        return await session.commands.start_project(project, actor=ACTOR), session.running

    started, running = ask(work, as_json=as_json)
    show(started, lambda p: output.started(p, running=running), as_json=as_json)


@app.command()
def stop(project: str, as_json: Json = False) -> None:
    """Stop a project: its agents end, what they left is kept, nothing new starts."""
    stopped = ask(lambda s: s.commands.stop_project(project, actor=ACTOR), as_json=as_json)
    show(stopped, output.stopped, as_json=as_json)


@app.command()
def approve(
    approval: Annotated[str | None, typer.Argument(help="The approval's id; none: list what waits.")] = None,
    reject: Annotated[str | None, typer.Option("--reject", metavar="REASON", help="Say no, and why.")] = None,
    as_json: Json = False,
) -> None:
    """List what waits for an answer, or answer it."""
    if approval is None:
        show(ask(lambda s: s.commands.approvals(), as_json=as_json), output.approvals, as_json=as_json)
        return
    answered = ask(
        lambda s: s.commands.answer_approval(approval, reject is None, reason=reject or "", actor=ACTOR),
        as_json=as_json,
    )
    show(answered, output.answered, as_json=as_json)


@app.command()
def doctor(
    project: Annotated[str | None, typer.Argument(help="Look at one project, too.")] = None,
    as_json: Json = False,
) -> None:
    """Check what Orchard needs here, and say how to mend what is missing."""
    from bot.cli.doctor import examine

    report = execute(examine(Place.root, project, dict(os.environ)), as_json=as_json)
    show(report, output.doctor, as_json=as_json)
    raise typer.Exit(0 if report.healthy else 1)


@app.command()
def run(
    no_discord: Annotated[bool, typer.Option("--no-discord", help="Do not connect to Discord.")] = False,
    no_intelligence: Annotated[
        bool, typer.Option("--no-intelligence", help="Switch cross-project insights off.")
    ] = False,
) -> None:
    """Run Orchard until Ctrl-C."""
    from bot.cli.running import run_until_stopped

    execute(run_until_stopped(Place.root, discord=not no_discord, debug=Place.debug))


@app.command()
def shell(
    with_orchard: Annotated[
        bool, typer.Option("--with-orchard", help="Run Orchard in this process, too, unless it runs already.")
    ] = False,
    no_discord: Annotated[bool, typer.Option("--no-discord", help="Do not connect to Discord.")] = False,
    no_intelligence: Annotated[
        bool, typer.Option("--no-intelligence", help="Switch cross-project insights off.")
    ] = False,
) -> None:
    """Talk to Orchard at a prompt."""
    from bot.cli.shell import run_shell

    execute(run_shell(Place.root, with_orchard=with_orchard, discord=not no_discord, debug=Place.debug))


@app.command()
def demo(
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Leave it running: you press the approvals.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's projects afterwards.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the last screen as an SVG picture.")] = None,
) -> None:
    """Drive six stories in two projects through every phase, with a local Discord and a replayed agent."""
    from bot.cli.demo.show import run_demo

    code = execute(run_demo(interactive=interactive, keep=keep, picture=picture))
    sys.exit(code)
