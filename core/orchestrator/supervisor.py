"""One worker process a project: started when there is work, watched, restarted with back-off, and put into
quarantine when it crashes in a loop. Knows nothing of stories: what a lost worker means is its owner's
affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import psutil

from core.clock import Clock
from core.errors import LostRace, Unavailable
from core.executors.local import LocalExecutor, WorkerHandle
from core.orchestrator.views import WorkerView
from core.rpc import Handler, Peer, PeerGone
from core.worker.contract import PhaseReport

log = logging.getLogger(__name__)

T = TypeVar("T")

Explain = Callable[[str, PhaseReport], Awaitable[PhaseReport]]
Supply = Callable[[object], Awaitable[object]]


class WorkerState(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing off"  # it ended unasked; the next start waits
    QUARANTINED = "quarantined"  # it crashed too often; a person or time lets it out


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionTimes:
    """All in seconds."""

    heartbeat_timeout: float = 30.0
    first_back_off: float = 1.0
    longest_back_off: float = 60.0
    crash_window: float = 600.0
    quarantine: float = 1800.0
    stop_grace: float = 15.0
    ready_timeout: float = 60.0  # it may have to import all it needs, on a busy machine
    crashes_to_quarantine: int = 5


class WorkerEvents(Protocol):
    """What the owner hears."""

    def handlers_for(self, project: str, owner: str) -> Mapping[str, Handler]: ...
    async def worker_started(self, project: str, owner: str, handle: WorkerHandle) -> None: ...
    async def worker_ended(
        self, project: str, owner: str, handle: WorkerHandle, cause: str, *, asked: bool
    ) -> None:
        """`asked`: it was told to end."""
        ...

    async def worker_quarantined(self, project: str, crashes: int, seconds: float) -> None: ...


class CancelledInTime(LostRace):
    """Its worker has never heard of it."""


@dataclass(slots=True)
class _Worker:
    owner: str  # names this very process in leases
    handle: WorkerHandle
    peer: Peer
    last_heard: float
    stopping: bool = False


class Supervisor:
    """`ensure` gives a project's running worker; it is the only way to get one."""

    def __init__(
        self, executor: LocalExecutor, owner: WorkerEvents, *, clock: Clock, times: SupervisionTimes
    ) -> None:
        self._executor = executor
        self._events = owner
        self._clock = clock
        self._times = times
        self._workers: dict[str, _Worker] = {}
        self._starting: dict[str, asyncio.Task[_Worker]] = {}
        # With their projects; one goes on after its worker's end, until that is written down.
        self._watches: dict[asyncio.Task[None], str] = {}
        self._crashes: dict[str, deque[float]] = {}
        self._not_before: dict[str, float] = {}
        self._quarantined: set[str] = set()
        self._serial = 0
        self._closed = False
        self._explain: Explain | None = None
        self.supply: Supply | None = None  # what a job takes along, such as secrets

    # -- use ---------------------------------------------------------------------------------

    def ready_in(self, project: str) -> float:
        """Seconds until a worker may be started or is there; 0 means now."""
        if project in self._workers:
            return 0.0
        return max(0.0, self._not_before.get(project, 0.0) - self._clock.monotonic())

    async def ensure(self, project: str) -> str:
        """Starts the project's worker unless it runs. Returns its owner name. Raises Unavailable."""
        return (await self._worker(project)).owner

    async def request(
        self,
        kind: type[T],
        owner: str,
        method: str,
        params: object,
        *,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> T:
        """Asks the worker of this owner name. Raises PeerGone when it has ended or ends, and OrchardError;
        CancelledInTime for what `is_cancelled` before the worker hears of it.

        Never another worker of the project, which would work on a lease that is not its own.
        """
        if self.supply is not None:
            params = await self.supply(params)
        if is_cancelled():  # the worker would hear of it after its cancel
            raise CancelledInTime(f"{method} was cancelled before its worker heard of it.")
        for worker in self._workers.values():
            if worker.owner == owner:
                return await worker.peer.request(kind, method, params)
        raise PeerGone(f"The worker {owner} has ended.")

    def on_report(self, explain: Explain) -> None:
        """Asks `explain` about every phase's report before it is recorded: what ended an agent from outside,
        its worker cannot know."""
        self._explain = explain

    async def explained(self, project: str, report: PhaseReport) -> PhaseReport:
        """The report, with what is known of it here."""
        return report if self._explain is None else await self._explain(project, report)

    async def call_if_running(
        self, project: str, method: str, params: object, *, timeout: float | None = None
    ) -> Any:
        """The worker's answer as JSON values, or None when none runs: a stopped one need not be told."""
        worker = self._workers.get(project)
        return await worker.peer.call(method, params, timeout) if worker else None

    def release(self, project: str) -> None:
        """Lets a project out of quarantine and back-off: a person asked for a new start."""
        self._crashes.pop(project, None)
        self._not_before.pop(project, None)
        self._quarantined.discard(project)

    def view(self, project: str) -> WorkerView:
        if (worker := self._workers.get(project)) is not None:
            return WorkerView(
                state=WorkerState.RUNNING, pid=worker.handle.pid, memory_mb=_memory_mb(worker.handle.pid)
            )
        if project in self._starting:
            return WorkerView(state=WorkerState.STARTING)
        if (seconds := self.ready_in(project)) > 0:
            if project in self._quarantined:
                return WorkerView(
                    state=WorkerState.QUARANTINED,
                    detail=f"crashed {len(self._crashes[project])} times; starts again in {seconds:.0f} s,"
                    " or at once with start",
                )
            return WorkerView(state=WorkerState.BACKING_OFF, detail=f"starts again in {seconds:.0f} s")
        return WorkerView(state=WorkerState.STOPPED)

    def running(self) -> tuple[str, ...]:
        return tuple(self._workers)

    # -- stop --------------------------------------------------------------------------------

    async def stop(self, project: str) -> None:
        """Stops the project's worker and all it runs; returns when nothing of it is left."""
        if (starting := self._starting.get(project)) is not None:
            with contextlib.suppress(Exception):
                await asyncio.shield(starting)
        if (worker := self._workers.get(project)) is not None:
            worker.stopping = True
            await worker.handle.stop(self._times.stop_grace)
        watches = [watch for watch, watched in self._watches.items() if watched == project]
        # Shielded: that nobody waits for it any longer does not keep an end from being written down.
        await asyncio.shield(asyncio.gather(*watches, return_exceptions=True))

    async def stop_all(self) -> None:
        """Stops every worker, those that are being started too; from now on none is started."""
        self._closed = True
        projects = {*self._workers, *self._starting, *self._watches.values()}
        await asyncio.gather(*(self.stop(project) for project in projects))

    async def kill_silent(self) -> None:
        """Ends workers whose heartbeats stopped; called by the reconciler."""
        now = self._clock.monotonic()
        for project, worker in list(self._workers.items()):
            if now - worker.last_heard > self._times.heartbeat_timeout and not worker.stopping:
                log.warning(
                    "worker of %s (pid %d) has been silent too long: killed", project, worker.handle.pid
                )
                await worker.handle.stop(0)

    # -- inside ------------------------------------------------------------------------------

    def _hearing(self, project: str, owner: str, handler: Handler) -> Handler:
        """Whatever a worker says is a sign of life."""

        async def hear(params: dict[str, Any]) -> Any:
            worker = self._workers.get(project)
            if worker is not None and worker.owner == owner:
                worker.last_heard = self._clock.monotonic()
            return await handler(params)

        return hear

    async def _worker(self, project: str) -> _Worker:
        if (worker := self._workers.get(project)) is not None:
            return worker
        if self._closed:
            raise Unavailable(f"The worker of {project} is not started: Orchard is stopping.")
        if (seconds := self.ready_in(project)) > 0:
            raise Unavailable(
                f"The worker of {project} may not start yet.",
                why="It ended unexpectedly before.",
                hint=f"It starts again in {seconds:.0f} s.",
            )
        starting = self._starting.get(project)
        if starting is None:
            starting = asyncio.create_task(self._start(project), name=f"start worker {project}")
            self._starting[project] = starting
            starting.add_done_callback(lambda _: self._starting.pop(project, None))
        return await asyncio.shield(starting)

    async def _start(self, project: str) -> _Worker:
        self._serial += 1
        owner = f"{project}#{self._serial}"
        try:
            handle = await self._executor.start(project)
        except (OSError, Unavailable) as error:
            await self._crashed(project, f"could not start: {error}")
            raise Unavailable(f"The worker of {project} could not be started.", why=str(error)) from error
        said = self._events.handlers_for(project, owner)
        handlers = {name: self._hearing(project, owner, handler) for name, handler in said.items()}
        peer = Peer(handle.reader, handle.writer, handlers)
        worker = _Worker(owner=owner, handle=handle, peer=peer, last_heard=self._clock.monotonic())
        reading = asyncio.create_task(peer.run(), name=f"read worker {project}")
        try:
            await self._events.worker_started(project, owner, handle)
            await peer.call("ping", {}, self._times.ready_timeout)
        except Exception as error:
            await handle.stop(0)
            reading.cancel()
            await self._events.worker_ended(project, owner, handle, f"not ready: {error}", asked=False)
            await self._crashed(project, f"not ready: {error}")
            raise Unavailable(f"The worker of {project} did not become ready.", why=str(error)) from error
        worker.last_heard = self._clock.monotonic()  # what it said before was not looked at
        self._workers[project] = worker
        watch = asyncio.create_task(self._watch(project, worker, reading), name=f"watch {project}")
        self._watches[watch] = project
        watch.add_done_callback(self._watches.pop)
        return worker

    async def _watch(self, project: str, worker: _Worker, reading: asyncio.Task[None]) -> None:
        cause = await worker.handle.wait()
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await reading
        self._workers.pop(project, None)
        # Counted before anybody can ask for the next one.
        quarantined = not worker.stopping and self._count_crash(project, str(cause))
        await self._events.worker_ended(
            project, worker.owner, worker.handle, str(cause), asked=worker.stopping
        )
        if quarantined:
            await self._tell_quarantine(project)

    async def _crashed(self, project: str, cause: str) -> None:
        if self._count_crash(project, cause):
            await self._tell_quarantine(project)

    async def _tell_quarantine(self, project: str) -> None:
        crashes = len(self._crashes.get(project, ()))
        await self._events.worker_quarantined(project, crashes, self._times.quarantine)

    def _count_crash(self, project: str, cause: str) -> bool:
        """Sets when the next worker may start. True when that is a quarantine."""
        now = self._clock.monotonic()
        crashes = self._crashes.setdefault(project, deque(maxlen=self._times.crashes_to_quarantine))
        crashes.append(now)
        log.warning("worker of %s ended: %s", project, cause)
        recent = [at for at in crashes if now - at <= self._times.crash_window]
        if len(recent) >= self._times.crashes_to_quarantine:
            self._quarantined.add(project)
            self._not_before[project] = now + self._times.quarantine
            return True
        self._quarantined.discard(project)
        wait = min(self._times.longest_back_off, self._times.first_back_off * 2 ** (len(recent) - 1))
        self._not_before[project] = now + wait
        return False


def _memory_mb(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.Error:
        return None
