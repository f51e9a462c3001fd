"""Takes in what stands in the journal: recorded once, whichever process was killed when."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from core.errors import OrchardError
from core.gateway.calls import MeteredCall
from core.gateway.journal import JournalReader
from core.store.ledger import Call, CallStatus, Source

log = logging.getLogger(__name__)

TakeCalls = Callable[[tuple[Call, ...]], Awaitable[object]]

_RECORD_AGAIN = (0.1, 1.0)  # seconds
_NOT_RECORDED = (OSError, OrchardError, sqlite3.Error, ValueError)


class Intake:
    """`take` records calls, each of which may come twice; `counted` is told of each that is recorded."""

    def __init__(self, folder: Path, take: TakeCalls, counted: Callable[[MeteredCall], None]) -> None:
        self.take = take
        self._counted = counted
        self._journal = JournalReader(folder)
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def settle(self) -> None:
        """Waits for what is being taken in."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def take_in(self) -> None:
        """All that stands in the journal now is recorded when this returns, or will be."""
        await self._whole(self._in_now())

    async def _whole(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs to its end, also when nobody waits for it any more: a thread reads on regardless."""
        task = asyncio.create_task(work, name="take in what calls took")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    async def _in_now(self) -> None:
        async with self._reading:
            try:
                calls = await asyncio.to_thread(self._journal.ended)
                await self._record(calls)
                self._journal.taken(calls)
            except _NOT_RECORDED as error:
                log.error("what agents used is recorded later: %s", error)

    async def take_leftovers(self) -> None:
        """As `_take_in`, once the process has ended: calls that it could not end are cut where they were.
        What cannot be recorded now stays in the journal."""
        await self._whole(self._leftovers_now())

    async def _leftovers_now(self) -> None:
        for wait in (*_RECORD_AGAIN, None):
            async with self._reading:
                try:
                    calls = await asyncio.to_thread(self._journal.left)
                    await self._record(calls)
                    self._journal.taken(calls, over=True)
                    return
                except _NOT_RECORDED as error:
                    log.error("what agents used is recorded later: %s", error)
            if wait is not None:
                await asyncio.sleep(wait)

    async def _record(self, calls: tuple[MeteredCall, ...]) -> None:
        if calls:
            await self.take(tuple(_ledger_call(each) for each in calls))
            for each in calls:
                self._counted(each)


def _ledger_call(call: MeteredCall) -> Call:
    return Call(
        call_id=call.call_id,
        project=call.project,
        story_id=call.story_id,
        phase=call.phase,
        agent=call.agent,
        run_id=call.run_id,
        provider=call.provider,
        model=call.model,
        wire=call.wire,
        at=call.at,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cache_read_tokens=call.cache_read_tokens,
        cache_write_tokens=call.cache_write_tokens,
        reasoning_tokens=min(call.reasoning_tokens, call.output_tokens),
        microdollars=call.microdollars,
        first_byte_ms=call.first_byte_ms,
        total_ms=call.total_ms,
        source=Source.GATEWAY,
        status=CallStatus(call.ending.value),
    )
