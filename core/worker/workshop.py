"""What a job of one project works with, put together from its set-up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from core.domain.approval import PermissionAnswer
from core.domain.evidence import Evidence, Verdict
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.errors import InvalidInput, Unavailable
from core.isolation.launch import ContainedProcess
from core.isolation.plan import Level, Machine
from core.removal import discard_tree
from core.worker.checkouts import fresh_checkout
from core.worker.contract import (
    CallsRefused,
    ChildProcess,
    NetworkDenied,
    NetworkUsed,
    PermissionQuestion,
    Progress,
    ProjectSetup,
    RemoveWorktree,
    Salvage,
    Stalled,
    Touched,
)
from core.worker.environment import Environment
from core.worker.environments import Environments, depends_on
from core.worker.gates.evaluate import evaluate_gate
from core.worker.git import Repository
from core.worker.runners import Runner, detect
from core.worker.runs import RunCache
from core.worker.scratch import forget_scratch
from core.worker.steering import Steering
from core.worker.suite import Bench, Suite
from core.worker.surroundings import AtWork
from core.worker.worktree import Worktrees

logger = logging.getLogger(__name__)


class Tell(Protocol):
    """What a worker says to the control plane while it works.

    Nothing is lost when it does not get through.
    """

    async def progress(self, progress: Progress) -> None: ...
    async def salvaged(self, salvage: Salvage) -> None: ...
    async def process_started(self, process: ChildProcess) -> None: ...
    async def process_ended(self, pid: int) -> None: ...
    async def touched(self, touched: Touched) -> None: ...
    async def stalled(self, stalled: Stalled) -> None: ...
    async def network_denied(self, denied: NetworkDenied) -> None: ...
    async def network_used(self, used: NetworkUsed) -> None: ...
    async def calls_refused(self, refused: CallsRefused) -> None: ...
    async def ask(self, question: PermissionQuestion) -> PermissionAnswer: ...


@dataclass(slots=True)
class Services:
    """What all jobs of a worker share."""

    machine: Machine
    tell: Tell
    guard: int | None = None  # a file descriptor that every git command holds while it runs
    busy: AtWork = field(default_factory=AtWork)
    steering: dict[str, Steering] = field(default_factory=dict)  # by story: turns that run now
    caches: dict[Path, RunCache] = field(default_factory=dict)
    children: dict[int, ContainedProcess] = field(default_factory=dict)
    checkout: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while the registered checkout changes

    def cache_of(self, state_path: Path) -> RunCache:
        """One for all jobs: equal runs at the same time are then one run."""
        return self.caches.setdefault(state_path, RunCache(state_path / "runs"))

    @contextmanager
    def steering_of(self, story: str) -> Iterator[Steering]:
        """The way of people's words into a story's turn, open as long as the turn runs."""
        steering = self.steering[story] = Steering()
        try:
            yield steering
        finally:
            del self.steering[story]
            steering.end()

    @asynccontextmanager
    async def children_of(self, story: str | None) -> AsyncIterator[Callable[[str], OnStart]]:
        """Gives `on_start` callbacks by kind of child; at the end all that they were told of are reported
        ended.
        """
        pids: list[int] = []

        def reporter(kind: str) -> OnStart:
            async def started(process: ContainedProcess) -> None:
                pid, start_ticks = process.root
                pids.append(pid)
                self.children[pid] = process
                child = ChildProcess(
                    pid=pid,
                    start_ticks=start_ticks,
                    group=process.group,
                    kind=kind,
                    story_id=story,
                    argv=_command_of(process.pid),
                )
                await self.tell.process_started(child)

            return started

        try:
            yield reporter
        finally:
            for pid in pids:
                self.children.pop(pid, None)
                await self.tell.process_ended(pid)


OnStart = Callable[[ContainedProcess], Awaitable[None]]


class Workshop:
    """One project's repository, worktrees, environment and tests, for one job."""

    def __init__(
        self,
        setup: ProjectSetup,
        services: Services,
        repository: Repository,
        *,
        on_setup: OnStart | None = None,
        on_test: OnStart | None = None,
    ) -> None:
        self.setup = setup
        self.repository = repository
        self.worktrees = Worktrees(repository, project=setup.name, state_path=setup.state_path)
        self._services = services
        self._on_test = on_test
        self._environments = Environments(
            repository, setup, services.machine, on_start=on_setup, tell=services.tell
        )

    @classmethod
    async def open(
        cls,
        setup: ProjectSetup,
        services: Services,
        *,
        on_setup: OnStart | None = None,
        on_test: OnStart | None = None,
    ) -> Workshop:
        """Raises InvalidInput or GitFailed when the registered checkout is not one, and Unavailable when this
        machine does not give the isolation that was asked for.
        """
        for level in map(Level, (setup.isolation, *setup.isolation_by_role.values())):
            if level not in services.machine.levels:
                raise Unavailable(
                    f"{setup.name} asks for isolation '{level}', which this machine does not give.",
                    why=services.machine.reasons.get(level, ""),
                    hint=f"Mend that, or set the project's isolation to {services.machine.strongest}.",
                )
        repository = await Repository.open(setup.path, guard=services.guard)
        return cls(setup, services, repository, on_setup=on_setup, on_test=on_test)

    async def environment(self, commit: str) -> Environment:
        """Raises EnvironmentFailed."""
        return await self._environments.find(commit)

    async def environment_after(
        self, environment: Environment, tree: str, changed: Iterable[str]
    ) -> Environment:
        """The environment of a tree that differs in `changed`:

        another one only where a lock file is among them.
        """
        return await self.environment(tree) if any(map(depends_on, changed)) else environment

    async def runner(self, commit: str, environment: Environment, clean: Path | None) -> Runner:
        """The test runner, by the configuration of `commit`; `clean` is a folder that holds exactly that."""
        if clean is not None:
            return self._detect(clean, environment)
        async with fresh_checkout(self.repository, commit, self.setup.state_path) as folder:
            return self._detect(folder, environment)

    def _detect(self, checkout: Path, environment: Environment) -> Runner:
        folder = checkout / self.setup.folder
        if not folder.is_dir() or not folder.resolve().is_relative_to(checkout.resolve()):
            raise InvalidInput(
                f"{self.setup.name} has no folder '{self.setup.folder}' in this commit.",
                hint="Correct the project's `folder`, or commit it on the main branch.",
            )
        return detect(folder, self.setup, environment)

    def suite(self, runner: Runner, environment: Environment) -> Suite:
        bench = Bench(
            setup=self.setup,
            environment=environment,
            machine=self._services.machine,
            runner=runner,
            on_start=self._on_test,
        )
        return Suite(
            repository=self.repository,
            bench=bench,
            cache=self._services.cache_of(self.setup.state_path),
        )

    async def judge(
        self,
        suite: Suite,
        story: StoryBrief,
        phase: Phase,
        *,
        base_commit: str,
        tree: str,
        red_commit: str | None = None,
        red_evidence: Evidence | None = None,
        spec: str | None = None,
    ) -> Verdict:
        """The gate's verdict on a tree."""
        return await evaluate_gate(
            suite,
            self.repository,
            phase=phase,
            base_commit=base_commit,
            candidate_tree=tree,
            red_commit=red_commit,
            red_evidence=red_evidence,
            spec=story.spec if spec is None else spec,
            story="\n".join((story.title, story.body, *story.acceptance_criteria)),
            criteria=story.acceptance_criteria,
            spec_paths=self.spec_paths(story.id),
        )

    def spec_paths(self, story: str) -> tuple[str, ...]:
        """Where a story's design may be committed."""
        folder = (self.setup.design_docs_path or "").strip("/")
        return ((PurePosixPath(folder) / f"{story}.md").as_posix(),) if folder else ()

    def home_of(self, story: str, agent: str) -> Path:
        """An agent's private HOME for a story: it outlives turns, since sessions are kept there."""
        return self.setup.state_path.resolve() / "homes" / self.setup.name / story / agent

    def transcript_of(self, story: str, phase: Phase, attempt: int, generation: int) -> Path:
        """A file a turn: an attempt may have several, before and after it made place for another story."""
        folder = self.setup.state_path.resolve() / "transcripts" / self.setup.name / story
        return folder / f"{phase.value}-{attempt}.{generation}.jsonl"


def _command_of(pid: int) -> tuple[str, ...]:
    """What a launcher (bubblewrap, contain) was told to run; empty when it has ended already."""
    try:
        parts = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return ()
    if "--" in parts:
        parts = parts[len(parts) - parts[::-1].index("--") :]
    return tuple(parts)


async def remove_story(job: RemoveWorktree, services: Services) -> None:
    """Remove a story's worktree, branch and its agents' homes; what was not committed is saved and told."""
    shop = await Workshop.open(job.project, services)
    with services.busy.within(job.story_id):
        salvage = await shop.worktrees.remove(job.story_id)
    if salvage is not None:
        await services.tell.salvaged(salvage)
    discard_tree(shop.home_of(job.story_id, "any").parent)
    forget_scratch(job.project.state_path, job.project.name, job.story_id)


async def stop_children(services: Services) -> None:
    """Ends everything that was started, at once."""
    for process in services.children.values():
        process.begin_kill()
    for process in list(services.children.values()):
        with suppress(Exception):
            await process.kill_tree()
