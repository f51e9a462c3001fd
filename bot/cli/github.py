"""`orchard github`: a project's repository, its issues and pull requests. Thin."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.asking import ACTOR, Json, ProjectName, ask, show

github = typer.Typer(
    no_args_is_help=True, help="Link a project with its repository on GitHub; look, sync, release notes."
)

Sprint = Annotated[int | None, typer.Option(help="Its number; none: the last one.", metavar="N", min=1)]


def add_to(app: typer.Typer) -> None:
    app.add_typer(github, name="github")


@github.command()
def link(
    ctx: typer.Context,
    project: ProjectName,
    repository: Annotated[str, typer.Argument(help="OWNER/NAME, or its address.")],
    as_json: Json = False,
) -> None:
    """Link a project with its repository: issues become stories, stories go in there."""
    from bot.cli import output_github as output

    made = ask(ctx, lambda s: s.commands.link_repository(project, repository, actor=ACTOR), as_json=as_json)
    show(made, output.linked, as_json=as_json)


@github.command()
def unlink(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """End that. What is at GitHub stays as it is."""
    from bot.cli import output_github as output

    gone = ask(ctx, lambda s: s.commands.unlink_repository(project, actor=ACTOR), as_json=as_json)
    show({"unlinked": gone}, lambda _: output.unlinked(project, gone), as_json=as_json)


@github.command()
def status(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Argument(help="One project; none: all that are linked.")] = None,
    as_json: Json = False,
) -> None:
    """Show how repositories stand, and the pull requests at work with their checks."""
    from bot.cli import output_github as output

    found = ask(ctx, lambda s: s.commands.repositories(project), as_json=as_json, looking=True)
    show(found, output.status, as_json=as_json)


@github.command()
def sync(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Look at GitHub now, and wait until all of it is taken in."""
    from bot.cli import output_github as output

    made = ask(ctx, lambda s: s.commands.sync_repository(project, actor=ACTOR), as_json=as_json)
    show(made, output.synced, as_json=as_json)


@github.command()
def notes(ctx: typer.Context, project: ProjectName, sprint: Sprint = None, as_json: Json = False) -> None:
    """Show release notes, as Markdown: what a sprint's merged stories changed."""
    from bot.cli import output_github as output

    made = ask(ctx, lambda s: s.commands.release_notes(project, sprint), as_json=as_json, looking=True)
    show(made, output.notes, as_json=as_json)


@github.command()
def hook(
    ctx: typer.Context,
    project: ProjectName,
    url: Annotated[
        str, typer.Option(help="Of this Orchard as GitHub reaches it; else web.public_url.", metavar="URL")
    ] = "",
    make: Annotated[bool, typer.Option("--make", help="Have GitHub make it.")] = False,
    as_json: Json = False,
) -> None:
    """Show what to enter at GitHub for its webhooks to come here, or have it made."""
    from bot.cli import output_github as output

    made = ask(ctx, lambda s: s.commands.repository_hook(project, url, make), as_json=as_json)
    show(made, output.hook, as_json=as_json)
