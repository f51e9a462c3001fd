"""`orchard agents`: which there are, fetching one, checking one. Needs no running Orchard."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.asking import Json, options, show
from bot.cli.terminal import display, execute

if TYPE_CHECKING:
    from core.agents.conformance import Outcome
    from core.agents.install import Fetching
    from core.orchestrator.agent_desk import AgentDesk

agents = typer.Typer(no_args_is_help=True, help="List, install and check coding agents.")

AgentName = Annotated[str, typer.Argument(help="The agent's name, as in 'orchard agents list'.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(agents, name="agents")


def _desk(ctx: typer.Context) -> AgentDesk:
    """Raises OrchardError for settings that cannot be used."""
    from bot.configuration import loader
    from core.folder import variables
    from core.orchestrator.agent_desk import AgentDesk

    root = options(ctx).root
    return AgentDesk(loader(root)(), variables(root))


async def _recorded(ctx: typer.Context, name: str, deed: str, version: str = "") -> None:
    """In the audit log. Raises OrchardError, saying that it is done all the same."""
    from bot.cli.session import open_session
    from core.errors import OrchardError, Unavailable

    try:
        async with open_session(options(ctx).root) as session:
            await session.commands.agent_changed(name, deed, version)
    except OrchardError as error:
        raise Unavailable(
            f"It is done ({deed.replace('_', ' ')}: {name}), but not in the audit log.",
            why=f"{error.message} {error.why}".strip(),
            hint=error.hint,
        ) from error


@agents.command(name="list")
def list_agents(ctx: typer.Context, as_json: Json = False) -> None:
    """Show every agent: where it is, its version, how it reaches its model, who uses it."""
    from bot.cli import output_agents

    async def look() -> object:
        return _desk(ctx).views()

    found = execute(look(), as_json=as_json, debug=options(ctx).debug)
    show(found, output_agents.agents, as_json=as_json)


@agents.command()
def install(
    ctx: typer.Context,
    name: AgentName,
    version: Annotated[
        str | None, typer.Option(metavar="X.Y.Z", help="Another version than the one that was tried.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch an agent from its registry into Orchard's own folder, whole or not at all."""
    from bot.cli import output_agents

    progress = _Progress()

    async def work() -> object:
        made = await _desk(ctx).install(name, version=version, on_progress=progress.show)
        await _recorded(ctx, name, "agent_installed", " ".join(made.versions.values()))
        return made

    try:
        made = execute(work(), as_json=as_json, debug=options(ctx).debug)
    finally:
        progress.end()
    show(made, output_agents.installed, as_json=as_json)


@agents.command()
def uninstall(ctx: typer.Context, name: AgentName, as_json: Json = False) -> None:
    """Remove an agent that Orchard installed."""
    from bot.cli.marks import done

    async def work() -> str:
        await _desk(ctx).uninstall(name)
        await _recorded(ctx, name, "agent_removed")
        return name

    gone = execute(work(), as_json=as_json, debug=options(ctx).debug)
    show(gone, lambda each: done(f"{each} is removed."), as_json=as_json)


@agents.command()
def check(
    ctx: typer.Context,
    name: AgentName,
    gateway: Annotated[
        bool, typer.Option("--gateway/--direct", help="Through the model gateway, or past it.")
    ] = True,
    upstream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Another model server in place of the agent's provider."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another model than its row's.", show_default=False)
    ] = None,
    isolation: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="process or filesystem; default: the strongest here.")
    ] = None,
    turn_seconds: Annotated[float, typer.Option(min=5, help="How long one of its turns may take.")] = 300.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Its first turn only: nothing is resumed or cancelled.")
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep what was said, and its stderr, there.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a tiny story with an agent, and show what of it works. Exit code 1 when something does not."""
    from bot.cli import output_agents

    def told(outcome: Outcome) -> None:
        if not as_json:
            display(output_agents.outcome(outcome))

    async def work() -> object:
        return await _desk(ctx).check(
            name,
            direct=not gateway,
            upstream=upstream,
            model=model,
            isolation=isolation,
            turn_seconds=turn_seconds,
            keep=keep.absolute() if keep is not None else None,
            quick=quick,
            on_outcome=told,
        )

    from core.agents.conformance import Conformance

    found = execute(work(), as_json=as_json, debug=options(ctx).debug)
    assert isinstance(found, Conformance)
    if as_json:
        show({**_plain(found), "passed": found.passed}, output_agents.conformance, as_json=True)
    else:
        display(output_agents.conformance_head(found))
        display(output_agents.conformance_end(found))
    raise typer.Exit(0 if found.passed else 1)


def _plain(value: object) -> dict[str, object]:
    from pydantic_core import to_jsonable_python

    found: dict[str, object] = to_jsonable_python(value)
    return found


class _Progress:
    """On stderr: one line that is written over, at a terminal; else one line a step."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._step = ""

    def show(self, fetching: Fetching) -> None:
        if self._live:
            line = f"{fetching.step}: {fetching.megabytes:.0f} MB, {fetching.seconds:.0f} s"
            sys.stderr.write(f"\r\x1b[K{line[:110]}")
            sys.stderr.flush()
        elif fetching.step != self._step:
            display(f"{fetching.step} ...", errors=True)
        self._step = fetching.step

    def end(self) -> None:
        if self._live and self._step:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
