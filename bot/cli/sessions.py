"""`orchard sessions`: what agents were told, did and said, and what goes on from what. Thin."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.asking import ACTOR, Json, ask, show, show_long

sessions = typer.Typer(
    no_args_is_help=True, help="List, show and search agents' sessions; fork and link them."
)

Story = Annotated[str, typer.Argument(help="The story's id, such as shop-3.")]
Other = Annotated[str, typer.Argument(help="The other story's id; may be another project's.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(sessions, name="sessions")


@sessions.command(name="list")
def list_sessions(
    ctx: typer.Context,
    scope: Annotated[
        str | None,
        typer.Argument(metavar="[PROJECT|STORY]", help="A project, a story or an epic; none: all."),
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", metavar="N", min=1, max=500)] = 50,
    as_json: Json = False,
) -> None:
    """List sessions, the latest first."""
    from bot.cli import output_sessions as output

    found = ask(ctx, lambda s: s.commands.sessions(scope, limit=limit), as_json=as_json, looking=True)
    show(found, output.sessions, as_json=as_json)


@sessions.command(name="show")
def show_session(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A turn, such as shop-3.7; a story: its last session; or the agent's own name."
        ),
    ],
    whole: Annotated[
        bool, typer.Option("--all", help="All that was said in the last turn, not its end.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a session: its turns, the last one's prompt with its template's version, and what was said."""
    from bot.cli import output_sessions as output

    found = ask(ctx, lambda s: s.commands.session(name), as_json=as_json, looking=True)
    show_long(found, lambda detail: output.session(detail, whole=whole), as_json=as_json)


@sessions.command()
def search(
    ctx: typer.Context,
    words: Annotated[
        list[str], typer.Argument(help="All of them are looked for; quote what stands together.")
    ],
    project: Annotated[str | None, typer.Option(help="In one project only.", metavar="NAME")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", metavar="N", min=1, max=500)] = 20,
    as_json: Json = False,
) -> None:
    """Find turns by the words in their transcripts."""
    from bot.cli import output_sessions as output

    query = output.query_of(words)
    found = ask(
        ctx,
        lambda s: s.commands.search_sessions(query, project=project, limit=limit),
        as_json=as_json,
        looking=True,
    )
    show(found, output.found, as_json=as_json)


@sessions.command()
def fork(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="STORY", help="Whose session: a story, or a turn as shop-3.7.")
    ],
    new: Annotated[
        str, typer.Option("--as", metavar="NEWSTORY", help="A story of the same project, not begun.")
    ],
    as_json: Json = False,
) -> None:
    """Let a new story's first turn go on from another story's session."""
    from bot.cli import output_sessions as output

    made = ask(ctx, lambda s: s.commands.fork_session(source, new, actor=ACTOR), as_json=as_json)
    show(made, output.forked, as_json=as_json)


@sessions.command()
def link(ctx: typer.Context, story: Story, other: Other, as_json: Json = False) -> None:
    """Tell a story's agents what another story came to."""
    from bot.cli import output_sessions as output

    made = ask(ctx, lambda s: s.commands.link_session(story, other, actor=ACTOR), as_json=as_json)
    show(made, output.linked, as_json=as_json)


@sessions.command()
def unlink(ctx: typer.Context, story: Story, other: Other, as_json: Json = False) -> None:
    """Take a link away."""
    from bot.cli import output_sessions as output

    made = ask(ctx, lambda s: s.commands.unlink_session(story, other, actor=ACTOR), as_json=as_json)
    show(made, output.linked, as_json=as_json)
