"""What people say to a turn while it runs. No text is lost: each is given to the agent, or given back."""

from __future__ import annotations

import asyncio


class Steering:
    """Reads the caller's queue. `given` are the texts that a prompt carried, in order."""

    def __init__(self, queue: asyncio.Queue[str] | None) -> None:
        self._queue: asyncio.Queue[str] = asyncio.Queue() if queue is None else queue
        self._waiting: list[str] = []
        self.given: list[str] = []
        self.times = 0  # prompts that carried some

    async def wait(self) -> None:
        """Until somebody has said something; that it is cancelled loses nothing."""
        while not self._waiting:
            self._keep(await self._queue.get())

    def take(self) -> list[str]:
        """All that waits, for one prompt; empty when there is nothing."""
        self._drain()
        texts, self._waiting = self._waiting, []
        self.given += texts
        self.times += bool(texts)
        return texts

    def take_back(self, texts: list[str]) -> None:
        """What was taken last, for a prompt that is not sent."""
        self._waiting[:0] = texts
        del self.given[len(self.given) - len(texts) :]
        self.times -= bool(texts)

    def unheard(self) -> tuple[str, ...]:
        """What no prompt has carried, when the turn is over."""
        self._drain()
        return tuple(self._waiting)

    def give_back(self) -> None:
        """Put what no prompt has carried into the queue again, in order."""
        for text in self.unheard():
            self._queue.put_nowait(text)
        self._waiting = []

    def _drain(self) -> None:
        while not self._queue.empty():
            self._keep(self._queue.get_nowait())

    def _keep(self, text: str) -> None:
        if text.strip():
            self._waiting.append(text)
