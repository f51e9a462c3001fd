"""People's words on their way into a running turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Steering:
    """Of one turn. What `queue` holds is given to the agent by whoever runs the turn.

    Each text gets its answer once: it went into a prompt, or the turn ended before it could.
    """

    def __init__(self) -> None:
        self.queue: asyncio.Queue[str] = asyncio.Queue()
        self._open: list[tuple[str, asyncio.Future[bool]]] = []

    async def say(self, text: str) -> bool:
        """Whether the text reached the agent; waits until that is known."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._open.append((text, answer))
        self.queue.put_nowait(text)
        return await answer

    def reached(self, text: str) -> None:
        """A text went into a prompt."""
        for said, answer in self._open:
            if said == text:
                self._open.remove((said, answer))
                if not answer.done():
                    answer.set_result(True)
                return

    def end(self, reached: Iterable[str] = ()) -> None:
        """The turn is over; what is still open, but for `reached`, did not get there."""
        for text in reached:
            self.reached(text)
        for _, answer in self._open:
            if not answer.done():
                answer.set_result(False)
        self._open.clear()
