"""Child of the kill tests: Orchard without faces, until SIGTERM. Can be held between two steps of a story.

    control_plane.py ROOT [TIMES]     TIMES: SupervisionTimes as JSON

Where a file `ROOT/hold/<project>/<point>` is, it makes `ROOT/held/<project>` at that point and waits until
the first file is gone. Points: before and after prepare_merge, fast_forward and run_phase, such as
before-fast_forward.

Where a file `ROOT/park/<project>/<story>` is, the story is asked to make place, and the file is removed.

Where a file `ROOT/remotes.json` is, those projects are linked with the repositories that it says, and their
pull requests are looked after here: pushed, opened, and fit to land.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from config.loader import load
from core.domain.github import Pull, PullState
from core.errors import OrchardError
from core.orchestrator.publishing import Publishing
from core.orchestrator.supervisor import SupervisionTimes, Supervisor
from core.rpc import PeerGone
from core.runtime import Runtime, open_runtime
from core.store import pulls
from core.worker.remote_contract import PushEnd, Remote
from tests.integration.nursery import forked_templates


async def hold(root: Path, project: str, point: str) -> None:
    wish = root / "hold" / project / point
    if wish.exists():
        (root / "held").mkdir(exist_ok=True)
        (root / "held" / project).touch()
        while wish.exists():  # noqa: ASYNC110 - it is set from outside
            await asyncio.sleep(0.02)


def add_points(root: Path) -> None:
    ask = Supervisor.request

    async def request(
        self: Supervisor, kind: Any, owner: str, method: str, params: object, **more: Any
    ) -> Any:
        project = owner.partition("#")[0]
        await hold(root, project, f"before-{method}")
        answer = await ask(self, kind, owner, method, params, **more)
        await hold(root, project, f"after-{method}")
        return answer

    Supervisor.request = request  # type: ignore[method-assign, assignment]


async def park(root: Path, runtime: Runtime) -> None:
    parking = runtime.commands._engine._dispatcher.parking  # type: ignore[union-attr]
    while True:
        for wish in (root / "park").glob("*/*"):
            await parking.park(wish.parent.name, wish.name, taker="bank", reason="asked", within_seconds=0.0)
            wish.unlink()
        await asyncio.sleep(0.02)


class Remotes:
    def __init__(self, path: Path) -> None:
        self._remotes = {name: Remote(**each) for name, each in json.loads(path.read_text()).items()}

    async def remote(self, project: str) -> Remote | None:
        return self._remotes.get(project)


async def open_pulls(publishing: Publishing, project: str) -> None:
    store = publishing._store
    while True:
        for pull in await store.read(lambda conn: pulls.at_work(conn, project)):
            with suppress(OrchardError, PeerGone):
                await look_after(publishing, pull)
        await asyncio.sleep(0.05)


async def look_after(publishing: Publishing, pull: Pull) -> None:
    story, head, store = pull.story_id, pull.candidate, publishing._store
    if pull.state is PullState.WANTED and (await publishing.push_story(pull)).end is PushEnd.PUSHED:
        url = "https://github.test/pull/1"
        await store.write(lambda tx: pulls.opened(tx, story, head=head, number=1, url=url))
    elif pull.state is PullState.OPEN:
        await store.write(lambda tx: pulls.landable(tx, story, head=head))


async def main(root: Path, times: SupervisionTimes) -> None:
    add_points(root)
    if (remotes := root / "remotes.json").is_file():
        access = Remotes(remotes)  # from the first moment, whoever else would say what is linked
        Publishing.access = property(lambda _: access, lambda _, value: None)  # type: ignore[assignment]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_runtime(lambda: load(root, environ={}), times=times) as runtime:
        tasks = [asyncio.create_task(park(root, runtime))]
        if remotes.is_file():
            publishing = runtime.commands._engine._dispatcher.publishing  # type: ignore[union-attr]
            for project in json.loads(remotes.read_text()):
                tasks.append(asyncio.create_task(open_pulls(publishing, project)))
        print("ready", flush=True)
        await stop.wait()
        for task in tasks:
            task.cancel()
    print("stopped", flush=True)


if __name__ == "__main__":
    with forked_templates():
        asyncio.run(main(Path(sys.argv[1]), SupervisionTimes(**json.loads(sys.argv[2]))))
