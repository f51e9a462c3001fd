"""`orchard resources`, `optimize`, `why` and `reload`: thin, as all of the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.asking import ACTOR, Json, StoryName, ask, show


def add_to(app: typer.Typer) -> None:
    for command in (resources, optimize, why, reload):
        app.command()(command)


def resources(ctx: typer.Context, as_json: Json = False) -> None:
    """Show who has which share, what waits, and what holds it back."""
    from bot.cli import output_resources

    view = ask(ctx, lambda s: s.commands.resources(), as_json=as_json, looking=True)
    show(view, output_resources.resources, as_json=as_json)


def optimize(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change, start and be parked.")
    ] = False,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="fair_share, priority_based, dynamic or an import path; another than the configured one "
            "only with --dry-run.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run resource optimization: measure, and share anew."""
    from bot.cli import output_resources

    made = ask(
        ctx,
        lambda s: s.commands.optimize(strategy=strategy, dry_run=dry_run, actor=ACTOR),
        as_json=as_json,
        looking=True,
    )
    show(made, output_resources.optimization, as_json=as_json)


def why(ctx: typer.Context, story: StoryName, as_json: Json = False) -> None:
    """Say why a story does what it does, and what has to happen next."""
    from bot.cli import output_resources

    view = ask(ctx, lambda s: s.commands.why(story), as_json=as_json, looking=True)
    show(view, output_resources.why, as_json=as_json)


def reload(ctx: typer.Context, as_json: Json = False) -> None:
    """Have the running Orchard read its settings anew, at once; it does so by itself in a few seconds."""
    from bot.cli import output_resources

    view = ask(ctx, lambda s: s.commands.reload_settings(actor=ACTOR), as_json=as_json, looking=True)
    show(view, output_resources.reloaded, as_json=as_json)
