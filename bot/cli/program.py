"""`orchard`: commands for a terminal and for scripts. Thin: parse, one core call, print.

What a command needs is imported when it runs, so `orchard --help` imports none of it.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bot.cli import (
    agents,
    alerts,
    audit,
    budgets,
    custody,
    following,
    github,
    isolation,
    launching,
    registering,
    secrets,
    sessions,
    sharing,
    users,
)
from bot.cli.admission import admit_all
from bot.cli.asking import (
    ACTOR,
    Json,
    Options,
    ProjectName,
    ask,
    obey,
    options,
    refuse_words,
    show,
)
from bot.cli.terminal import display, execute

if TYPE_CHECKING:
    from bot.cli.session import Session


class _WithShellWords(TyperGroup):
    """Of a word that only the shell has, people are told how the command line says it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # typer's own types, or click's
        if args and args[0] not in self.commands:
            from bot.cli.topics import COMMANDS

            if args[0] in COMMANDS:
                ctx.fail(f"'{args[0]}' is a word of the shell: orchard do {shlex.join(args)}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="orchard",
    cls=_WithShellWords,
    help="Runs many AI-assisted development projects at once, from Discord.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib import metadata

    try:
        print(f"orchard {metadata.version('orchard')}")
    except metadata.PackageNotFoundError:
        print("orchard, run from its source folder")
    raise typer.Exit


@app.callback()
def main_options(
    ctx: typer.Context,
    root: Annotated[
        Path,
        typer.Option(
            help="The folder of orch-config.yaml.", envvar="ORCHARD_ROOT", show_default="this folder"
        ),
    ] = Path(),
    debug: Annotated[bool, typer.Option("--debug", help="Log everything, also to the terminal.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    ctx.obj = Options(root=root, debug=debug)


@app.command()
def status(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Argument(help="One project's state and sprint.")] = None,
    as_json: Json = False,
) -> None:
    """Show what runs, what waits, and what waits for you."""
    from bot.cli import output, output_sprints

    if project is None:
        view = ask(ctx, lambda s: s.commands.system(), as_json=as_json, looking=True)
        root = str(options(ctx).root.absolute())
        show(view, lambda v: output.system(v, root=root), as_json=as_json)
        return

    async def look(session: Session) -> Any:
        from bot.cli.questions import project_report

        return await project_report(session.commands, project)

    show(ask(ctx, look, as_json=as_json, looking=True), output_sprints.report, as_json=as_json)


registering.add_to(app)
following.add_to(app)
sharing.add_to(app)
budgets.add_to(app)
alerts.add_to(app)
agents.add_to(app)
sessions.add_to(app)
github.add_to(app)
users.add_to(app)
secrets.add_to(app)
audit.add_to(app)
custody.add_to(app)
isolation.add_to(app)


@app.command(name="do", context_settings={"ignore_unknown_options": True})
def do(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A line of the shell; none: list what can be said. Text goes into quotes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Do what a line of the shell does: orchard do add shop "Pay by card"."""
    from bot.cli.command import Misused
    from bot.cli.shell import HELP, help_text

    if not words or words[0].lower() == HELP:
        try:
            display(help_text((words or [])[1:], in_shell=False))
        except Misused as error:
            refuse_words(error, as_json=as_json)
        return
    told = obey(ctx, words, as_json=as_json)
    show(told.value, lambda _: told.shown, as_json=as_json)
    raise typer.Exit(0 if told.good else 1)


@app.command(name="import")
def import_state(
    ctx: typer.Context,
    project: ProjectName,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would come.")] = False,
    as_json: Json = False,
) -> None:
    """Take over the backlog that another tool keeps in a project's .orch-state."""
    from bot.cli import output

    taken = ask(
        ctx,
        lambda s: s.commands.import_state(project, dry_run=dry_run, actor=ACTOR),
        as_json=as_json,
        looking=dry_run,
    )
    show(taken, output.imported, as_json=as_json)


@app.command()
def doctor(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Argument(help="Look at one project, too.")] = None,
    as_json: Json = False,
) -> None:
    """Check what Orchard needs here, and say how to mend what is missing."""
    from bot.cli import output
    from bot.cli.doctor import examine

    chosen = options(ctx)
    report = execute(examine(chosen.root, project, dict(os.environ)), as_json=as_json, debug=chosen.debug)
    show(report, output.doctor, as_json=as_json)
    raise typer.Exit(0 if report.healthy else 1)


launching.add_to(app)
admit_all(app)
