"""`orchard alerts`: thin, as all of the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.asking import ACTOR, Json, ask, show

if TYPE_CHECKING:
    from bot.cli.session import Session
    from core.domain.alert import Alert
    from core.store.alert_tellings import Trouble


def add_to(app: typer.Typer) -> None:
    app.command()(alerts)


def alerts(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Argument(help="One project; none: everything.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    acknowledge: Annotated[
        str | None, typer.Option("--acknowledge", metavar="ID", help="You look at it.")
    ] = None,
    silence: Annotated[
        str | None, typer.Option("--silence", metavar="ID", help="Hear nothing of it for a while.")
    ] = None,
    lasting: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long: 30m, 1h, 2d or tomorrow.")
    ] = "1h",
    unsilence: Annotated[
        str | None, typer.Option("--unsilence", metavar="ID", help="Hear of it again.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="Show what is watched.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is wrong now; acknowledge or silence an alert."""
    from bot.cli import output_alerts

    if sum((acknowledge is not None, silence is not None, unsilence is not None, rules)) > 1:
        raise typer.BadParameter("one of --acknowledge, --silence, --unsilence and --rules at a time")
    if rules:
        found = ask(ctx, lambda s: s.commands.alert_rules(), as_json=as_json, looking=True)
        show(found, output_alerts.rules, as_json=as_json)
        return
    if acknowledge is None and silence is None and unsilence is None:

        async def look(session: Session) -> tuple[tuple[Alert, ...], tuple[Trouble, ...]]:
            most = output_alerts.MOST
            listed = await session.commands.alerts(project=project, open_only=not every, limit=most)
            return listed, await session.commands.alert_troubles()

        listed, troubles = ask(ctx, look, as_json=as_json, looking=True)
        show(listed, partial(output_alerts.alerts, troubles=troubles), as_json=as_json)
        return

    async def work(session: Session) -> Alert:
        from bot.cli.alert_words import parse_silence

        if acknowledge is not None:
            return await session.commands.acknowledge_alert(acknowledge, actor=ACTOR)
        if silence is not None:
            until = parse_silence(lasting, datetime.now(UTC))
            return await session.commands.silence_alert(silence, until, actor=ACTOR)
        assert unsilence is not None
        return await session.commands.unsilence_alert(unsilence, actor=ACTOR)

    show(ask(ctx, work, as_json=as_json), output_alerts.answered, as_json=as_json)
