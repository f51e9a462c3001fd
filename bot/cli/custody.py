"""`orchard key`, `orchard backup` and `orchard restore`: the store's key, and copies of it. Thin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot.cli.asking import Json, ask, options, show
from bot.cli.terminal import execute

key = typer.Typer(no_args_is_help=True, help="Change the key of the store.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(key, name="key")
    app.command()(backup)
    app.command()(restore)


@key.command()
def change(ctx: typer.Context, as_json: Json = False) -> None:
    """Give the store, its secrets and its audit log a new key; encrypt or decrypt it as the settings say.

    Orchard has to be stopped. A key in a file is replaced, and the old one kept beside it; if it comes from
    the environment or a command, the new one is read from ORCHARD_NEW_KEY.
    """
    from bot.cli import output_security as output

    chosen = options(ctx)

    async def work() -> object:
        import asyncio

        from bot.configuration import loader
        from core.security.custody import change_store_key

        return await asyncio.to_thread(change_store_key, loader(chosen.root)())

    proven = execute(work(), as_json=as_json, debug=chosen.debug)
    show(proven, output.key_changed, as_json=as_json)


def backup(ctx: typer.Context, as_json: Json = False) -> None:
    """Make a proven backup of the store, also while Orchard runs."""
    from bot.cli import output_security as output

    made = ask(ctx, lambda s: s.commands.back_up(), as_json=as_json)
    show(made, output.backup, as_json=as_json)


def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup: its path, or its name in the folder of backups.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Prove that it can be restored, and change nothing.")
    ] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Take a plain copy that Orchard has not signed, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put a backup in the store's place. Orchard has to be stopped; the store as it was is kept."""
    from bot.cli import output_security as output

    chosen = options(ctx)

    async def work() -> object:
        import asyncio

        from bot.configuration import loader
        from core.security.custody import restore_backup

        return await asyncio.to_thread(
            restore_backup, loader(chosen.root)(), file, dry_run=dry_run, unsigned=unsigned
        )

    restored = execute(work(), as_json=as_json, debug=chosen.debug)
    show(restored, lambda found: output.restored(found, dry_run=dry_run), as_json=as_json)
