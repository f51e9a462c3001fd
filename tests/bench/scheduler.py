"""Decisions and whole passes of the scheduler, against a plain one that looks at all projects each time.

Passes are timed by the processor, since other programs on the machine only ever add to a time; single
decisions and lags by the clock, since to ask for the processor's time takes as long as half a decision. The
median of several rounds counts, on both sides; the best is in the note.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from core.orchestrator.scheduling.deciding import asked
from core.scheduler.division import divide
from core.scheduler.fair_share import FairShare
from core.scheduler.resources import Resources
from core.scheduler.snapshot import ProjectShare, Snapshot, Task
from tests.bench.figure import Figure, milliseconds, quantile

_DECISION_BARS = {10: 10e-6, 1000: 50e-6}
_PASS_BARS = {10: 0.2e-3, 1000: 10e-3}
_DIVISIBLE, _DIVISIBLE_BAR = 100_000, 20e-3
_LAG_BAR = 20e-3
_WHOLE_ROUNDS = 4  # of passes of so many projects over whole tasks, which take a second
_RUNS = 5  # of the decisions


def measure(*, decisions: int = 20000, rounds: int = 30) -> list[Figure]:
    figures = [_decision(size, decisions) for size in _DECISION_BARS]
    for size in _PASS_BARS:
        figures += _passes(size, rounds)
    divided = _divided(_DIVISIBLE)
    return [*figures, _divisible(divided, rounds), *asyncio.run(_lags(divided, rounds))]


def world(size: int, tasks: int = 3) -> Snapshot:
    """Room for half of the tasks; memory differs from task to task."""
    chance = random.Random(7)
    limit = Resources(*[1e9] * 6)._replace(agents=5.0, cycles=5.0)
    projects = tuple(
        ProjectShare(
            name=f"p{at:05}",
            weight=chance.choice([1.0, 2.0, 3.0]),
            limit=limit,
            waiting=tuple(Task(f"p{at:05}-{number}", need) for number in range(tasks)),
        )
        for at in range(size)
        for need in [Resources(agents=1, cycles=1, cpu=1, memory_mb=chance.randint(256, 2048))]
    )
    room = size * tasks / 2
    capacity = Resources(agents=room, cycles=2 * room, cpu=room, memory_mb=1024 * room)
    return Snapshot(now=0.0, capacity=capacity, projects=projects)


def _decision(size: int, count: int) -> Figure:
    snapshot = world(size)
    runs = [_decisions(snapshot, count // _RUNS, random.Random(seed)) for seed in range(_RUNS)]
    plain = statistics.median(
        _heap_decisions(snapshot, count // _RUNS, random.Random(seed)) for seed in range(_RUNS)
    )
    found, bar = [quantile(times, 0.99) for times in runs], _DECISION_BARS[size]
    p99 = statistics.median(found)
    return Figure(
        what=f"one decision among {size:,} projects, p99",
        value=f"{p99 * 1e6:.1f} us",
        baseline=f"{plain * 1e6:.1f} us",
        ratio=p99 / plain,
        bar=f"<= {bar * 1e6:g} us",
        holds=p99 <= bar,
        note=f"the best of {_RUNS} runs {min(found) * 1e6:.1f} us; the median decision "
        f"{statistics.median(quantile(times, 0.5) for times in runs) * 1e6:.1f} us; baseline: p99 of a bare "
        "heap of shares, one resource, no limits, no reasons",
    )


def _decisions(snapshot: Snapshot, count: int, chance: random.Random) -> list[float]:
    """One task ends, one comes, and who starts is decided; only the decision is timed."""
    ledger, times = FairShare().live(snapshot), []
    running = [(start.project, start.demand) for start in ledger.starts()]
    for number in range(count):
        at = chance.randrange(len(running))
        running[at], running[-1] = running[-1], running[at]
        project, demand = running.pop()
        ledger.release(project, demand)
        ledger.submit(project, Task(f"new-{number:07}", demand))
        while True:
            began = time.perf_counter()
            start = ledger.next()
            times.append(time.perf_counter() - began)
            if start is None:
                break
            running.append((start.project, start.demand))
    return times


def _heap_decisions(snapshot: Snapshot, count: int, chance: random.Random) -> float:
    """What the least that anybody could do takes: the first of a heap of shares, put back with a larger."""
    each = {project.name: project.waiting[0].demand.share(snapshot.capacity) for project in snapshot.projects}
    heap, times = [(chance.random(), name) for name in each], []
    heapq.heapify(heap)
    for _ in range(count):
        began = time.perf_counter()
        share, name = heap[0]
        heapq.heapreplace(heap, (share + each[name], name))
        times.append(time.perf_counter() - began)
    return quantile(times, 0.99)


def _plain_pass(snapshot: Snapshot) -> int:
    """The paper's algorithm as it stands: the least share, over all projects, for each start."""
    used = {project.name: Resources() for project in snapshot.projects}
    left = {project.name: list(project.waiting) for project in snapshot.projects}
    waiting = {project.name: project for project in snapshot.projects}
    free, count = snapshot.capacity, 0
    while waiting:
        name = min(waiting, key=lambda one: used[one].share(snapshot.capacity) / waiting[one].weight)
        demand = left[name][0].demand
        if demand.fits(free):
            left[name].pop(0)
            used[name], free, count = used[name].plus(demand), free.minus(demand), count + 1
        if not left[name] or not demand.fits(free):
            del waiting[name]
    return count


def _passes(size: int, rounds: int) -> list[Figure]:
    snapshot, strategy = world(size), FairShare()
    plain, _ = _took(lambda: _plain_pass(snapshot), 1 if size > 100 else 5)
    bare = _took(lambda: strategy.decide(snapshot), rounds)
    read = _took(lambda: _read(strategy, snapshot), rounds)
    return [
        Figure(
            what=f"full pass, {size:,} projects with 3 tasks each{what}",
            value=f"{took * 1e3:.2f} ms",
            baseline=f"{plain * 1e3:.2f} ms",
            ratio=took / plain,
            bar=f"<= {bar * 1e3:g} ms" if bar else "",
            holds=took <= bar if bar else None,
            note=f"best {best * 1e3:.2f} ms; baseline: progressive filling that looks at all projects for "
            "each start",
        )
        for what, (took, best), bar in (
            ("", bare, _PASS_BARS[size]),
            (", every wait and allocation read", read, None),
        )
    ]


def _read(strategy: FairShare, snapshot: Snapshot) -> None:
    decision = strategy.decide(snapshot)
    for part in (*decision.starts, *decision.waits, *decision.allocations):
        assert part.reason


def _divided(size: int) -> Callable[[Callable[..., object]], object]:
    """For a function that divides: calls it with the figures of so many projects."""
    chance = np.random.default_rng(5)
    demands = chance.uniform(0.1, 4.0, (size, 6))
    weights = chance.choice([1.0, 2.0, 3.0], size)
    most = chance.uniform(0.01, 1.0, size)
    capacity = (demands * most[:, None]).sum(axis=0) * chance.uniform(0.4, 0.9, 6)
    return lambda function: function(capacity, demands, weights=weights, most=most)


def _divisible(divided: Callable[[Callable[..., object]], object], rounds: int) -> Figure:
    took, best = _took(lambda: divided(divide), rounds)
    plain, _ = _took(lambda: divided(_bisected), max(rounds // 6, 1))
    return Figure(
        what=f"full pass, {_DIVISIBLE:,} projects, divisible",
        value=f"{took * 1e3:.1f} ms",
        baseline=f"{plain * 1e3:.1f} ms",
        ratio=took / plain,
        bar=f"<= {_DIVISIBLE_BAR * 1e3:g} ms",
        holds=took <= _DIVISIBLE_BAR,
        note=f"best {best * 1e3:.1f} ms; from columns; baseline: 50 halvings of the level, numpy",
    )


async def _lags(divided: Callable[[Callable[..., object]], object], rounds: int) -> list[Figure]:
    whole = partial(asked, FairShare(), world(_DIVISIBLE))
    return [
        await _lag(", divisible", partial(divided, divide), rounds),
        await _lag(" with 3 tasks each", whole, _WHOLE_ROUNDS),
    ]


async def _lag(what: str, work: Callable[[], object], rounds: int) -> Figure:
    """How much later than asked the event loop wakes while passes run in a thread, and while a thread counts:
    that one lets go of the interpreter whenever it is asked to."""
    lags, plain = [], []
    for _ in range(3):
        began = time.thread_time()
        work()
        took = time.thread_time() - began
        lags.append(await _lag_of(work, rounds))
        plain.append(await _lag_of(partial(_count, took), rounds))
    lag = statistics.median(lags)
    return Figure(
        what=f"event-loop lag during passes of {_DIVISIBLE:,} projects{what}, p99",
        value=milliseconds(lag),
        baseline=milliseconds(statistics.median(plain)),
        ratio=lag / statistics.median(plain),
        bar=f"<= {_LAG_BAR * 1e3:g} ms",
        holds=lag <= _LAG_BAR,
        note=f"best {milliseconds(min(lags))}; passes in a thread, a tick a millisecond; baseline: the "
        "thread counts as long",
    )


def _count(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def _lag_of(work: Callable[[], object], rounds: int) -> float:
    lags: list[float] = []

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - began - 0.001)

    ticking = asyncio.create_task(tick(), name="ticks")
    await asyncio.to_thread(work)
    lags.clear()
    for _ in range(rounds):
        await asyncio.to_thread(work)
    ticking.cancel()
    return quantile(lags, 0.99)


def _bisected(
    capacity: np.ndarray, demands: np.ndarray, *, weights: np.ndarray, most: np.ndarray
) -> np.ndarray:
    pace = weights / (demands / capacity).max(axis=1)
    low, high = 0.0, float((most / pace).max())
    for _ in range(50):
        level = (low + high) / 2
        fits = (np.minimum(pace * level, most) @ demands <= capacity).all()
        low, high = (level, high) if fits else (low, level)
    return np.minimum(pace * low, most)


def _took(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The median and the best, seconds of the processor."""
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return statistics.median(times), min(times)
