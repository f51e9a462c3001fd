"""An answer with a picture: at once where it was drawn before, else the words first."""

from __future__ import annotations

from collections.abc import Callable

from cogs.chart import Chart
from cogs.desk import Context, Desk
from cogs.message import Message
from cogs.replies import answer, answer_then

Shown = Callable[[bytes | None, bool], Message]
"""The message with the picture or without one; whether it is being drawn."""


async def answer_drawn(desk: Desk, ctx: Context, chart: Chart, shown: Shown) -> None:
    """The picture takes the place of the words without it, or they say that it could not be drawn."""
    if (picture := desk.draw.kept(chart)) is not None:
        await answer(ctx, _ready(shown(picture, False)))
        return

    async def draw() -> Message:
        return shown(await desk.draw(chart), False)

    await answer_then(ctx, shown(None, True), draw())


async def _ready(message: Message) -> Message:
    return message
