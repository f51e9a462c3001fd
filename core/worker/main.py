"""A project's worker process: JSON-RPC lines on its standard input and output, its log on standard error.

It holds no state of record. When its input ends, the control plane has died: it ends everything that it
started and exits at once, and the next worker goes on from the store's word. On TERM it stops its agents by
their ladder first.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any, NoReturn

from core.errors import Unavailable
from core.isolation.machine import probe_machine
from core.rpc import INVALID_PARAMS, LINE_LIMIT, Handler, Peer, PeerGone, RpcError, decode, prepare
from core.worker.contract import (
    BatchJob,
    BatchReport,
    ChildProcess,
    FastForwardJob,
    FastForwardReport,
    Heartbeat,
    OpenWorktree,
    Park,
    Parked,
    PermissionAnswer,
    PermissionQuestion,
    PhaseJob,
    PhaseReport,
    Progress,
    ProjectSetup,
    RemoveWorktree,
    Salvage,
    Stalled,
    Steer,
    Steered,
    SuiteJob,
    SuiteReport,
    Touched,
)
from core.worker.environments import find_python
from core.worker.forward import fast_forward
from core.worker.merging import merge_batch
from core.worker.opening import open_worktree
from core.worker.parking import ParkWish
from core.worker.phases import run_phase
from core.worker.testruns import run_tests
from core.worker.workshop import Services, Workshop, remove_story, stop_children

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2.0
_STOP_SECONDS = 15.0  # the agents' ladder takes up to 9 s
_FLUSH_SECONDS = 5.0
_GUARD_SECONDS = 30.0  # for git commands that a killed worker of the same project left running
_MESSAGES = (
    BatchJob,
    BatchReport,
    ChildProcess,
    FastForwardJob,
    FastForwardReport,
    Heartbeat,
    Park,
    Parked,
    PermissionAnswer,
    PermissionQuestion,
    PhaseJob,
    PhaseReport,
    Progress,
    RemoveWorktree,
    Salvage,
    Stalled,
    Steer,
    Steered,
    SuiteJob,
    SuiteReport,
    Touched,
)


class ToControlPlane:
    """What the worker says.

    Notifications are lost with the control plane, which is no loss: it asks again.
    """

    def __init__(self) -> None:
        self.peer: Peer | None = None

    async def progress(self, progress: Progress) -> None:
        await self._notify("progress", progress)

    async def salvaged(self, salvage: Salvage) -> None:
        await self._notify("salvaged", salvage)

    async def process_started(self, process: ChildProcess) -> None:
        await self._notify("process_started", process)

    async def process_ended(self, pid: int) -> None:
        await self._notify("process_ended", {"pid": pid})

    async def touched(self, touched: Touched) -> None:
        await self._notify("touched", touched)

    async def stalled(self, stalled: Stalled) -> None:
        await self._notify("stalled", stalled)

    async def heartbeat(self, heartbeat: Heartbeat) -> None:
        await self._notify("heartbeat", heartbeat)

    async def ask(self, question: PermissionQuestion) -> PermissionAnswer:
        """Waits for people, as long as it takes."""
        assert self.peer is not None
        return await self.peer.request(PermissionAnswer, "ask", question)

    async def _notify(self, method: str, params: object) -> None:
        if self.peer is not None:
            with suppress(PeerGone):
                await self.peer.notify(method, params)


class Worker:
    """The handlers. A story is at work once at a time; different stories run at the same time."""

    def __init__(self) -> None:
        self.tell = ToControlPlane()
        self.ended = asyncio.Event()
        self._services: asyncio.Task[Services] | None = None
        self._running: dict[str, asyncio.Event] = {}  # story -> set to stop it
        self._parks: dict[str, ParkWish] = {}  # stories whose phase may be asked to make place
        self._stories: dict[str, asyncio.Lock] = {}
        self._merging = asyncio.Lock()
        self._tests: dict[str | None, asyncio.Event] = {}  # story, None: the main branch -> set to stop it

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "ping": self._ping,
            "run_phase": self._run_phase,
            "prepare_merge": self._prepare_merge,
            "fast_forward": self._fast_forward,
            "remove_worktree": self._remove_worktree,
            "open_worktree": self._open_worktree,
            "cancel": self._cancel,
            "park": self._park,
            "steer": self._steer,
            "run_tests": self._run_tests,
            "cancel_tests": self._cancel_tests,
            "shutdown": self._shutdown,
        }

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._running)

    def wish_end(self) -> None:
        """Asks every story to end: its agent by the stop ladder, its tests at once."""
        for wish in (*self._running.values(), *self._tests.values()):
            wish.set()

    async def kill(self) -> None:
        """Ends everything that was started, at once."""
        if self._services is not None and self._services.done() and not self._services.cancelled():
            await stop_children(self._services.result())

    # --- handlers

    async def _ping(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"pid": os.getpid(), "running": list(self._running)}

    async def _run_phase(self, params: dict[str, Any]) -> Any:
        job = decode(PhaseJob, params)
        wish, park = asyncio.Event(), ParkWish()

        async def run(services: Services) -> PhaseReport:
            if not (job.epic or job.by_hand):  # what people wait for, and what only a gate works for, goes on
                self._parks[job.story.id] = park
            try:
                return await run_phase(job, services, wish, park)
            finally:
                self._parks.pop(job.story.id, None)
                park.end()

        return await self._alone({job.story.id: wish}, run, job.project)

    async def _prepare_merge(self, params: dict[str, Any]) -> Any:
        job = decode(BatchJob, params)
        wishes = {merge.story.id: asyncio.Event() for merge in job.merges}
        return await self._alone(wishes, lambda services: merge_batch(job, services, wishes), job.project)

    async def _fast_forward(self, params: dict[str, Any]) -> Any:
        job = decode(FastForwardJob, params)
        services = await self._services_of(job.project)
        async with self._merging, services.checkout:
            shop = await Workshop.open(job.project, services)
            return await fast_forward(shop.repository, job)

    async def _remove_worktree(self, params: dict[str, Any]) -> None:
        job = decode(RemoveWorktree, params)
        services = await self._services_of(job.project)
        async with self._stories.setdefault(job.story_id, asyncio.Lock()):
            await remove_story(job, services)

    async def _open_worktree(self, params: dict[str, Any]) -> Any:
        job = decode(OpenWorktree, params)
        services = await self._services_of(job.project)
        async with self._stories.setdefault(job.story.id, asyncio.Lock()):
            return await open_worktree(job, services)

    async def _cancel(self, params: dict[str, Any]) -> dict[str, bool]:
        """Stops a story's phase; its `run_phase` then answers CANCELLED. Fine when it is not running."""
        story = params.get("story_id")
        if not isinstance(story, str):
            raise RpcError(INVALID_PARAMS, "story_id must be text")
        wish = self._running.get(story)
        if wish is not None:
            wish.set()
        return {"running": wish is not None}

    async def _park(self, params: dict[str, Any]) -> Parked:
        """Answers at once; what comes of it is the phase's report."""
        park = decode(Park, params)
        wish = self._parks.get(park.story_id)
        if wish is not None:
            wish.ask(park)
        return Parked(running=wish is not None)

    async def _steer(self, params: dict[str, Any]) -> Steered:
        """Answers when the words are in a prompt, or when the turn has ended without them."""
        word = decode(Steer, params)
        services = self._services
        if services is None or not services.done() or services.cancelled() or services.exception():
            return Steered(reached=False)
        steering = services.result().steering.get(word.story_id)
        return Steered(reached=steering is not None and await steering.say(word.text))

    async def _run_tests(self, params: dict[str, Any]) -> SuiteReport:
        """Beside everything else: it waits for no phase, and no phase waits for it."""
        job = decode(SuiteJob, params)
        if job.story_id in self._tests:
            what = job.story_id or job.project.main_branch
            raise Unavailable(f"The tests of {what} run already.", hint="Wait for their result.")
        stop = self._tests[job.story_id] = asyncio.Event()
        try:
            return await run_tests(job, await self._services_of(job.project), stop)
        finally:
            del self._tests[job.story_id]

    async def _cancel_tests(self, params: dict[str, Any]) -> dict[str, bool]:
        """Stops a run of `run_tests`, which then answers; `story_id` as there."""
        story = params.get("story_id")
        if story is not None and not isinstance(story, str):
            raise RpcError(INVALID_PARAMS, "story_id must be text or null")
        stop = self._tests.get(story)
        if stop is not None:
            stop.set()
        return {"running": stop is not None}

    async def _shutdown(self, params: dict[str, Any]) -> None:
        self.ended.set()

    async def _alone(
        self,
        wishes: Mapping[str, asyncio.Event],
        work: Callable[[Services], Awaitable[Any]],
        setup: ProjectSetup,
    ) -> Any:
        """One job of these stories; setting a story's wish stops it."""
        for story in wishes:
            if story in self._running:
                raise Unavailable(
                    f"{story} is at work already.", hint="Cancel it first, or wait for its report."
                )
        self._running.update(wishes)
        try:
            services = await self._services_of(setup)
            async with AsyncExitStack() as held:
                for story in sorted(wishes):
                    await held.enter_async_context(self._stories.setdefault(story, asyncio.Lock()))
                return await work(services)
        finally:
            for story in wishes:
                del self._running[story]

    async def _services_of(self, setup: ProjectSetup) -> Services:
        """Made once, with the first job: the machine is probed, and the project is this worker's alone."""
        if self._services is None or (self._services.done() and self._services.exception() is not None):
            self._services = asyncio.create_task(self._make_services(setup), name="probe the machine")
        return await asyncio.shield(self._services)

    async def _make_services(self, setup: ProjectSetup) -> Services:
        guard, machine = await asyncio.gather(_hold_project(setup), probe_machine())
        return Services(machine=machine, tell=self.tell, guard=guard)


async def _hold_project(setup: ProjectSetup) -> int:
    """A lock that this worker and every git command of it hold.

    A worker that was killed may leave a git command running for a moment; nobody else touches the project's
    worktrees before it has ended. Raises Unavailable when another worker keeps the lock.
    """
    folder = setup.state_path / "worktrees"
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / f".{setup.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _GUARD_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(fd)
                raise Unavailable(
                    f"Another worker of {setup.name} is at work.",
                    why=f"It holds {folder / f'.{setup.name}.lock'}.",
                    hint="Stop the other Orchard that uses this state folder.",
                ) from None
            await asyncio.sleep(0.05)


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> None:
    """Works until told to end, or until nobody is there to work for. Nothing that it started is left then."""
    worker = Worker()
    peer = Peer(reader, writer, worker.handlers())
    worker.tell.peer = peer
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, worker.ended.set)
    tasks = [
        asyncio.create_task(peer.run(), name="conversation"),
        asyncio.create_task(_beat(worker, heartbeat_seconds), name="heartbeat"),
    ]
    told = asyncio.create_task(worker.ended.wait(), name="told to end")
    gone = asyncio.create_task(peer.ended.wait(), name="control plane gone")
    await asyncio.wait({told, gone}, return_when=asyncio.FIRST_COMPLETED)
    if gone.done():
        logger.warning("the control plane has gone")
        await worker.kill()
    else:
        worker.wish_end()
        await peer.settle(_STOP_SECONDS)
        await worker.kill()
        writer.close()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(_FLUSH_SECONDS):
                await writer.wait_closed()
    for task in tasks:
        task.cancel()


async def _beat(worker: Worker, seconds: float) -> None:
    while True:
        await worker.tell.heartbeat(Heartbeat(pid=os.getpid(), running=worker.running))
        await asyncio.sleep(seconds)


async def _streams(incoming: int, outgoing: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if stat.S_ISSOCK(os.fstat(incoming).st_mode):
        # One socket is both ends. As a write pipe, asyncio would take what comes in for its close.
        os.close(outgoing)
        return await asyncio.open_connection(sock=socket.socket(fileno=incoming), limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    await loop.connect_read_pipe(lambda: protocol, os.fdopen(incoming, "rb", 0))
    transport, flow = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), os.fdopen(outgoing, "wb", 0)
    )
    return reader, asyncio.StreamWriter(transport, flow, None, loop)


def _take_stdio() -> tuple[int, int]:
    """The conversation's two ends, out of everybody's way: what anything prints goes to the log instead."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return incoming, outgoing


def warm_up() -> None:
    """What each worker would find out or build for itself, for a template that workers are forked from."""
    prepare(*_MESSAGES)
    find_python()


def run_worker(heartbeat_seconds: float = HEARTBEAT_SECONDS) -> NoReturn:
    """The whole life of a worker process."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    incoming, outgoing = _take_stdio()
    if sys.version_info < (3, 12):  # as from there on by itself; else each git costs a thread, 1 ms
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())

    async def live() -> NoReturn:
        reader, writer = await _streams(incoming, outgoing)
        await serve(reader, writer, heartbeat_seconds)
        sys.stderr.flush()
        # At once: nothing of ours is worth waiting for, and a forked worker must not run its template's
        # exit hooks.
        os._exit(0)

    asyncio.run(live())
    raise AssertionError("not reached")
