"""A connection whose requests have to come in time: uvicorn's own, with a bound for a request's head.

uvicorn waits for ever for a head of which something has come (the Slowloris attack). Bodies have a bound of
their own (`body`), and connections on which nothing comes, uvicorn's. Of those that wait for a head only so
many are kept: who means it sends one at once, and is not kept out by thousands that do not.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_WAITING = 500


def timed(seconds: float) -> type[H11Protocol]:
    """The protocol's class; a head that is not whole within `seconds` ends its connection."""
    waiting: dict[Timed, None] = {}  # the longest first

    class Timed(H11Protocol):
        _head: asyncio.TimerHandle | None = None
        _upgraded = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._upgraded:
                return
            if self.cycle is not None and not self.cycle.response_complete:
                self._head_came()
            else:
                self._expect_head()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._upgraded = True
            self._head_came()
            super().handle_websocket_upgrade(event)

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_came()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            if self._head is None:
                self._head = self.loop.call_later(seconds, self.give_up)
                waiting[self] = None
                if len(waiting) > MOST_WAITING:
                    next(iter(waiting)).give_up()

        def _head_came(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None
                waiting.pop(self, None)

        def give_up(self) -> None:
            self._head_came()
            self.transport.abort()

    return Timed
