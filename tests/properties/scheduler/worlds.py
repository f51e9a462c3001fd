"""Random snapshots, sensible and not. Of each list of choices the first is the plainest."""

from __future__ import annotations

import math
from typing import Any

from core.domain.story import Priority
from core.scheduler.resources import NOTHING, UNLIMITED, Resources, total
from core.scheduler.snapshot import ProjectShare, Reclaimed, RunningTask, Snapshot, Task
from tests.properties.scheduler.draws import Draws, several

NOW = 1_000_000.0
TIERS = (Priority.NORMAL, Priority.CRITICAL, Priority.HIGH, Priority.LOW)
INF = math.inf


def demand(draws: Draws) -> Resources:
    """Something of at least one resource."""
    found = Resources(
        agents=draws.of((1.0, 1.0, 0.0)),
        cycles=draws.of((0.0, 1.0)),
        cpu=draws.of((0.0, 0.1, 0.5, 1.0, 3.0)),
        memory_mb=draws.of((0.0, 128.0, 512.0, 1024.0, 3000.0)),
    )
    return found if any(found) else Resources(cpu=0.1)


def capacity(draws: Draws) -> Resources:
    return Resources(
        agents=float(draws.number(13)),
        cycles=draws.of((INF, 4.0, 9.0)),
        cpu=draws.of((4.0, 0.5, 2.0, 7.3)),
        memory_mb=draws.of((4096.0, 0.0, 1024.0, 10000.0)),
        disk_mb=1e6,
    )


def limit(draws: Draws) -> Resources:
    if draws.number(2) == 0:
        return UNLIMITED
    return UNLIMITED._replace(
        agents=draws.of((INF, 0.0, 1.0, 3.0)),
        cycles=draws.of((INF, 2.0)),
        cpu=draws.of((INF, 0.3, 2.0)),
        memory_mb=draws.of((INF, 512.0, 2048.0)),
    )


def guarantee(draws: Draws) -> Resources:
    if draws.number(2) == 0:
        return NOTHING
    return Resources(agents=float(draws.number(5)), memory_mb=draws.of((0.0, 1024.0)))


def project(draws: Draws, name: str, *, plain: bool = False) -> ProjectShare:
    running = [] if plain else draws.many(lambda _: demand(draws), 3)
    ages = (0.0,) if plain else (0.0, 60.0, 5000.0, 1e6, -100.0)
    return ProjectShare(
        name=name,
        weight=draws.of((1.0, 0.5, 3.0) if plain else (1.0, 0.5, 3.0, 0.0)),
        tier=draws.of(TIERS),
        guaranteed=NOTHING if plain else guarantee(draws),
        limit=UNLIMITED if plain else limit(draws),
        lends=1.0 if plain else draws.of((1.0, 0.5, 0.0)),
        used=total(running),
        running=tuple(
            RunningTask(
                f"{name}-r{at}",
                need,
                NOW - at,
                draws.of(TIERS),
                draws.of((True, False)),
                draws.of((False, False, False, True)),
            )
            for at, need in enumerate(running)
        ),
        waiting=tuple(
            draws.many(
                lambda at: Task(
                    f"{name}-{at}",
                    demand(draws),
                    NOW - draws.of(ages),
                    draws.of(TIERS),
                    draws.of((False, False, True)),
                    draws.of((False, False, False, True)),
                ),
                5,
            )
        ),
        decayed_use=draws.of((NOTHING, Resources(agents=2.0, memory_mb=500.0))),
        expected=draws.of((NOTHING, Resources(agents=3.0))),
    )


def world(draws: Draws, *, plain: bool = False) -> Snapshot:
    names = [f"p{at}" for at in range(draws.number(6))]
    there = capacity(draws)
    outside = NOTHING if plain else draws.of((NOTHING, Resources(memory_mb=1000.0)))
    most = INF if plain else draws.of((INF, INF, 0.0, 1.0, 2.0))
    history = []
    if len(names) > 1 and not plain:
        pairs = draws.many(lambda _: (draws.of(names), draws.of(names)), 3)
        history = [Reclaimed(taker=one, victim=other, at=NOW - 60.0) for one, other in pairs if one != other]
    return Snapshot(
        now=NOW,
        capacity=there,
        projects=tuple(project(draws, name, plain=plain) for name in names),
        outside=outside,
        max_concurrent_projects=most,
        reclaimed=tuple(history),
    )


def plain_world(draws: Draws) -> Snapshot:
    """Nothing runs, nothing is kept or limited, nobody has waited."""
    return world(draws, plain=True)


def slots(draws: Draws) -> tuple[int, list[tuple[str, float, int]]]:
    """Of one resource: how much there is, and (name, weight, tasks of one) for each project."""
    return draws.number(40), [
        (f"p{at}", draws.of((1.0, 0.5, 2.0, 3.0)), draws.number(16)) for at in range(draws.number(7))
    ]


def slot_world(there: float, projects: list[tuple[str, float, int]], **others: Any) -> Snapshot:
    """Such projects; `others` are fields of all of them."""
    one = Resources(agents=1.0)
    return Snapshot(
        now=NOW,
        capacity=Resources(agents=float(there)),
        projects=tuple(
            ProjectShare(
                name=name,
                weight=weight,
                waiting=tuple(Task(f"{name}-{at:02}", one, NOW) for at in range(count)),
                **others,
            )
            for name, weight, count in projects
        ),
    )


WILD: tuple[Any, ...] = (
    math.nan, INF, -INF, -1.0, -0.0, 0.0, 1.0, 2.5, 100.0, 1e15, 1.1e15, 1e16, 1e308, -1e308, 5e-324, 1e-300,
    2**70, -(2**70), True, None, "many", "1", "nan", b"1", [], {}, (1,), 1j, object,
)  # fmt: skip
NAMES: tuple[Any, ...] = ("a", "b", "c", "", "a\n", None, 7, ["a"], ("a", "b"))
CLOCKS: tuple[Any, ...] = (NOW, 0.0, -5.0, math.nan, INF, -INF, 1e308, None, "noon")


def wild_amounts(draws: Draws) -> Resources:
    """Mostly figures, so that something starts now and then."""
    if draws.number(2) == 0:
        return Resources(*[draws.of((0.0, 1.0, 100.0)) for _ in range(6)])
    return Resources(*[draws.of(WILD) for _ in range(6)])


def nonsense(draws: Draws) -> Snapshot:
    """What no configuration should give, and what must do no harm all the same."""
    tiers: tuple[Any, ...] = (*TIERS, "urgent", None, 3, ["high"])
    flags: tuple[Any, ...] = (False, True, None, "no", math.nan)

    def running(at: int) -> RunningTask:
        return RunningTask(
            draws.of((f"r{at}", "r0", None, 3)),
            wild_amounts(draws),
            draws.of(WILD),
            draws.of(tiers),
            draws.of(flags),
            draws.of(flags),
        )

    def waiting(at: int) -> Task:
        ids: tuple[Any, ...] = (f"t{at}-{draws.number(256)}", "t", None, 3, ["t"])
        need = Resources(agents=1.0) if draws.number(2) == 0 else wild_amounts(draws)
        return Task(draws.of(ids), need, draws.of(WILD), draws.of(tiers), draws.of(flags), draws.of(flags))

    def of_project(_: int) -> ProjectShare:
        return ProjectShare(
            name=draws.of(NAMES),  # twice, too
            weight=draws.of(WILD),
            tier=draws.of(tiers),
            guaranteed=wild_amounts(draws),
            limit=wild_amounts(draws),
            used=NOTHING if draws.number(2) == 0 else wild_amounts(draws),
            lends=draws.of(WILD),
            decayed_use=wild_amounts(draws),
            expected=wild_amounts(draws),
            running=tuple(draws.many(running, 2)),
            waiting=tuple(draws.many(waiting, 4)),
        )

    return Snapshot(
        now=draws.of(CLOCKS),
        capacity=capacity(draws) if draws.number(2) == 0 else wild_amounts(draws),
        projects=tuple(draws.many(of_project, 4)),
        outside=NOTHING if draws.number(2) == 0 else wild_amounts(draws),
        max_concurrent_projects=draws.of((INF, *WILD)),
        reclaimed=tuple(
            draws.many(
                lambda _: Reclaimed(taker=draws.of(NAMES), victim=draws.of(NAMES), at=draws.of(WILD)), 2
            )
        ),
    )


worlds = several(world, size=250)
plain_worlds = several(plain_world, size=200)
slot_worlds = several(slots, count=8, size=24)
nonsenses = several(nonsense, size=300)
