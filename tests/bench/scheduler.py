"""Decisions and whole passes of the scheduler, against a plain one that looks at all projects each time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import numpy as np

from core.scheduler.division import divide
from core.scheduler.fair_share import FairShare
from core.scheduler.resources import Resources
from core.scheduler.snapshot import ProjectShare, Snapshot, Task
from tests.bench.figure import Figure, quantile

_DECISION_BARS = {10: 10e-6, 1000: 50e-6}
_PASS_BARS = {10: 0.2e-3, 1000: 10e-3}
_DIVISIBLE_BAR = 20e-3


def measure(*, decisions: int = 20000, rounds: int = 30) -> list[Figure]:
    figures = [_decision(size, decisions) for size in _DECISION_BARS]
    for size in _PASS_BARS:
        figures += _passes(size, rounds)
    return [*figures, _divisible(100_000, rounds)]


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
    """One task ends, one comes, and who starts is decided; only the decision is timed."""
    snapshot = world(size)
    ledger = FairShare().live(snapshot)
    running = [(start.project, start.demand) for start in ledger.starts()]
    chance, times = random.Random(11), []
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
    p99, plain = quantile(times, 0.99), _plain_decision(snapshot)
    bar = _DECISION_BARS[size]
    return Figure(
        what=f"one decision among {size:,} projects, p99",
        value=f"{p99 * 1e6:.1f} us",
        baseline=f"{plain * 1e6:.1f} us",
        ratio=p99 / plain,
        bar=f"<= {bar * 1e6:g} us",
        holds=p99 <= bar,
        note=f"median {quantile(times, 0.5) * 1e6:.1f} us; baseline: min() over all projects, median",
    )


def _plain_decision(snapshot: Snapshot) -> float:
    times = []
    for _ in range(20):
        began = time.perf_counter()
        min(snapshot.projects, key=lambda project: project.used.share(snapshot.capacity) / project.weight)
        times.append(time.perf_counter() - began)
    return quantile(times, 0.5)


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
    plain = _median(lambda: _plain_pass(snapshot), 1 if size > 100 else 5)
    bare = _median(lambda: strategy.decide(snapshot), rounds)
    read = _median(lambda: _read(strategy, snapshot), rounds)
    bar = _PASS_BARS[size]
    return [
        Figure(
            what=f"full pass, {size:,} projects with 3 tasks each{what}",
            value=f"{took * 1e3:.2f} ms",
            baseline=f"{plain * 1e3:.2f} ms",
            ratio=took / plain,
            bar=f"<= {bar * 1e3:g} ms",
            holds=took <= bar,
            note="median; baseline: progressive filling with min() over all projects",
        )
        for what, took in (("", bare), (", all waits and allocations read", read))
    ]


def _read(strategy: FairShare, snapshot: Snapshot) -> None:
    decision = strategy.decide(snapshot)
    len(decision.waits)
    len(decision.allocations)


def _divisible(size: int, rounds: int) -> Figure:
    chance = np.random.default_rng(5)
    demands = chance.uniform(0.1, 4.0, (size, 6))
    weights = chance.choice([1.0, 2.0, 3.0], size)
    most = chance.uniform(0.01, 1.0, size)
    capacity = (demands * most[:, None]).sum(axis=0) * chance.uniform(0.4, 0.9, 6)
    took = _median(lambda: divide(capacity, demands, weights=weights, most=most), rounds)
    plain = _median(lambda: _bisected(capacity, demands, weights, most), max(rounds // 6, 1))
    return Figure(
        what=f"full pass, {size:,} projects, divisible",
        value=f"{took * 1e3:.1f} ms",
        baseline=f"{plain * 1e3:.1f} ms",
        ratio=took / plain,
        bar=f"<= {_DIVISIBLE_BAR * 1e3:g} ms",
        holds=took <= _DIVISIBLE_BAR,
        note="median, from columns; baseline: 50 halvings of the level, numpy",
    )


def _bisected(capacity: np.ndarray, demands: np.ndarray, weights: np.ndarray, most: np.ndarray) -> np.ndarray:
    pace = weights / (demands / capacity).max(axis=1)
    low, high = 0.0, float((most / pace).max())
    for _ in range(50):
        level = (low + high) / 2
        fits = (np.minimum(pace * level, most) @ demands <= capacity).all()
        low, high = (level, high) if fits else (low, level)
    return np.minimum(pace * low, most)


def _median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return quantile(times, 0.5)
