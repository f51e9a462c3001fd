"""`orchard projects`, `register`, `discover`, `start`, `stop`, `maintain`, `archive` and `reopen`: thin, as
all of the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.asking import ACTOR, Json, ProjectName, ask, show
from bot.cli.terminal import refuse
from core.errors import InvalidInput

if TYPE_CHECKING:
    from bot.cli.session import Session


def add_to(app: typer.Typer) -> None:
    for command in (projects, register, discover, start, stop, maintain, archive, reopen):
        app.command()(command)


def projects(ctx: typer.Context, as_json: Json = False) -> None:
    """List the registered projects."""
    from bot.cli import output

    found = ask(ctx, lambda s: s.commands.projects(), as_json=as_json, looking=True)
    show(found, output.projects, as_json=as_json)


def register(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What to call it: a-z, 0-9, '.', '_' and '-'.")],
    path: Annotated[Path, typer.Argument(help="The git checkout, on the machine that runs Orchard.")],
    as_json: Json = False,
) -> None:
    """Register a git repository as a project."""
    from bot.cli import output

    place = path.absolute() if path.parts[:1] != ("~",) else path
    made = ask(ctx, lambda s: s.commands.register_project(name, place, actor=ACTOR), as_json=as_json)
    show(made, output.registered, as_json=as_json)


def discover(
    ctx: typer.Context,
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders to look in; default: this one.")] = None,
    register_all: Annotated[bool, typer.Option("--register", help="Register what is found.")] = False,
    as_json: Json = False,
) -> None:
    """Look for projects in folders."""
    from bot.cli import output

    places = [path.absolute() for path in paths or [Path()]]

    async def look(session: Session) -> Any:
        from bot.cli.questions import discover as search

        return await search(session.commands, places, register=register_all, actor=ACTOR)

    found = ask(ctx, look, as_json=as_json, looking=not register_all)
    show(found, output.discovered, as_json=as_json)
    if found.refused and not found.registered:
        raise typer.Exit(1)


def start(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Let a project work."""
    from bot.cli import output

    async def work(session: Session) -> tuple[Any, bool]:
        return await session.commands.start_project(project, actor=ACTOR), session.running

    started, running = ask(ctx, work, as_json=as_json)
    show(started, lambda p: output.started(p, running=running), as_json=as_json)


def stop(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Stop a project: its agents end, what they left is kept, nothing new starts."""
    from bot.cli import output

    stopped = ask(ctx, lambda s: s.commands.stop_project(project, actor=ACTOR), as_json=as_json)
    show(stopped, output.stopped, as_json=as_json)


def maintain(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Stop a project while something outside is mended; it says so."""
    from bot.cli import output

    moved = ask(ctx, lambda s: s.commands.maintain_project(project, actor=ACTOR), as_json=as_json)
    show(moved, output.maintained, as_json=as_json)


def archive(
    ctx: typer.Context,
    project: ProjectName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")] = False,
    as_json: Json = False,
) -> None:
    """Put a project away: its agents end, its questions are withdrawn, all that is known of it is in a file.

    Its checkout stays as it is. orchard reopen brings it back with all its history.
    """
    from bot.cli import output

    if not yes:
        if as_json or not sys.stdin.isatty():
            error = InvalidInput(
                f"Nobody can be asked here whether {project} is to be archived: nothing was done.",
                hint=f"Say that it is meant: orchard archive {project} --yes",
            )
            refuse(error, as_json=as_json)
        typer.confirm(f"Archive {project}? Its agents end, its questions are withdrawn", abort=True)
    made = ask(ctx, lambda s: s.commands.archive_project(project, actor=ACTOR), as_json=as_json)
    show(made, output.archived, as_json=as_json)


def reopen(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Bring an archived project back, with all its history; it is paused then."""
    from bot.cli import output

    moved = ask(ctx, lambda s: s.commands.reopen_project(project, actor=ACTOR), as_json=as_json)
    show(moved, output.reopened, as_json=as_json)
