"""`orchard run`, `shell`, `simulate` and `demo`: thin, as all of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.asking import Json, options, show
from bot.cli.terminal import execute

NoDiscord = Annotated[bool, typer.Option("--no-discord", help="Do not connect to Discord.")]
NoIntelligence = Annotated[bool, typer.Option("--no-intelligence", help="Switch cross-project insights off.")]


def add_to(app: typer.Typer) -> None:
    for command in (run, shell, simulate, demo):
        app.command()(command)


def run(ctx: typer.Context, no_discord: NoDiscord = False, no_intelligence: NoIntelligence = False) -> None:
    """Run Orchard until Ctrl-C."""
    from bot.cli.running import run_until_stopped

    chosen = options(ctx)
    execute(
        run_until_stopped(
            chosen.root,
            discord=not no_discord,
            debug=chosen.debug,
            overrides=_overrides(no_intelligence),
        ),
        debug=chosen.debug,
    )


def _overrides(no_intelligence: bool) -> dict[str, Any]:
    return {"global": {"enable_cross_project_insights": False}} if no_intelligence else {}


def shell(
    ctx: typer.Context,
    with_orchard: Annotated[
        bool, typer.Option("--with-orchard", help="Run Orchard in this process, too, unless it runs already.")
    ] = False,
    no_discord: NoDiscord = False,
    no_intelligence: NoIntelligence = False,
) -> None:
    """Talk to Orchard at a prompt."""
    from bot.cli.conversation import run_shell

    chosen = options(ctx)
    code = execute(
        run_shell(
            chosen.root,
            with_orchard=with_orchard,
            discord=not no_discord,
            debug=chosen.debug,
            overrides=_overrides(no_intelligence),
        ),
        debug=chosen.debug,
    )
    raise typer.Exit(code)


def simulate(
    ctx: typer.Context,
    strategy: Annotated[
        str,
        typer.Option(
            help="fair_share, priority_based, dynamic, one of your own as my_module:MyClass; several by "
            "commas; or all."
        ),
    ] = "all",
    scenario: Annotated[str, typer.Option(help="A made week: mixed, office, flood, night or hog.")] = "mixed",
    projects: Annotated[int, typer.Option(help="Projects of a made week.", metavar="N")] = 40,
    days: Annotated[float, typer.Option(help="Days that are played.", metavar="N")] = 7.0,
    seed: Annotated[int, typer.Option(help="Another seed is another week of the kind.", metavar="N")] = 1,
    agents: Annotated[
        int | None,
        typer.Option(help="Agents at once; default: as configured.", metavar="N", show_default=False),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Play what your projects really did, not a made week.")
    ] = False,
    charts: Annotated[
        Path | None, typer.Option(help="Write pictures into this folder.", metavar="FOLDER")
    ] = None,
    as_json: Json = False,
) -> None:
    """Play a week of load with one strategy or several, to choose one by evidence. Changes nothing."""
    from bot.cli import output_simulation
    from bot.cli.simulation import Wish
    from bot.cli.simulation_run import compare

    wish = Wish(
        strategies=(strategy,),
        scenario=scenario,
        projects=projects,
        days=days,
        seed=seed,
        agents=agents,
        recorded=recorded,
    )
    chosen = options(ctx)
    found = execute(compare(chosen.root, wish, charts), as_json=as_json, debug=chosen.debug)
    show(output_simulation.data(found) if as_json else found, output_simulation.comparison, as_json=as_json)


def demo(
    ctx: typer.Context,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="You play: in a browser, and here.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's projects afterwards.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the last screen as an SVG picture.")] = None,
) -> None:
    """Drive six stories in two projects through every phase, with a local Discord and a replayed agent."""
    from bot.cli.demo.show import run_demo

    code = execute(run_demo(interactive=interactive, keep=keep, picture=picture), debug=options(ctx).debug)
    raise typer.Exit(code)
