"""Answers in two steps: words, and what takes their place later."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from cogs.message import Message
from cogs.replies import answer_then, update


@pytest.mark.parametrize("turned", [False, True])
async def test_what_comes_later_takes_the_place_of_the_words_unless_somebody_turned_the_page(
    turned: bool,
) -> None:
    edits: list[Any] = []
    told, drawn = asyncio.Event(), asyncio.Event()

    async def send(**_: Any) -> Any:
        told.set()
        return sent

    async def edit(**changes: Any) -> None:
        edits.append(changes["content"])

    async def draw() -> Message:
        await drawn.wait()
        return Message(text="with a picture")

    async def second() -> Message:
        return Message(text="page 2")

    sent = SimpleNamespace(id=7, edit=edit)
    ctx: Any = SimpleNamespace(send=send)
    response = SimpleNamespace(is_done=lambda: False, edit_message=edit)
    press: Any = SimpleNamespace(message=sent, response=response)
    answering = asyncio.create_task(answer_then(ctx, Message(text="words"), draw()))
    await told.wait()
    if turned:
        await update(press, second())
    drawn.set()
    await answering
    assert edits == ["page 2" if turned else "with a picture"]
