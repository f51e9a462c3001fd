"""Words for what is wrong now, and for who looks at it."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.cli import output_alerts as output
from bot.cli.alert_words import parse_silence
from bot.cli.command import Asked, Command, Told, Topic


async def _alerts(asked: Asked) -> Told:
    words = set(asked.words) - {"all"}
    project = next(iter(words), None)
    found = await asked.commands.alerts(
        project=project, open_only="all" not in asked.words, limit=output.MOST
    )
    troubles = await asked.commands.alert_troubles()
    return Told(value=found, shown=output.alerts(found, troubles=troubles, in_shell=asked.in_shell))


async def _acknowledge(asked: Asked) -> Told:
    alert = await asked.commands.acknowledge_alert(asked.words[0], actor=asked.actor)
    return Told(value=alert, shown=output.answered(alert))


async def _silence(asked: Asked) -> Told:
    until = parse_silence(asked.words[1] if len(asked.words) > 1 else "1h", datetime.now(UTC))
    alert = await asked.commands.silence_alert(asked.words[0], until, actor=asked.actor)
    return Told(value=alert, shown=output.answered(alert))


async def _unsilence(asked: Asked) -> Told:
    alert = await asked.commands.unsilence_alert(asked.words[0], actor=asked.actor)
    return Told(value=alert, shown=output.answered(alert))


async def _rules(asked: Asked) -> Told:
    found = await asked.commands.alert_rules()
    return Told(value=found, shown=output.rules(found))


ALERTS = Topic(
    title="What is wrong",
    commands=(
        Command(
            form="alerts [project] [all]",
            purpose="Alerts that are open; all: also those that are over",
            answer=_alerts,
            completes=("project", "all"),
            looks=True,
        ),
        Command(
            form="acknowledge <alert>",
            purpose="You look at it: it is told again only when it is over or graver",
            answer=_acknowledge,
        ),
        Command(
            form="silence <alert> [time]",
            purpose="Hear nothing of it for 1h, 2d or until tomorrow",
            answer=_silence,
            completes=("", "1h|4h|1d|tomorrow"),
        ),
        Command(form="unsilence <alert>", purpose="Hear of it again", answer=_unsilence),
        Command(
            form="rules", purpose="What is watched, and from when on it is told", answer=_rules, looks=True
        ),
    ),
)
