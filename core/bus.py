"""Events to whoever listens in this process, after they are durable. Losing one here loses nothing:
the event table and the outbox are the record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager

from core.domain.event import Event


class Bus:
    """Fan-out without waiting: a listener that falls 10,000 events behind loses the oldest."""

    def __init__(self, *, backlog: int = 10_000) -> None:
        self._backlog = backlog
        self._queues: set[asyncio.Queue[Event]] = set()

    def publish(self, events: Iterable[Event]) -> None:
        for event in events:
            for queue in self._queues:
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(event)

    @contextmanager
    def subscribe(self) -> Iterator[AsyncIterator[Event]]:
        """Events from now on, in order."""
        queue: asyncio.Queue[Event] = asyncio.Queue(self._backlog)
        self._queues.add(queue)
        try:
            yield self._drain(queue)
        finally:
            self._queues.discard(queue)

    @staticmethod
    async def _drain(queue: asyncio.Queue[Event]) -> AsyncIterator[Event]:
        while True:
            yield await queue.get()
