"""The word that plays a week of load: `simulate flood fair_share,dynamic projects 100 charts pictures`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.command import Asked, Command, Misused, Told
from bot.cli.fields import parse_number
from config.fields import STRATEGIES

if TYPE_CHECKING:
    from bot.cli.simulation import Wish

_SCENARIOS = ("mixed", "office", "flood", "night", "hog")
_NUMBERS = {"projects": 10_000, "days": 366, "seed": 2**31, "agents": 10_000}
_RECORDED, _CHARTS = "recorded", "charts"


async def _simulate(asked: Asked) -> Told:
    from bot.cli import output_simulation, simulation, simulation_charts

    wish, folder = parse(asked.words)
    await asked.commands.resources()  # who may not see shares sees no simulation of them
    found = await simulation.simulate(asked.session.configuration.root, wish)
    if folder is not None:
        found = replace(found, charts=await simulation_charts.draw(found, folder))
    return Told(value=output_simulation.data(found), shown=output_simulation.comparison(found))


def parse(words: Sequence[str]) -> tuple[Wish, Path | None]:
    """What is wished, and where pictures go. Raises Misused."""
    from bot.cli.simulation import Wish

    wish, folder, strategies = Wish(), None, []
    left = list(words)
    while left:
        word = left.pop(0)
        name = word.lower().removeprefix("--")
        if name in _NUMBERS:
            if not left:
                raise Misused(f"{name}: how many was not said.", hint=f"For instance: {name} 7")
            number = parse_number(left.pop(0), f"number of {name}", least=1, most=_NUMBERS[name])
            wish = _with(wish, name, number)
        elif name == _CHARTS:
            if not left:
                raise Misused("charts: the folder was not said.", hint="For instance: charts pictures")
            folder = Path(" ".join(left)).expanduser()
            left = []
        elif name == _RECORDED:
            wish = replace(wish, recorded=True)
        elif name in _SCENARIOS:
            wish = replace(wish, scenario=name)
        elif name in ("strategy", "scenario"):
            continue
        else:
            strategies.append(word)
    return replace(wish, strategies=tuple(strategies)) if strategies else wish, folder


def _with(wish: Wish, name: str, number: int) -> Wish:
    match name:
        case "projects":
            return replace(wish, projects=number)
        case "days":
            return replace(wish, days=float(number))
        case "seed":
            return replace(wish, seed=number)
        case _:
            return replace(wish, agents=number)


SIMULATE = Command(
    form="simulate [scenario] [strategies...]",
    purpose="Play a week of load: simulate flood projects 100 charts pictures",
    answer=_simulate,
    completes=(f"{'|'.join(_SCENARIOS)}|recorded|all|{'|'.join(STRATEGIES)}|{'|'.join(_NUMBERS)}|charts",),
    looks=True,
)
