"""Writes a comparison's pictures: a one-shot process draws them, so that who asks never loads the library.

`python -m bot.cli.simulation_charts FOLDER` reads the comparison as JSON and says which files it wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from bot.cli.simulation import Comparison

_DRAW_SECONDS = 120.0
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME")
_ROOT = Path(__file__).parents[2]


async def draw(value: Comparison, folder: Path) -> tuple[str, ...]:
    """The files, in a folder that is made where there is none. Raises InvalidInput for one that cannot be
    written, Unavailable when drawing fails."""
    prepare(folder)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli.simulation_charts", str(folder.absolute()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=_ROOT,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_DRAW_SECONDS):
            written, said = await process.communicate(json.dumps(_plain(value)).encode())
    except TimeoutError:
        raise Unavailable("Drawing the pictures took too long and was stopped.") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        tail = said.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise Unavailable("The pictures could not be drawn.", why=" ".join(tail))
    names: list[str] = json.loads(written)
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
