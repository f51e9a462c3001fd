"""`orchard budget`: thin, as all of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.asking import ACTOR, Json, ask, show

if TYPE_CHECKING:
    from bot.cli.session import Session
    from core.orchestrator.budget_views import RaiseView


def add_to(app: typer.Typer) -> None:
    app.command()(budget)


def budget(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Argument(help="One project; none: all of them.")] = None,
    story: Annotated[str | None, typer.Option("--story", metavar="ID", help="One story.")] = None,
    more: Annotated[
        tuple[str, str],
        typer.Option(
            "--raise",
            metavar="AMOUNT UNIT",
            help="Allow more: an amount of dollars, tokens, turns or minutes, on top of the limit.",
            show_default=False,
        ),
    ] = ("", ""),
    scope: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="SCOPE",
            help="Which budget is raised: story, project or day (today only); else that of the story named, "
            "or the day's.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what agents used and may use, or allow them more."""
    from bot.cli import output_budgets

    if more == ("", ""):
        if scope is not None:
            raise typer.BadParameter("only says which budget is raised", param_hint="--for")
        view = ask(ctx, lambda s: s.commands.budgets(project, story=story), as_json=as_json, looking=True)
        show(view, output_budgets.budgets, as_json=as_json)
        return
    name = story or project
    if name is None:
        raise typer.BadParameter("say whose: a project, or --story ID", param_hint="--raise")

    async def work(session: Session) -> RaiseView:
        from core.domain.budget_words import parse_amount, parse_scope

        unit, amount = parse_amount(*more)
        chosen = parse_scope(scope or ("story" if story else "day"))
        return await session.commands.raise_budget(name, scope=chosen, unit=unit, amount=amount, actor=ACTOR)

    show(ask(ctx, work, as_json=as_json), output_budgets.raised, as_json=as_json)
