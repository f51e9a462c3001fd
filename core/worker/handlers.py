"""What a worker does when it is asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from core.errors import Unavailable
from core.isolation.container.probe import with_container
from core.isolation.machine import probe_machine
from core.rpc import INVALID_PARAMS, Handler, RpcError, decode
from core.worker.contract import (
    BatchJob,
    FastForwardJob,
    OpenWorktree,
    Park,
    Parked,
    PhaseJob,
    PhaseReport,
    ProjectSetup,
    RemoveWorktree,
    Steer,
    Steered,
    SuiteJob,
    SuiteReport,
)
from core.worker.control_plane import ToControlPlane
from core.worker.discretion import discreet, learn
from core.worker.forward import fast_forward
from core.worker.git import Repository
from core.worker.guard import hold_project
from core.worker.merging import merge_batch
from core.worker.opening import open_worktree
from core.worker.parking import ParkWish
from core.worker.phases import run_phase
from core.worker.remote import fetch_main, push
from core.worker.remote_contract import FetchMain, Push
from core.worker.testruns import run_tests
from core.worker.workshop import Services, Workshop, remove_story, stop_children


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
        return discreet(
            {
                "ping": self._ping,
                "run_phase": self._run_phase,
                "prepare_merge": self._prepare_merge,
                "fast_forward": self._fast_forward,
                "fetch_main": self._fetch_main,
                "push": self._push,
                "remove_worktree": self._remove_worktree,
                "open_worktree": self._open_worktree,
                "cancel": self._cancel,
                "park": self._park,
                "steer": self._steer,
                "run_tests": self._run_tests,
                "cancel_tests": self._cancel_tests,
                "shutdown": self._shutdown,
            }
        )

    @property
    def running(self) -> tuple[str, ...]:
        return tuple(self._running)

    def wish_end(self) -> None:
        """Asks every story to end: its agent by the stop ladder, its tests at once."""
        for wish in (*self._running.values(), *self._tests.values()):
            wish.set()

    async def kill(self) -> None:
        """Ends everything that was started, at once."""
        services = self._services
        if services is None or not services.done() or services.cancelled() or services.exception():
            return  # nothing was started
        await stop_children(services.result())

    # --- handlers

    async def _ping(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"pid": os.getpid(), "running": list(self._running)}

    async def _run_phase(self, params: dict[str, Any]) -> Any:
        job = decode(PhaseJob, params)
        learn(job)
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
        learn(job)
        wishes = {merge.story.id: asyncio.Event() for merge in job.merges}
        return await self._alone(wishes, lambda services: merge_batch(job, services, wishes), job.project)

    async def _fast_forward(self, params: dict[str, Any]) -> Any:
        job = decode(FastForwardJob, params)
        learn(job)
        services = await self._services_of(job.project)
        async with self._merging, services.checkout:
            shop = await Workshop.open(job.project, services)
            return await fast_forward(shop.repository, job)

    async def _fetch_main(self, params: dict[str, Any]) -> Any:
        job = decode(FetchMain, params)
        learn(job)
        services = await self._services_of(job.project)
        async with self._merging, services.checkout:
            return await fetch_main(await Repository.open(job.project.path, guard=services.guard), job)

    async def _push(self, params: dict[str, Any]) -> Any:
        """Beside everything else: nothing in the checkout changes."""
        job = decode(Push, params)
        learn(job)
        services = await self._services_of(job.project)
        return await push(await Repository.open(job.project.path, guard=services.guard), job)

    async def _remove_worktree(self, params: dict[str, Any]) -> None:
        job = decode(RemoveWorktree, params)
        learn(job)
        services = await self._services_of(job.project)
        async with self._stories.setdefault(job.story_id, asyncio.Lock()):
            await remove_story(job, services)

    async def _open_worktree(self, params: dict[str, Any]) -> Any:
        job = decode(OpenWorktree, params)
        learn(job)
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
        learn(job)
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
        guard = await hold_project(setup)
        try:
            machine = await probe_machine()
            if setup.wants_container:
                machine = await with_container(machine)
        except BaseException:
            os.close(guard)  # else we ourselves would be in the way of another try
            raise
        return Services(machine=machine, tell=self.tell, guard=guard)
