"""Random snapshots, sensible and not."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from core.domain.story import Priority
from core.scheduler.resources import NOTHING, UNLIMITED, Resources
from core.scheduler.snapshot import ProjectShare, Reclaimed, RunningTask, Snapshot, Task

NOW = 1_000_000.0


def _amounts(**given: st.SearchStrategy[float]) -> st.SearchStrategy[Resources]:
    """What is not given is nothing (`builds` would make numbers up)."""
    return st.tuples(*given.values()).map(lambda drawn: Resources(**dict(zip(given, drawn, strict=True))))


demands = _amounts(
    agents=st.sampled_from([0.0, 1.0]),
    cycles=st.sampled_from([0.0, 1.0]),
    cpu=st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]),
    memory_mb=st.sampled_from([0.0, 128.0, 512.0, 1024.0, 3000.0]),
).filter(any)
capacities = _amounts(
    agents=st.integers(0, 12).map(float),
    cycles=st.sampled_from([4.0, 9.0, math.inf]),
    cpu=st.sampled_from([0.5, 2.0, 4.0, 7.3]),
    memory_mb=st.sampled_from([0.0, 1024.0, 4096.0, 10000.0]),
    disk_mb=st.just(1e6),
)
limits = st.one_of(
    st.just(UNLIMITED),
    _amounts(
        agents=st.sampled_from([0.0, 1.0, 3.0, math.inf]),
        cycles=st.sampled_from([2.0, math.inf]),
        cpu=st.sampled_from([0.3, 2.0, math.inf]),
        memory_mb=st.sampled_from([512.0, 2048.0, math.inf]),
        disk_mb=st.just(math.inf),
        tokens_per_minute=st.just(math.inf),
    ),
)
guarantees = st.one_of(
    st.just(NOTHING),
    _amounts(agents=st.integers(0, 4).map(float), memory_mb=st.sampled_from([0.0, 1024.0])),
)
tiers = st.sampled_from(list(Priority))


@st.composite
def shares(draw: st.DrawFn, name: str, *, plain: bool = False) -> ProjectShare:
    running = [] if plain else draw(st.lists(demands, max_size=3))
    waiting = draw(st.lists(demands, max_size=5))
    used = NOTHING
    for demand in running:
        used = used.plus(demand)
    ages = st.just(0.0) if plain else st.sampled_from([0.0, 60.0, 5000.0, 1e6, -100.0])
    return ProjectShare(
        name=name,
        weight=draw(st.sampled_from([0.5, 1.0, 3.0] if plain else [0.0, 0.5, 1.0, 3.0])),
        tier=draw(tiers),
        guaranteed=NOTHING if plain else draw(guarantees),
        limit=UNLIMITED if plain else draw(limits),
        lends=1.0 if plain else draw(st.sampled_from([0.0, 0.5, 1.0])),
        used=used,
        running=tuple(
            RunningTask(f"{name}-r{at}", demand, NOW - at, draw(tiers), draw(st.booleans()))
            for at, demand in enumerate(running)
        ),
        waiting=tuple(
            Task(f"{name}-{at}", demand, NOW - draw(ages), draw(tiers), draw(st.booleans()))
            for at, demand in enumerate(waiting)
        ),
        decayed_use=draw(st.sampled_from([NOTHING, Resources(agents=2.0, memory_mb=500.0)])),
        expected=draw(st.sampled_from([NOTHING, Resources(agents=3.0)])),
    )


@st.composite
def worlds(draw: st.DrawFn, *, plain: bool = False) -> Snapshot:
    names = [f"p{at}" for at in range(draw(st.integers(0, 5)))]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names)) if len(names) > 1 else st.nothing()
    history = draw(st.lists(pairs, max_size=3)) if len(names) > 1 and not plain else []
    return Snapshot(
        now=NOW,
        capacity=draw(capacities),
        projects=tuple(draw(shares(name, plain=plain)) for name in names),
        outside=NOTHING if plain else draw(st.sampled_from([NOTHING, Resources(memory_mb=1000.0)])),
        max_concurrent_projects=math.inf if plain else draw(st.sampled_from([math.inf, 0.0, 1.0, 2.0])),
        reclaimed=tuple(Reclaimed(taker=a, victim=b, at=NOW - 60.0) for a, b in history if a != b),
    )


wild = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0, -0.0, 1e308, 5e-324, None, "many"]),
    st.floats(allow_nan=True, allow_infinity=True),
)
wild_amounts = st.builds(Resources, *[st.one_of(wild, st.sampled_from([0.0, 1.0, 100.0]))] * 6)


@st.composite
def nonsense(draw: st.DrawFn) -> Snapshot:
    """What no configuration should give, and what must do no harm all the same."""
    projects = tuple(
        ProjectShare(
            name=draw(st.sampled_from("abc")),  # twice, too
            weight=draw(wild),
            tier=draw(st.sampled_from([Priority.HIGH, "urgent"])),
            guaranteed=draw(wild_amounts),
            limit=draw(wild_amounts),
            used=draw(st.one_of(st.just(NOTHING), wild_amounts)),
            lends=draw(wild),
            decayed_use=draw(wild_amounts),
            expected=draw(wild_amounts),
            running=tuple(
                RunningTask(f"r{at}", draw(wild_amounts), draw(st.floats()))
                for at in range(draw(st.integers(0, 2)))
            ),
            waiting=tuple(
                Task(
                    draw(st.sampled_from("uvwxyz")),
                    draw(st.one_of(demands, wild_amounts)),
                    draw(wild),
                    draw(st.sampled_from([Priority.LOW, "soon"])),
                )
                for _ in range(draw(st.integers(0, 4)))
            ),
        )
        for _ in range(draw(st.integers(0, 3)))
    )
    return Snapshot(
        now=draw(wild),
        capacity=draw(st.one_of(capacities, wild_amounts)),
        projects=projects,
        outside=draw(st.one_of(st.just(NOTHING), wild_amounts)),
        max_concurrent_projects=draw(wild),
        reclaimed=(Reclaimed(taker="a", victim="b", at=draw(st.floats())),),
    )
