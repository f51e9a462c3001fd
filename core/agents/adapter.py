"""What the driver must know of an agent's way to talk, whichever it is: ACP, or a plain command."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from core.agents.ending import Ended
from core.agents.ladder import Ladder
from core.isolation.launch import ContainedProcess


class Signs(Protocol):
    """What an agent shows of itself, for whoever watches its silence."""

    prompting: bool  # it has its prompt and has not ended its turn
    last_heard: float  # monotonic seconds
    last_sign: str  # for people

    @property
    def asking(self) -> int: ...  # questions that people have not answered yet
    @property
    def open_tools(self) -> Collection[str]: ...
    def heard(self) -> None: ...
    def asked_seconds(self) -> float: ...
    async def flush(self) -> None: ...


class Adapter(Protocol):
    """One turn's conversation with one started program.

    `stage` is "start", "initialize", "session" or "prompt"; "prompt" means that the agent has its task.
    `flooded` says that reading was given up because of what it printed, `fault` is an error of ours.
    """

    stage: str
    stop_reason: str
    session_id: str | None
    ends_by_exit: bool  # the program's end is the turn's, not its death
    takes_end_of_input: bool  # closing its stdin tells it something

    @property
    def signs(self) -> Signs: ...
    @property
    def flooded(self) -> str: ...
    @property
    def fault(self) -> Exception | None: ...
    @property
    def malformed(self) -> int: ...

    def argv(self) -> tuple[str, ...]:
        """What to start; raises Ended when the task cannot be given to it."""
        ...

    def attach(self, process: ContainedProcess, climb: Ladder) -> None:
        """Take the program's pipes."""
        ...

    async def converse(self) -> None:
        """The turn, to its end. Raises Ended, ConnectionError, or what `meaning` knows."""
        ...

    def meaning(self, error: Exception, now: datetime, last_words: str) -> Ended | None:
        """What an error that `converse` raised says of the agent; None: it is an error of ours."""
        ...

    async def ask_to_end(self, work: asyncio.Future[None]) -> None:
        """The rungs of the stop ladder before its input is closed: nothing new begins from now on."""
        ...

    async def close(self) -> None:
        """The program has ended."""
        ...

    def verdict(self, *, did_something: bool, exit_code: int | None, last_words: str, now: datetime) -> Ended:
        """What the turn's own end means."""
        ...

    def told(self) -> Mapping[str, Any]:
        """`text`, `usage`, `tools`, `changed`: what it said of itself."""
        ...
