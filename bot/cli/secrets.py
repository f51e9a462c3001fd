"""`orchard secrets`: named values that a project's agents or tests get as variables. Thin."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.asking import Json, ProjectName, ask, options, show
from bot.cli.passing import ask_unseen
from bot.cli.terminal import execute

secrets = typer.Typer(no_args_is_help=True, help="Set, list and remove projects' secrets.")

SecretName = Annotated[str, typer.Argument(help="The variable that a process gets, such as DATABASE_URL.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(secrets, name="secrets")


@secrets.command(name="set")
def set_secret(ctx: typer.Context, project: ProjectName, name: SecretName, as_json: Json = False) -> None:
    """Set or replace a secret. The value is asked for, or read from standard input."""
    from bot.cli import output_security as output

    async def work() -> str:
        return ask_unseen("Value", twice=False)

    value = execute(work(), as_json=as_json, debug=options(ctx).debug)
    made = ask(ctx, lambda s: s.commands.set_secret(project, name, value), as_json=as_json)
    show(made, output.secret_set, as_json=as_json)


@secrets.command(name="list")
def list_secrets(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """List a project's secrets by name, and who gets them. Values are never shown."""
    from bot.cli import output_security as output

    found = ask(ctx, lambda s: s.commands.secrets(project), as_json=as_json, looking=True)
    show(found, lambda rows: output.secrets(project, rows), as_json=as_json)


@secrets.command()
def remove(ctx: typer.Context, project: ProjectName, name: SecretName, as_json: Json = False) -> None:
    """Remove a secret; what runs now keeps what it got."""
    from bot.cli.marks import done

    ask(ctx, lambda s: s.commands.remove_secret(project, name), as_json=as_json)
    show({"removed": name}, lambda _: done(f"{name} of {project} is removed."), as_json=as_json)
