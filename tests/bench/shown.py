"""An Orchard of its own process with projects and its dashboard, for browsers to look at.

It is told by lines: `busy` (questions come and are answered, in turn in each project, five a second), `idle`,
`measure` (how late the event loop is from now on) and `lag`, which it answers with what it measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from bot.app import open_app
from bot.configuration import loader
from core.domain.approval import ApprovalKind
from core.domain.story import Story
from core.garbage import leave_out_what_is_loaded
from core.runtime import Runtime
from core.security.passwords import Passwords
from core.security.users import Users
from core.store import approvals
from core.store.transaction import Transaction
from tests.bench.figure import quantile

NAME, PASSWORD = "bench", "an orchard in late autumn"
_TICK_SECONDS = 0.01
_CHANGE_SECONDS = 0.2


async def serve(root: Path) -> None:
    async with open_app(loader(root, environ={}), discord=False) as app:
        assert app.web is not None
        await app.web.ready.wait()
        users = Users(app.runtime.store, Passwords())
        await users.create_first_owner(username=NAME, email="bench@example.org", password=PASSWORD)
        leave_out_what_is_loaded()  # as `orchard run` does
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        print(json.dumps({"address": app.web.status}), flush=True)
        late: list[float] = []
        began = 0.0
        changes: asyncio.Task[None] | None = None
        watch = asyncio.create_task(_watch(late))
        while told := (await lines.readline()).decode().strip():
            answer: dict[str, object] = {"told": told}
            if told == "measure":
                late.clear()
                began = time.process_time()
            elif told == "lag":
                answer |= {"p99": quantile(late, 0.99), "worst": max(late), "ticks": len(late)}
                answer["processor"] = time.process_time() - began
            elif changes is not None:
                changes.cancel()
                await asyncio.gather(changes, return_exceptions=True)
                changes = None
            if told == "busy":
                changes = asyncio.create_task(_change(app.runtime))
            print(json.dumps(answer), flush=True)
        for task in (watch, changes):
            if task is not None:
                task.cancel()


async def _watch(late: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _TICK_SECONDS
        await asyncio.sleep(_TICK_SECONDS)
        late.append(max(loop.time() - due, 0.0))


async def _change(runtime: Runtime) -> None:
    commands = runtime.commands
    names = [view.project.name for view in await commands.projects()]
    stories = [await commands.add_story(name, "Pay by card", actor="cli") for name in names]
    number = 0
    while True:
        story = stories[number % len(stories)]
        number += 1

        def ask(tx: Transaction, story: Story = story, number: int = number) -> str:
            return approvals.ask(
                tx,
                project=story.project,
                story_id=story.id,
                kind=ApprovalKind.PERMISSION,
                subject=f"permission:{number}",
                question=f"May it do the {number}th thing?",
                detail="rm -r build",
                reasons=("it deletes",),
            ).id

        asked = await runtime.store.write(ask)
        await asyncio.sleep(_CHANGE_SECONDS)
        await commands.answer_approval(asked, False, reason="Not now.", actor="cli")
        await asyncio.sleep(_CHANGE_SECONDS)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
