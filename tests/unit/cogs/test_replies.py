"""Answers in two steps: words, and what takes their place later."""

from __future__ import annotations

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from cogs.message import Message
from cogs.replies import answer_then, update
from tests.waiting import until

_ids = count(1)


class Posted:
    """An answer, and a press of one of its buttons. Discord takes edits once `open` is set."""

    def __init__(self) -> None:
        self.id = next(_ids)
        self.shown: list[Any] = []
        self.begun: list[Any] = []
        self.open = asyncio.Event()
        self.deferred = False
        response = SimpleNamespace(
            is_done=lambda: self.deferred, defer=self.defer, edit_message=self.edit_by_press
        )
        self.press: Any = SimpleNamespace(
            message=self, response=response, edit_original_response=self.edit_by_press
        )

    async def edit(self, **changes: Any) -> None:
        self.begun.append(changes["content"])
        await self.open.wait()
        self.shown.append(changes["content"])

    async def edit_by_press(self, **changes: Any) -> None:
        self.shown.append(changes["content"])

    async def defer(self) -> None:
        self.deferred = True


async def second() -> Message:
    return Message(text="page 2")


@pytest.mark.parametrize("turned", [None, "as it is sent", "before it is drawn"])
async def test_what_comes_later_takes_the_place_of_the_words_unless_somebody_turned_the_page(
    turned: str | None,
) -> None:
    posted = Posted()
    posted.open.set()
    sent, drawn = asyncio.Event(), asyncio.Event()

    async def send(**_: Any) -> Any:
        if turned == "as it is sent":  # who sees it may be quicker than Discord's answer to us
            await update(posted.press, second())
        sent.set()
        return posted

    async def draw() -> Message:
        await drawn.wait()
        return Message(text="with a picture")

    ctx: Any = SimpleNamespace(send=send)
    answering = asyncio.create_task(answer_then(ctx, Message(text="words"), draw()))
    await sent.wait()
    if turned == "before it is drawn":
        await update(posted.press, second())
    drawn.set()
    await answering
    assert posted.shown == ["page 2" if turned else "with a picture"]


async def test_a_page_that_is_turned_while_the_words_are_replaced_comes_after_that() -> None:
    posted = Posted()

    async def send(**_: Any) -> Any:
        return posted

    async def draw() -> Message:
        return Message(text="with a picture")

    ctx: Any = SimpleNamespace(send=send)
    answering = asyncio.create_task(answer_then(ctx, Message(text="words"), draw()))
    await until(lambda: posted.begun, "the words to be replaced")
    turning = asyncio.create_task(update(posted.press, second()))
    await until(lambda: posted.deferred, "the press to be answered")
    assert posted.shown == []
    posted.open.set()
    await asyncio.gather(answering, turning)
    assert posted.shown == ["with a picture", "page 2"]
