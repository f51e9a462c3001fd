"""Runs a project's tests on a git tree: a fresh checkout, fresh HOME and caches, in a sandbox, watched.

Suite.run(tree)          one run, from the cache when the same was measured before
Suite.run_twice(tree)    two runs in one checkout: what the first leaves behind meets the second
run_suite(...)           the run itself, without a cache
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.domain.evidence import RunState, SuiteRun, TestResult
from core.errors import InvalidInput, Unavailable
from core.isolation.launch import Completed, ContainedProcess, run
from core.isolation.plan import Level, Limits, Machine, Sandbox, plan_launch
from core.known_secrets import known_secrets
from core.removal import temporary_folder
from core.worker.channel import ChannelReader
from core.worker.checkouts import Checkouts, fresh_checkout
from core.worker.contract import ProjectSetup
from core.worker.discretion import of_run
from core.worker.environment import Environment
from core.worker.report import LIMIT_BYTES
from core.worker.rewriting import Look, look, written_over
from core.worker.runners.contract import Ended, Place, Plan, Runner
from core.worker.runners.guarded import read_guarded
from core.worker.runs import RunCache, run_key
from core.worker.ways_out import has_own_network

OUTPUT_LIMIT_BYTES = 256 << 20
_TAIL_CHARACTERS = 8000
_UNAVAILABLE = 77  # exit code of what starts the runner when no usable one is installed
_SAID = "orchard_start: "
_WANTED = {"pytest": "pytest 7 or newer", "jest": "jest 28 or newer", "vitest": "vitest 3 or newer"}
_SUM = re.compile(r"(=+ )?\d+ (failed|passed)\b.* in \d[\d.]*s\b.*")  # pytest's last line

OnStart = Callable[[ContainedProcess], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and how the runs of one project are made."""

    setup: ProjectSetup
    environment: Environment
    machine: Machine
    runner: Runner
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES
    on_start: OnStart | None = None


class Suite:
    """The test suite of one project with one environment. Runs of the same thing at the same time are one
    run.
    """

    def __init__(self, *, repository: Checkouts, bench: Bench, cache: RunCache) -> None:
        self._repository = repository
        self._cache = cache
        self.bench = bench

    @property
    def runner(self) -> Runner:
        return self.bench.runner

    async def run(self, tree: str) -> SuiteRun:
        """Raises Unavailable when the environment cannot run the tests at all."""
        (found,) = await self._cache.get(self._key(tree), lambda: self._measure(tree, ()))
        return found

    async def run_twice(self, tree: str, *, second: tuple[str, ...] = ()) -> tuple[SuiteRun, SuiteRun]:
        """Two runs one after the other in one checkout, with fresh HOME, temporary folders and caches each.

        What the first leaves behind in the tree meets the second. `second`: only the tests of these files.
        """

        async def measure() -> tuple[SuiteRun, ...]:
            runs = await self._measure(tree, (), second)
            await self._cache.put(self._key(tree), runs[:1])
            return runs

        first, again = await self._cache.get(self._key(tree, second=("twice", *second)), measure)
        return first, again

    async def run_again(self, tree: str, *, select: tuple[str, ...]) -> SuiteRun:
        """A run that no cache answers, only of the tests in some files: to tell flaky from broken."""
        (found,) = await self._measure(tree, select)
        return found

    def was_cached(self, tree: str) -> bool:
        return self._cache.has(self._key(tree))

    async def _measure(self, tree: str, *selections: tuple[str, ...]) -> tuple[SuiteRun, ...]:
        """One run a selection, all in one checkout."""
        runs: list[SuiteRun] = []
        async with fresh_checkout(self._repository, tree, self.bench.setup.state_path) as checkout:
            made = await asyncio.to_thread(look, checkout, self.runner)
            for select in selections:
                # What hangs or crashes once need not be waited for again.
                usable = not runs or (runs[-1].state is RunState.COMPLETED and not runs[-1].tampering)
                if usable:
                    runs.append(await run_suite(self.bench, tree, checkout, select=select, made=made))
                else:
                    runs.append(runs[-1])
        return tuple(runs)

    def _key(self, tree: str, *, second: tuple[str, ...] = ()) -> str:
        setup = self.bench.setup
        return run_key(
            tree=tree,
            command=self.runner.command,
            environment=self.bench.environment.key,
            folder=setup.folder,
            level=setup.isolation,
            second=second,
        )


async def run_suite(
    bench: Bench, tree: str, checkout: Path, *, select: tuple[str, ...] = (), made: Look | None = None
) -> SuiteRun:
    """One run in a checkout. What goes wrong with the tests is in the run's state. `made`: the checkout when
    it was new, where other runs have been in it.

    Raises Unavailable when the environment or the machine cannot run them, InvalidInput when the project's
    folder is not in the tree.
    """
    setup, runner = bench.setup, bench.runner
    cwd = checkout / setup.folder
    if not cwd.is_dir() or not cwd.resolve().is_relative_to(checkout):
        raise InvalidInput(
            f"{setup.name} has no folder '{setup.folder}' in this commit.",
            hint="Correct the project's `folder`, or commit it on the main branch.",
        )
    with temporary_folder("", checkout.parent) as own:
        place = _place(bench, own, checkout, cwd.resolve(), select)
        plan = runner.plan(place, bench.environment)
        for path, text in plan.files.items():
            path.write_text(text)
        before = await asyncio.to_thread(look, checkout, runner, since=made)
        completed, channel = await _launch(bench, place, plan)
        report = await asyncio.to_thread(_read_report, place.report)
        found, put_back = _run_of(bench, tree, place, plan, completed, channel, report)
        found = of_run(found)
        if found.state is not RunState.COMPLETED:
            return found
        over = await asyncio.to_thread(written_over, place, runner, before, put_back)
    return replace(found, rewritten=tuple(sorted({*found.rewritten, *over})))


def _place(bench: Bench, own: Path, checkout: Path, cwd: Path, select: tuple[str, ...]) -> Place:
    for name in ("home", "tmp", "cache", "report"):
        (own / name).mkdir()
    report = own / "report" / f"{secrets.token_hex(8)}.xml"
    return Place(
        checkout=checkout,
        cwd=cwd,
        report=report,
        cache=own / "cache",
        folder=bench.setup.folder,
        output_limit_bytes=bench.output_limit_bytes,
        select=select,
    )


async def _launch(bench: Bench, place: Place, plan: Plan) -> tuple[Completed, bytes]:
    setup, own = bench.setup, place.cache.parent
    level = Level(setup.isolation)
    variables = {
        "LANG": "C.UTF-8",
        **setup.test_variables,
        **plan.variables,
        "TMPDIR": str(own / "tmp"),
        "XDG_CACHE_HOME": str(own / "home" / ".cache"),
        "GIT_CEILING_DIRECTORIES": str(place.checkout.parent),
    }
    if level is Level.PROCESS:
        bench.environment.link_into(place.checkout)
    async with ChannelReader.open(wanted=plan.channel is not None) as channel:
        if plan.channel is not None:
            variables[plan.channel] = str(channel.fd)
        sandbox = Sandbox(
            level=level,
            cwd=place.cwd,
            home=own / "home",
            writable=(place.checkout, own),
            read_only=(*bench.environment.read_only, *plan.read_only),
            image=setup.container_image,
            mounts=bench.environment.mounts_at(place.checkout) if level is not Level.PROCESS else (),
            environment=variables,
            network=not has_own_network(level),  # else tests reach nothing but themselves
            limits=Limits(memory_mb=setup.memory_mb, processes=1024, open_files=4096, file_size_mb=1024),
            project=setup.name,
        )

        async def started(process: ContainedProcess) -> None:
            channel.let_go()
            if bench.on_start is not None:
                await bench.on_start(process)

        completed = await run(
            plan_launch(plan.argv, sandbox, bench.machine),
            timeout_seconds=setup.test_timeout_seconds,
            output_limit_bytes=bench.output_limit_bytes,
            stdin=plan.stdin,
            pass_fds=channel.passed,
            on_start=started,
        )
        return completed, await channel.read()


def _read_report(path: Path) -> bytes | None:
    """One byte more than the limit tells that it is too large. No link is followed, no pipe waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            return file.read(LIMIT_BYTES + 1)
        except OSError:
            return None


def _run_of(
    bench: Bench,
    tree: str,
    place: Place,
    plan: Plan,
    completed: Completed,
    channel: bytes,
    report: bytes | None,
) -> tuple[SuiteRun, frozenset[str]]:
    """The run, and what of the checkout its runner changed and answers for."""
    runner, setup = bench.runner, bench.setup
    output = _clean(completed.output, plan, place)

    def made(state: RunState, problem: str = "", **rest: object) -> SuiteRun:
        return SuiteRun(
            tree=tree,
            command=runner.command,
            runner=runner.name,
            state=state,
            exit_code=completed.exit_code,
            seconds=round(completed.seconds, 3),
            output_tail=output,
            problem=problem,
            **rest,  # type: ignore[arg-type]
        )

    if completed.timed_out or completed.flooded:
        return made(*_cut_short(bench, completed)), frozenset()
    assert completed.exit_code is not None
    if completed.exit_code == _UNAVAILABLE and _SAID in output:
        raise Unavailable(
            f"The tests of {setup.name} cannot be run.",
            why=output[output.index(_SAID) + len(_SAID) :].splitlines()[0] + ".",
            hint=f"Install {_WANTED.get(runner.name, runner.name)} in its environment, or set "
            "`setup_command` or `test_command`.",
        )
    ended = Ended(exit_code=completed.exit_code, report=report, channel=channel, output=output)
    reading = read_guarded(lambda: runner.read(plan, place, ended))
    results = tuple(_at_home(result, place) for result in reading.results)
    run = made(
        reading.state,
        reading.problem,
        results=results,
        tampering=reading.tampering,
        rewritten=reading.rewritten,
    )
    return run, frozenset(reading.put_back)


def _cut_short(bench: Bench, completed: Completed) -> tuple[RunState, str]:
    if completed.timed_out:
        seconds = bench.setup.test_timeout_seconds
        return RunState.TIMED_OUT, f"it was still running after {seconds:g} seconds"
    return RunState.FLOODED, f"it printed more than {bench.output_limit_bytes >> 20} MiB"


def _at_home(result: TestResult, place: Place) -> TestResult:
    """Without the path of a checkout that will be gone: the same failure then reads the same each time."""
    if not result.message and not result.detail:
        return result
    top = f"{place.checkout}/"
    return replace(result, message=result.message.replace(top, ""), detail=result.detail.replace(top, ""))


def _clean(output: bytes, plan: Plan, place: Place) -> str:
    """The end of what was printed, for people: without the canaries and the sums that count them, and with
    paths as the project knows them.
    """
    text = output.decode(errors="replace").replace("\0", "")
    if plan.secret is not None:
        hidden = (plan.secret.failing, plan.secret.passing)
        lines = (line for line in text.splitlines() if not any(name in line for name in hidden))
        text = "\n".join(line for line in lines if not _SUM.fullmatch(line))
    # Before it is cut: a part of a secret would not be known for one.
    return known_secrets.text(text.replace(f"{place.checkout}/", ""))[-_TAIL_CHARACTERS:]
