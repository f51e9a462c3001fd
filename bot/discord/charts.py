"""Pictures for Discord, drawn by a one-shot process: `python -m bot.discord.charts`, JSON in, PNG out.

The drawing library costs a second and sixty megabytes, which the control plane neither waits for nor keeps.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import OrderedDict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.drawing import draw

if TYPE_CHECKING:
    from cogs.chart import Chart

_log = logging.getLogger(__name__)

KEPT = 48  # pictures of some sixty kilobytes
DRAW_SECONDS = 20.0
_LARGEST_BYTES = 4_000_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Charts:
    """Draws each picture once, one at a time; two who ask for the same one wait for the same drawing."""

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", "bot.discord.charts")) -> None:
        self._command = command
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._turn = asyncio.Lock()

    def kept(self, chart: Chart) -> bytes | None:
        return self._find(_request(chart))

    async def __call__(self, chart: Chart) -> bytes | None:
        request = _request(chart)
        async with self._turn:
            if (found := self._find(request)) is not None:
                return found
            try:
                picture = await self._draw(request)
            except (OSError, TimeoutError, ValueError) as error:
                _log.warning("no picture of %s: %s: %s", type(chart).__name__, type(error).__name__, error)
                return None
            self._kept[request] = picture
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return picture

    def _find(self, request: bytes) -> bytes | None:
        found = self._kept.get(request)
        if found is not None:
            self._kept.move_to_end(request)
        return found

    async def _draw(self, request: bytes) -> bytes:
        drawn = await draw(self._command, request, seconds=DRAW_SECONDS)
        picture = drawn.written
        if drawn.code != 0 or not picture.startswith(_SIGNATURE) or len(picture) > _LARGEST_BYTES:
            raise ValueError(f"the drawing process ended with {drawn.code}: {drawn.said[-300:]}")
        return picture


def _request(chart: Chart) -> bytes:
    wanted: dict[str, Any] = {"kind": type(chart).__name__, **asdict(chart)}
    return json.dumps(wanted, sort_keys=True).encode()


def main() -> None:
    from bot.discord import graph_picture, pictures, share_picture, trend_pictures

    chart = json.load(sys.stdin)
    picture = {
        "BurndownChart": pictures.burndown,
        "StateChart": pictures.workflow,
        "SharesChart": share_picture.shares,
        "CycleTimeChart": trend_pictures.cycle_times,
        "UseChart": trend_pictures.use,
        "CostChart": trend_pictures.cost,
        "GraphChart": graph_picture.graph,
    }[chart["kind"]]
    sys.stdout.buffer.write(picture(chart))


if __name__ == "__main__":
    main()
