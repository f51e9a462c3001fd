"""`orchard isolation`: what a project's sandboxes are, and a quick try of what they hold. Thin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.asking import Json, ProjectName, options, show
from bot.cli.terminal import execute

if TYPE_CHECKING:
    from core.doctor.isolation import Attempt, Reviewer

isolation = typer.Typer(no_args_is_help=True, help="Show and try what a project's agents are shut in by.")

RoleName = Annotated[str, typer.Option("--role", metavar="ROLE", help="design, qa, code or data.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(isolation, name="isolation")


@isolation.command(name="show")
def show_plan(
    ctx: typer.Context, project: ProjectName, role: RoleName = "code", as_json: Json = False
) -> None:
    """Show how an agent would be started: its command, mounts, doors, allow-list and limits."""
    from bot.cli import output_isolation

    async def work() -> object:
        return (await _reviewer(ctx, project)).show(role)

    view = execute(work(), as_json=as_json, debug=options(ctx).debug)
    show(view, output_isolation.plan, as_json=as_json)


@isolation.command(name="test")
def try_it(ctx: typer.Context, project: ProjectName, role: RoleName = "code", as_json: Json = False) -> None:
    """Try from inside of such a sandbox what must not work; ends with 1 when something got through."""
    from bot.cli import output_isolation

    async def work() -> tuple[Attempt, ...]:
        return await (await _reviewer(ctx, project)).test(role)

    found = execute(work(), as_json=as_json, debug=options(ctx).debug)
    show(found, output_isolation.attempts, as_json=as_json)
    raise typer.Exit(0 if all(each.held or not each.expected for each in found) else 1)


async def _reviewer(ctx: typer.Context, project: str) -> Reviewer:
    from config.loader import load
    from core.doctor.isolation import Reviewer
    from core.folder import variables
    from core.isolation.machine import probe_machine

    configuration = load(options(ctx).root, environ=dict(os.environ))
    return Reviewer(
        project.strip().lower(),
        configuration.settings,
        state_path=configuration.state_path,
        machine=await probe_machine(),
        environ=variables(configuration.root),
    )
