"""Writes a comparison's pictures: a one-shot process draws them, so that who asks never loads the library.

`python -m bot.cli.simulation_charts FOLDER` reads the comparison as JSON and says which files it wrote.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import drawing
from core.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from bot.cli.simulation import Comparison

_DRAW_SECONDS = 120.0


async def draw(value: Comparison, folder: Path) -> tuple[str, ...]:
    """The files, in a folder that is made where there is none. Raises InvalidInput for one that cannot be
    written, Unavailable when drawing fails."""
    prepare(folder)
    command = (sys.executable, "-m", "bot.cli.simulation_charts", str(folder.absolute()))
    try:
        drawn = await drawing.draw(command, json.dumps(_plain(value)).encode(), seconds=_DRAW_SECONDS)
    except TimeoutError:
        raise Unavailable("Drawing the pictures took too long and was stopped.") from None
    if drawn.code != 0:
        raise Unavailable("The pictures could not be drawn.", why=" ".join(drawn.said.splitlines()[-1:]))
    names: list[str] = json.loads(drawn.written)
    return tuple(str(folder / name) for name in names)


def prepare(folder: Path) -> None:
    """To be asked before a long run, so that it is not for nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{folder} cannot be the folder of the pictures.", why=f"{error.strerror or error}."
        ) from error
    if not os.access(folder, os.W_OK):
        raise InvalidInput(f"{folder} may not be written.", hint="Name another folder for the pictures.")


def _plain(value: Comparison) -> dict[str, Any]:
    """What the pictures show, and no more."""
    most = value.outcomes[0].capacity
    return {
        "title": value.week if value.seed is None else f"{value.week}, {value.projects} projects",
        "patience_seconds": value.patience_seconds,
        "starts_at": value.starts_at.timestamp(),
        "strategies": [
            {
                "name": outcome.strategy,
                "jain": outcome.jain,
                "quantiles": list(outcome.wait_quantiles),
                "longest": outcome.waits.longest,
                "agents": [hour.used.agents / max(most.agents, 1.0) for hour in outcome.hours],
                "waiting": [hour.waiting for hour in outcome.hours],
                "projects": [
                    {"name": each.name, "held": each.held, "due": each.due} for each in outcome.projects
                ],
            }
            for outcome in value.outcomes
        ],
    }


def main(folder: Path) -> None:
    from bot.cli import simulation_pictures

    found = json.load(sys.stdin)
    written = []
    for name, picture in simulation_pictures.pictures(found):
        (folder / name).write_bytes(picture)
        written.append(name)
    print(json.dumps(written))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
