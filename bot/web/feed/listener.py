"""One listener: what waits to be sent to it, bounded, and what it was not sent because it is slow."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from bot.web.feed.sight import FrameType, Sight, View, Wish
from bot.web.sockets import Line
from core.security.access import Asker

_MOST_FRAMES = 256
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who it is: `name` is the same for all listeners of one session or token. `again` looks whether that
    still holds, and raises NotAllowed where it does not; None: nobody, on this machine."""

    name: str
    again: Callable[[], Awaitable[Asker]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """How a socket is closed."""

    code: int
    reason: str


class Listener:
    """`cursor`: up to which event it was offered all that its view holds; -1 before it joins. `resting`: who
    sends waits for something to send."""

    def __init__(self, *, sight: Sight, wish: Wish, identity: Identity, line: Line) -> None:
        self.sight = sight
        self.wish = wish
        self.view = View.of(sight, wish)
        self.identity = identity
        self.line = line
        self.cursor = -1
        self.live = False
        self.lagging = False
        self.wished: Wish | None = None  # another one, to be taken up by who sends
        self.parting: Parting | None = None
        self.parting_at = 0.0
        self.busy_since: float | None = None  # monotonic seconds: a send that is under way
        self.resting = False
        self.skipped: Counter[str] = Counter()
        self.wake = asyncio.Event()
        self._frames: deque[tuple[bytes, int]] = deque()
        self._bytes = 0

    def offer(self, frame: bytes, kind: FrameType, seq: int = 0) -> None:
        """Sent at once to whoever waits for it; else to be sent, or counted as skipped by one that has fallen
        behind, until it has caught up. `seq`: of an event."""
        if self.resting and not self.wake.is_set() and self.line.ready:
            self.line.put(frame)
            return
        if not self.lagging and self._fits(frame):
            self._frames.append((frame, seq))
            self._bytes += len(frame)
        else:
            self.lagging = True
            self.skipped[kind.value] += 1
        self.wake.set()

    def give(self, frames: Iterable[bytes]) -> None:
        """However many: a snapshot, whose frames all listeners share."""
        for frame in frames:
            self._frames.append((frame, 0))
            self._bytes += len(frame)
        self.wake.set()

    def _fits(self, frame: bytes) -> bool:
        return len(self._frames) < _MOST_FRAMES and self._bytes + len(frame) <= _MOST_BYTES

    def take(self) -> bytes | None:
        """The next frame to be sent."""
        if not self._frames:
            return None
        frame, _ = self._frames.popleft()
        self._bytes -= len(frame)
        return frame

    def forget(self) -> None:
        """What was not yet sent; its events are before the cursor no more."""
        self.cursor = min((seq - 1 for _, seq in self._frames if seq), default=self.cursor)
        self._frames.clear()
        self._bytes = 0
        self.wake.set()

    def part(self, code: int, reason: str, now: float) -> None:
        """The first reason counts."""
        if self.parting is None:
            self.parting, self.parting_at = Parting(code=code, reason=reason), now
        self.wake.set()
