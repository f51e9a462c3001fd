"""`orchard audit`: the log of what was decided, refused and changed. Thin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.asking import Json, ask, show, show_long

if TYPE_CHECKING:
    from bot.cli.session import Session

audit = typer.Typer(no_args_is_help=True, help="Verify, show and export the audit log.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")


@audit.command()
def verify(ctx: typer.Context, as_json: Json = False) -> None:
    """Find any row that was altered, removed, moved or cut off. Ends with 1 when there is one."""
    from bot.cli import output_security as output

    found = ask(ctx, lambda s: s.commands.verify_audit(), as_json=as_json, looking=True)
    show(found, output.verdict, as_json=as_json)
    raise typer.Exit(0 if found.sound else 1)


@audit.command(name="show")
def show_log(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(help="The newest so many.", metavar="N", min=1, max=1000)] = 50,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, such as access_denied.")] = None,
    as_json: Json = False,
) -> None:
    """Show the newest rows, the latest last."""
    from bot.cli import output_security as output

    found = ask(ctx, lambda s: s.commands.audit_entries(limit, kind), as_json=as_json, looking=True)
    show_long(found, output.audit_rows, as_json=as_json)


@audit.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write; it must not be there yet.")],
    as_json: Json = False,
) -> None:
    """Write every row as a line of JSON, hashes and all, so that others can check the chain."""
    from bot.cli.marks import done

    async def work(session: Session) -> int:
        return await _export(session, file)

    count = ask(ctx, work, as_json=as_json)
    said = f"{count} rows are in {file}."
    show({"rows": count, "file": str(file)}, lambda _: done(said), as_json=as_json)


async def _export(session: Session, file: Path) -> int:
    """Whole or not at all: it is written beside its place and then renamed."""
    import os
    import tempfile

    from core.errors import InvalidInput, Unavailable

    if file.exists():
        raise InvalidInput(f"{file} is there already.", hint="Name another file.")
    count, after = 0, 0
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                while True:
                    page = await session.commands.audit_page(after)
                    out.writelines(f"{line}\n" for line in page.lines)
                    count += len(page.lines)
                    if page.last is None:
                        break
                    after = page.last
            Path(name).rename(file)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{file} cannot be written.", why=error.strerror or str(error), hint="Name another file."
        ) from error
    await session.commands.audit_exported(count)
    return count
