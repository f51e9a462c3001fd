"""`orchard simulate`: a week of load, made or recorded, played with one strategy or several.

Nothing runs and nothing is changed: the store is read only, the playing is pure, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.configuration import loader
from config.fields import STRATEGIES, near
from config.loader import Configuration
from config.settings import ProjectSettings
from core.errors import InvalidInput, Unavailable
from core.monitoring.machine import read_machine
from core.orchestrator.project_terms import project_terms
from core.orchestrator.scheduling.pressure import capacity_of
from core.scheduler.builtin import BUILT_IN, strategy_named
from core.scheduler.custom import CustomStrategy
from core.scheduler.passes import PATIENCE_SECONDS
from core.scheduler.resources import Resources
from core.scheduler.simulation.outcome import Outcome, suggestion
from core.scheduler.simulation.recorded import recorded
from core.scheduler.simulation.run import compare
from core.scheduler.simulation.scenarios import MEANINGS, Scenario, synthetic
from core.scheduler.simulation.workload import DAY_SECONDS, LoadProject, Week
from core.scheduler.snapshot import ProjectShare, Snapshot
from core.scheduler.soundness import make_sound
from core.scheduler.strategy import Strategy
from core.store.load import KEPT_DAYS, PhaseRun, phase_runs

ALL = "all"
_FEWEST_RUNS = 10  # what is less says nothing
_BUSY_SECONDS = 5.0

Tell = Callable[[str, float], None]  # the strategy at work, and what part of it is done


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants played. `agents` None: as configured, or as fits the projects."""

    strategies: tuple[str, ...] = (ALL,)
    scenario: str = Scenario.MIXED
    projects: int = 40
    days: float = 7.0
    seed: int = 1
    agents: int | None = None
    recorded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`notes` are sentences on where the figures come from; `charts` are files that were written."""

    week: str
    meaning: str
    starts_at: datetime
    days: float
    projects: int
    seed: int | None
    capacity: Resources
    patience_seconds: float
    outcomes: tuple[Outcome, ...]
    suggestion: tuple[str, ...]
    notes: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()


async def simulate(root: Path, wish: Wish, *, tell: Tell | None = None) -> Comparison:
    """Raises ConfigError, InvalidInput, Unavailable (nothing recorded), StrategyRefused."""
    configuration = loader(root)()
    names = _strategies(wish.strategies, configuration)
    stop = threading.Event()

    def heard(name: str, part: float) -> None:
        if stop.is_set():  # who asked has gone
            raise InterruptedError
        if tell is not None:
            tell(name, part)

    def play() -> Comparison:
        with ExitStack() as stack:
            week, notes = _week(configuration, wish)
            strategies = [_made(stack, name, week, root) for name in names]
            return _comparison(wish, week, notes, compare(week, strategies, tell=heard))

    try:
        return await asyncio.to_thread(play)
    except asyncio.CancelledError:
        stop.set()
        raise


def _comparison(wish: Wish, week: Week, notes: tuple[str, ...], outcomes: tuple[Outcome, ...]) -> Comparison:
    made = not wish.recorded
    return Comparison(
        week=week.name,
        meaning=MEANINGS[Scenario(wish.scenario)] if made else "what really ran, under the present settings",
        starts_at=datetime.fromtimestamp(week.starts_at, UTC),
        days=week.seconds / DAY_SECONDS,
        projects=len(week.projects),
        seed=wish.seed if made else None,
        capacity=week.capacity,
        patience_seconds=PATIENCE_SECONDS,
        outcomes=outcomes,
        suggestion=suggestion(outcomes, PATIENCE_SECONDS),
        notes=notes,
    )


# -- strategies --------------------------------------------------------------------------------


def _strategies(words: Sequence[str], configuration: Configuration) -> tuple[str, ...]:
    """Names in the order in which they were said, each once. `all`: ours and the configured one."""
    names: list[str] = []
    for word in words:
        for name in filter(None, (part.strip() for part in word.split(","))):
            if name == ALL:
                names += [*BUILT_IN, configuration.settings.global_.resource_allocation_strategy]
            elif name in BUILT_IN or ":" in name or "." in name:
                names.append(name)
            else:
                raise InvalidInput(
                    f"There is no strategy {name!r}{near(name, (*STRATEGIES, ALL))}.",
                    hint=f"Strategies: {', '.join(STRATEGIES)}, all, or your own as my_module:MyClass.",
                )
    if not names:
        raise InvalidInput("No strategy was named.", hint=f"Strategies: {', '.join(STRATEGIES)}, all.")
    return tuple(dict.fromkeys(names))


def _made(stack: ExitStack, name: str, week: Week, root: Path) -> Strategy:
    """Raises StrategyRefused for one of the user's that does not load, or fails with nothing to do."""
    strategy = strategy_named(name, root)  # where people keep theirs, beside orch-config.yaml
    if isinstance(strategy, CustomStrategy):
        stack.callback(strategy.close)
        projects = tuple(
            ProjectShare(name=each.name, weight=each.weight, tier=each.tier, limit=each.limit)
            for each in week.projects
        )
        first = Snapshot(now=week.starts_at, capacity=week.capacity, projects=projects)
        strategy.ask(make_sound(first).snapshot)
    return strategy


# -- weeks -------------------------------------------------------------------------------------


def _week(configuration: Configuration, wish: Wish) -> tuple[Week, tuple[str, ...]]:
    limits = configuration.settings.global_
    configured = configuration.config_file.is_file()
    capacity: Resources | None = None
    most, notes = float("inf"), []
    if configured or wish.recorded:
        reading = read_machine(configuration.state_path)
        # What a disk holds now says nothing of a week.
        capacity = capacity_of(limits, reading, disk_used_mb=0.0)._replace(disk_mb=float("inf"))
        most = float(limits.max_concurrent_projects)
        said = configuration.config_file.name if configured else "the defaults"
        notes.append(f"Limits are those of {said}; at most {most:g} projects at once.")
    else:
        notes.append("There is no orch-config.yaml here: the limits follow the number of projects.")
    if wish.agents is not None:
        if not 1 <= wish.agents <= 10_000:
            raise InvalidInput(f"There have to be 1 to 10,000 agents, not {wish.agents}.")
        capacity = _with_agents(capacity, wish.agents)
    if wish.recorded:
        return _recorded(configuration, capacity, most, wish.days, notes)
    try:
        scenario = Scenario(wish.scenario)
    except ValueError:
        known = ", ".join(Scenario)
        raise InvalidInput(
            f"There is no scenario {wish.scenario!r}{near(wish.scenario, list(Scenario))}.",
            hint=f"Scenarios: {known}.",
        ) from None
    return synthetic(
        scenario,
        projects=wish.projects,
        days=wish.days,
        seed=wish.seed,
        capacity=capacity,
        max_concurrent_projects=most,
    ), tuple(notes)


def _with_agents(capacity: Resources | None, agents: int) -> Resources:
    """As many, on a machine that has room for them."""
    room = Resources(cpu=agents / 2, memory_mb=agents * 1536.0)
    there = room if capacity is None else capacity.at_least(room)
    return there._replace(
        agents=float(agents),
        cycles=float("inf"),
        disk_mb=float("inf"),
        tokens_per_minute=float("inf"),
    )


def _recorded(
    configuration: Configuration,
    capacity: Resources | None,
    most: float,
    days: float,
    notes: list[str],
) -> tuple[Week, tuple[str, ...]]:
    assert capacity is not None
    if not 0.0 < days <= KEPT_DAYS:
        raise InvalidInput(f"{days:g} days are not recorded.", hint=f"What ran is kept for {KEPT_DAYS} days.")
    since = datetime.now(UTC) - timedelta(days=days)
    runs = _runs(configuration.state_path / "orchard.db", since)
    if len(runs) < _FEWEST_RUNS:
        raise Unavailable(
            "There is not enough recorded load to play yet.",
            why=_recorded_so_far(runs, days),
            hint="Let your projects work for a while, or play a made week: orchard simulate --scenario mixed",
        )
    projects = _load_projects(configuration.settings.projects)
    week = recorded(runs, projects, capacity=capacity, max_concurrent_projects=most)
    gone = {run.project for run in runs} - projects.keys()
    notes.append(
        f"Recorded: {len(runs):,} phases of {len(week.stories):,} stories "
        f"since {runs[0].started_at:%d %b %H:%M} UTC."
    )
    if gone:
        notes.append(f"Left out, since they are no projects now: {', '.join(sorted(gone))}.")
    return week, tuple(notes)


def _recorded_so_far(runs: Sequence[PhaseRun], days: float) -> str:
    if not runs:
        return f"No phase has ended within {days:g} days."
    phases = "1 phase has" if len(runs) == 1 else f"{len(runs)} phases have"
    return f"Only {phases} ended, since {runs[0].started_at:%d %b %Y %H:%M} UTC."


def _runs(path: Path, since: datetime) -> tuple[PhaseRun, ...]:
    if not path.is_file():
        return ()
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as conn:
            conn.row_factory = sqlite3.Row
            return phase_runs(conn, since=since)
    except sqlite3.Error as error:
        raise Unavailable(
            "What was recorded cannot be read.",
            why=f"{path}: {error}.",
            hint="A store of an older Orchard is brought up to date by: orchard status",
        ) from error


def _load_projects(settings: Mapping[str, ProjectSettings]) -> dict[str, LoadProject]:
    found = {}
    for name, project in settings.items():
        terms = project_terms(name, project)
        found[name] = LoadProject(
            name=name,
            weight=terms.weight,
            tier=terms.tier,
            guaranteed=terms.guaranteed,
            limit=terms.limit,
            lends=terms.lends,
            parallel=max(terms.cycles, 1),
            hours=terms.hours,
            each=terms.phase,
        )
    return found
