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

from bot.cli import agents, budgeting, sessions, sharing
from bot.cli.asking import (
    ACTOR,
    Json,
    Options,
    StoryName,
    ask,
    obey,
    options,
    refuse_words,
    show,
    show_long,
)
from bot.cli.terminal import display, display_long, execute

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

ProjectName = Annotated[str, typer.Argument(help="The project's name.")]
NoDiscord = Annotated[bool, typer.Option("--no-discord", help="Do not connect to Discord.")]
NoIntelligence = Annotated[bool, typer.Option("--no-intelligence", help="Switch cross-project insights off.")]


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


@app.command()
def projects(ctx: typer.Context, as_json: Json = False) -> None:
    """List the registered projects."""
    from bot.cli import output

    found = ask(ctx, lambda s: s.commands.projects(), as_json=as_json, looking=True)
    show(found, output.projects, as_json=as_json)


@app.command()
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


@app.command()
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


@app.command()
def start(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Let a project work."""
    from bot.cli import output

    async def work(session: Session) -> tuple[Any, bool]:
        return await session.commands.start_project(project, actor=ACTOR), session.running

    started, running = ask(ctx, work, as_json=as_json)
    show(started, lambda p: output.started(p, running=running), as_json=as_json)


@app.command()
def stop(ctx: typer.Context, project: ProjectName, as_json: Json = False) -> None:
    """Stop a project: its agents end, what they left is kept, nothing new starts."""
    from bot.cli import output

    stopped = ask(ctx, lambda s: s.commands.stop_project(project, actor=ACTOR), as_json=as_json)
    show(stopped, output.stopped, as_json=as_json)


@app.command()
def approve(
    ctx: typer.Context,
    approval: Annotated[
        str | None,
        typer.Argument(
            help="A question, by its id or its story; or proposed stories: by id, epic or project. "
            "None: list what waits."
        ),
    ] = None,
    reject: Annotated[str | None, typer.Option("--reject", metavar="REASON", help="Say no, and why.")] = None,
    detail: Annotated[bool, typer.Option("--show", help="Show the whole command or diff only.")] = False,
    as_json: Json = False,
) -> None:
    """List what waits for an answer, look at it, or answer it."""
    from bot.cli import output_answers, output_epics

    if approval is None:
        if reject is not None or detail:
            raise typer.BadParameter("say which approval is meant", param_hint="APPROVAL")
        waiting = ask(ctx, lambda s: s.commands.approvals(), as_json=as_json, looking=True)
        show(waiting, output_answers.approvals, as_json=as_json)
        return
    if reject is not None and detail:
        raise typer.BadParameter("cannot be combined with --reject", param_hint="--show")

    async def work(session: Session) -> Any:
        from bot.cli.questions import approve as say_yes
        from bot.cli.questions import resolve_approval

        if reject is None and not detail:
            return await say_yes(session.commands, [approval], actor=ACTOR)
        chosen = await resolve_approval(session.commands, approval)
        if detail:
            return await session.commands.approval(chosen)
        return await session.commands.answer_approval(chosen, False, reason=reject or "", actor=ACTOR)

    answer = ask(ctx, work, as_json=as_json, looking=detail)
    if detail and not as_json:
        display_long(output_answers.approval(answer))
    elif isinstance(answer, tuple):
        show(answer, output_epics.approved, as_json=as_json)
    else:
        show(answer, output_answers.answered, as_json=as_json)


@app.command()
def story(ctx: typer.Context, story: StoryName, as_json: Json = False) -> None:
    """Show everything of one story: its state, its gates' evidence, its questions, its design."""
    from bot.cli import output_stories

    found = ask(ctx, lambda s: s.commands.story(story), as_json=as_json, looking=True)
    show_long(found, output_stories.story, as_json=as_json)


@app.command()
def log(
    ctx: typer.Context,
    story: StoryName,
    whole: Annotated[bool, typer.Option("--all", help="The whole of the last turn, not its end.")] = False,
    as_json: Json = False,
) -> None:
    """Show what happened to a story, and what was said in its agent's last turn."""
    told = obey(ctx, ["log", story, *(["all"] if whole else [])], as_json=as_json)
    show_long(told.value, lambda _: told.shown, as_json=as_json)


sharing.add_to(app)
budgeting.add_to(app)
agents.add_to(app)
sessions.add_to(app)


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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def demo(
    ctx: typer.Context,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="Leave it running: you press the approvals.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's projects afterwards.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Write the last screen as an SVG picture.")] = None,
) -> None:
    """Drive six stories in two projects through every phase, with a local Discord and a replayed agent."""
    from bot.cli.demo.show import run_demo

    code = execute(run_demo(interactive=interactive, keep=keep, picture=picture), debug=options(ctx).debug)
    raise typer.Exit(code)
