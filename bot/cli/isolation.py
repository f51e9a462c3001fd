"""`orchard isolation`: what a project's sandboxes are, and a quick try of what they hold. Thin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.asking import Json, ProjectName, options, show
from bot.cli.terminal import execute

if TYPE_CHECKING:
    from core.doctor.isolation import Attempt, Reviewer, SandboxView

isolation = typer.Typer(no_args_is_help=True, help="Show and try what a project's agents are shut in by.")

RoleName = Annotated[
    str | None, typer.Option("--role", metavar="ROLE", help="design, qa, code or data; all of them without.")
]
LevelName = Annotated[
    str | None,
    typer.Option(
        "--level",
        metavar="LEVEL",
        help="process, filesystem, network or container, in place of the project's own.",
    ),
]


def add_to(app: typer.Typer) -> None:
    app.add_typer(isolation, name="isolation")


@isolation.command(name="show")
def show_plan(
    ctx: typer.Context,
    project: ProjectName,
    role: RoleName = None,
    level: LevelName = None,
    as_json: Json = False,
) -> None:
    """Show how an agent would be started: its command, mounts, doors, allow-list and limits."""
    from bot.cli import output_isolation

    async def work() -> tuple[SandboxView, ...]:
        return (await _reviewer(ctx, project, level)).shown(role)

    views = execute(work(), as_json=as_json, debug=options(ctx).debug)
    show(views, output_isolation.plans, as_json=as_json)


@isolation.command(name="test")
def try_it(
    ctx: typer.Context,
    project: ProjectName,
    role: RoleName = None,
    level: LevelName = None,
    as_json: Json = False,
) -> None:
    """Run the attack suite from inside of such sandboxes; ends with 1 when something got through."""
    from bot.cli import output_isolation

    async def work() -> tuple[Attempt, ...]:
        return await (await _reviewer(ctx, project, level)).test(role)

    found = execute(work(), as_json=as_json, debug=options(ctx).debug)
    show(found, output_isolation.attempts, as_json=as_json)
    raise typer.Exit(0 if all(each.held or not each.expected for each in found) else 1)


async def _reviewer(ctx: typer.Context, project: str, level: str | None) -> Reviewer:
    """Containers are looked for where the project or the person asks for them: it takes seconds."""
    from config.loader import load
    from core.doctor.isolation import Reviewer
    from core.folder import variables
    from core.isolation.container.probe import with_container
    from core.isolation.machine import probe_machine
    from core.isolation.plan import Level
    from core.orchestrator.setups import wants_container

    configuration = load(options(ctx).root, environ=dict(os.environ))
    name = project.strip().lower()
    machine = await probe_machine()
    configured = configuration.settings.projects.get(name)
    if level == Level.CONTAINER or (configured is not None and wants_container(configured)):
        machine = await with_container(machine)
    reviewer = Reviewer(
        name,
        configuration.settings,
        state_path=configuration.state_path,
        machine=machine,
        environ=variables(configuration.root),
    )
    return reviewer if level is None else reviewer.at(level)
