"""`orchard approve`, `story` and `log`: thin, as all of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.asking import ACTOR, Json, StoryName, ask, obey, show, show_long
from bot.cli.terminal import display_long

if TYPE_CHECKING:
    from bot.cli.session import Session


def add_to(app: typer.Typer) -> None:
    for command in (approve, story, log):
        app.command()(command)


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


def story(ctx: typer.Context, story: StoryName, as_json: Json = False) -> None:
    """Show everything of one story: its state, its gates' evidence, its questions, its design."""
    from bot.cli import output_stories

    found = ask(ctx, lambda s: s.commands.story(story), as_json=as_json, looking=True)
    show_long(found, output_stories.story, as_json=as_json)


def log(
    ctx: typer.Context,
    story: StoryName,
    whole: Annotated[bool, typer.Option("--all", help="The whole of the last turn, not its end.")] = False,
    as_json: Json = False,
) -> None:
    """Show what happened to a story, and what was said in its agent's last turn."""
    told = obey(ctx, ["log", story, *(["all"] if whole else [])], as_json=as_json)
    show_long(told.value, lambda _: told.shown, as_json=as_json)
