"""Words for what agents used and may use."""

from __future__ import annotations

from bot.cli import output_budgets as output
from bot.cli.command import Asked, Command, Told, Topic
from core.domain.budget_words import SCOPES, UNITS, parse_amount, parse_scope


async def _budget(asked: Asked) -> Told:
    name = asked.words[0] if asked.words else None
    names = {view.project.name for view in await asked.commands.projects()} if name else set()
    of_story = name is not None and name.strip().lower() not in names and "-" in name
    view = await asked.commands.budgets(None if of_story else name, story=name if of_story else None)
    return Told(value=view, shown=output.budgets(view, in_shell=asked.in_shell))


async def _raise(asked: Asked) -> Told:
    scope = parse_scope(asked.words[0])
    unit, amount = parse_amount(asked.words[2], asked.words[3])
    made = await asked.commands.raise_budget(
        asked.words[1], scope=scope, unit=unit, amount=amount, actor=asked.actor
    )
    return Told(value=made, shown=output.raised(made))


BUDGETS = Topic(
    title="What agents may use",
    commands=(
        Command(
            form="budget [name]",
            purpose="What agents used, of what they may use",
            answer=_budget,
            completes=("project,story",),
            looks=True,
        ),
        Command(
            form="raise <story|project|day> <name> <amount> <unit>",
            purpose="Allow more: raise day shop 5 dollars",
            answer=_raise,
            completes=("|".join(SCOPES), "project,story", "", "|".join(UNITS)),
        ),
    ),
)
