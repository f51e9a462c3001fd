"""`orchard users`: people who may log in, their levels, their accounts of Discord. Thin."""

from __future__ import annotations

from typing import Annotated

import typer

from bot.cli.asking import Json, ask, options, show
from bot.cli.passing import ask_unseen
from bot.cli.terminal import execute

users = typer.Typer(no_args_is_help=True, help="Create users, give them levels, link and disable them.")

UserName = Annotated[str, typer.Argument(help="The user's name or e-mail address.")]
LevelName = Annotated[
    str, typer.Argument(help="viewer, contributor, maintainer, admin, owner; none takes it away.")
]


def add_to(app: typer.Typer) -> None:
    app.add_typer(users, name="users")


@users.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The name to log in with.")],
    email: Annotated[str, typer.Argument(help="Their e-mail address.")],
    level: Annotated[
        str | None,
        typer.Option(
            help="Their level in every project; none: only where it is granted. The first is owner."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a user. The password is asked for, or read from standard input."""
    from bot.cli import output_security as output

    password = _unseen(ctx, "Password", as_json=as_json)
    made = ask(ctx, lambda s: s.commands.create_user(name, email, password, level), as_json=as_json)
    show(made, output.user_made, as_json=as_json)


@users.command(name="list")
def list_users(ctx: typer.Context, as_json: Json = False) -> None:
    """List every user, with levels and linked accounts."""
    from bot.cli import output_security as output

    found = ask(ctx, lambda s: s.commands.users(), as_json=as_json, looking=True)
    show(found, output.users, as_json=as_json)


@users.command()
def grant(
    ctx: typer.Context,
    name: UserName,
    level: LevelName,
    project: Annotated[str | None, typer.Option(help="Only in this project; left out: in every one.")] = None,
    as_json: Json = False,
) -> None:
    """Give a user a level, in one project or everywhere."""
    from bot.cli import output_security as output

    if project is None:
        found = ask(ctx, lambda s: s.commands.set_user_level(name, level), as_json=as_json)
    else:
        found = ask(ctx, lambda s: s.commands.grant_project_access(name, project, level), as_json=as_json)
    show(found, output.user_changed, as_json=as_json)


@users.command()
def link(ctx: typer.Context, name: UserName, as_json: Json = False) -> None:
    """Make a one-time code by which a person in Discord becomes this user."""
    from bot.cli import output_security as output

    made = ask(ctx, lambda s: s.commands.link_code(name), as_json=as_json)
    show(made, output.link_code, as_json=as_json)


@users.command()
def unlink(
    ctx: typer.Context,
    account: Annotated[
        str, typer.Argument(help="The account's id in Discord, as 'orchard users list' says.")
    ],
    as_json: Json = False,
) -> None:
    """Take an account of Discord from its user."""
    from bot.cli.marks import done

    ask(ctx, lambda s: s.commands.unlink_account(account), as_json=as_json)
    show({"unlinked": account}, lambda _: done(f"{account} is linked to nobody."), as_json=as_json)


@users.command()
def disable(
    ctx: typer.Context,
    name: UserName,
    undo: Annotated[bool, typer.Option("--undo", help="Let a disabled user in again.")] = False,
    as_json: Json = False,
) -> None:
    """Shut a user out: sessions end, tokens are revoked, in Discord they are nobody."""
    from bot.cli import output_security as output

    found = ask(
        ctx,
        lambda s: s.commands.enable_user(name) if undo else s.commands.disable_user(name),
        as_json=as_json,
    )
    show(found, output.user_changed, as_json=as_json)


@users.command()
def reset(
    ctx: typer.Context,
    name: UserName,
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="Remove the second factor, not the password.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give a user a new password, or remove a lost second factor; their sessions end."""
    from bot.cli.marks import done

    if second_factor:
        ask(ctx, lambda s: s.commands.reset_second_factor(name), as_json=as_json)
        said = f"{name} has no second factor any more; their sessions ended."
    else:
        password = _unseen(ctx, "New password", as_json=as_json)
        ask(ctx, lambda s: s.commands.reset_password(name, password), as_json=as_json)
        said = f"{name} has the new password; their sessions ended, their tokens are revoked."
    show({"reset": name}, lambda _: done(said), as_json=as_json)


def _unseen(ctx: typer.Context, what: str, *, as_json: bool) -> str:
    async def work() -> str:
        return ask_unseen(what, twice=True)

    return execute(work(), as_json=as_json, debug=options(ctx).debug)
