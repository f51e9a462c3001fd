"""Words for what projects share: who has what, shared anew, why a story waits."""

from __future__ import annotations

from bot.cli import output_resources as output
from bot.cli.command import Asked, Command, Misused, Told, Topic
from bot.cli.topics.simulation import SIMULATE
from config.fields import STRATEGIES

_DRY = frozenset({"look", "dry", "--dry-run"})
_OPTIMIZE = "optimize [look] [strategy]"


async def _resources(asked: Asked) -> Told:
    view = await asked.commands.resources()
    return Told(value=view, shown=output.resources(view, in_shell=asked.in_shell))


async def _optimize(asked: Asked) -> Told:
    rest = [word for word in asked.words if word.lower() not in _DRY]
    if len(rest) > 1:
        raise Misused(f"'{rest[1]}' is too much.", hint=f"Use: {_OPTIMIZE}")
    made = await asked.commands.optimize(
        strategy=rest[0] if rest else None, dry_run=len(rest) < len(asked.words), actor=asked.actor
    )
    return Told(value=made, shown=output.optimization(made))


async def _why(asked: Asked) -> Told:
    view = await asked.commands.why(asked.words[0])
    return Told(value=view, shown=output.why(view, in_shell=asked.in_shell))


async def _reload(asked: Asked) -> Told:
    view = await asked.commands.reload_settings(actor=asked.actor)
    return Told(value=view, shown=output.reloaded(view))


_STRATEGY_WORDS = "|".join(STRATEGIES)

RESOURCES = Topic(
    title="What projects share",
    commands=(
        Command(
            form="resources", purpose="Who has which share, and what holds it", answer=_resources, looks=True
        ),
        Command(
            form=_OPTIMIZE,
            purpose="Run resource optimization",
            answer=_optimize,
            completes=(f"look|{_STRATEGY_WORDS}", _STRATEGY_WORDS),
            looks=True,
        ),
        Command(
            form="why <story>",
            purpose="Why a story does what it does",
            answer=_why,
            completes=("story",),
            looks=True,
        ),
        SIMULATE,
        Command(form="reload", purpose="Read the settings anew", answer=_reload, looks=True),
    ),
)
