"""PURE: which work of each project is offered to the strategy, and who gets a place of a shared resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.lifecycles import CycleState
from core.domain.story import Cycle, Priority
from core.orchestrator.scheduling.bars import lock_bar, unknown_lock_bar
from core.orchestrator.scheduling.demand import Terms
from core.scheduler.resources import Resources
from core.scheduler.snapshot import TIERS


class Kind(StrEnum):
    PHASE = "phase"  # an agent at one phase of a story
    MERGE = "merge"  # stories that go onto the main branch together
    DESIGN = "design"  # an agent that splits an epic


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A story whose next phase could start, with what orders it among its project's own."""

    cycle: Cycle
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """`id` is the story's, the first story's of a merge, or the epic's. `cycles`: what starts with it."""

    id: str
    project: str
    kind: Kind
    demand: Resources
    priority: Priority = Priority.NORMAL
    cycles: tuple[Cycle, ...] = ()
    wants: Mapping[str, int] = field(default_factory=dict)  # places of shared resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """A shared resource: all its places, those nobody has, and who has the others."""

    places: int
    free: int
    holders: tuple[str, ...] = ()  # stories, the longest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    candidates: tuple[Candidate, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)  # story to sentence
    rest: str = ""  # of the project's other stories that could start


def needs_agent(cycle: Cycle) -> bool:
    """Whether its next phase has a turn: a merge has none, nor has what a person did by hand."""
    return cycle.state is not CycleState.COMMIT and not cycle.by_hand


def in_order(ready: Sequence[Ready]) -> list[Ready]:
    """By priority, begun stories before fresh ones, then the longest untouched."""
    return sorted(
        ready,
        key=lambda one: (TIERS[one.priority], one.cycle.generation == 0, one.cycle.updated_at),
    )


def candidates_of(
    terms: Terms,
    ready: Sequence[Ready],
    *,
    stories_running: int,
    merging: str = "",
    batch_size: int = 1,
) -> Chosen:
    """No more of a project than it may have at work: so a crowd of stories costs the strategy nothing.

    `merging`: a story of the project that is being merged now; the others that are ready for it wait. Those
    are offered together, as one merge, beside the phases: it needs no agent, and frees those who need it.
    """
    room = max(terms.cycles - stories_running, 0)
    waits: dict[str, str] = {}
    ordered = in_order(ready)
    merges = [one for one in ordered if one.cycle.state is CycleState.COMMIT]
    if merging:
        waits |= {one.cycle.story_id: _merged_first(merging) for one in merges}
        merges = []
    found: list[Candidate] = []
    behind: list[Ready] = []
    for one in ordered:
        if one.cycle.state is CycleState.COMMIT:
            if merges and one is merges[0] and room:
                found.append(_merge(terms, merges[: max(batch_size, 1)]))
        elif sum(1 for each in found if each.kind is Kind.PHASE) < room:
            found.append(_phase(terms, one))
        else:
            behind.append(one)
    rest = _rest(terms, stories_running, room, found)
    waits |= {one.cycle.story_id: rest for one in behind}
    if merges and room:
        first = _merged_first(merges[0].cycle.story_id)
        waits |= {one.cycle.story_id: first for one in merges[1:]}
    else:
        waits |= {one.cycle.story_id: rest for one in merges}
    return Chosen(candidates=tuple(found), waits=waits, rest=rest)


def _phase(terms: Terms, one: Ready) -> Candidate:
    return Candidate(
        id=one.cycle.story_id,
        project=terms.name,
        kind=Kind.PHASE,
        demand=terms.phase,
        priority=one.priority,
        cycles=(one.cycle,),
        wants=terms.shared,
    )


def _merge(terms: Terms, batch: Sequence[Ready]) -> Candidate:
    return Candidate(
        id=batch[0].cycle.story_id,
        project=terms.name,
        kind=Kind.MERGE,
        demand=terms.merge,
        priority=batch[0].priority,
        cycles=tuple(one.cycle for one in batch),
        wants=terms.shared,
    )


def _rest(terms: Terms, running: int, room: int, found: Sequence[Candidate]) -> str:
    name, most = terms.name, terms.cycles
    if room and not found:
        return ""
    if most == 1:
        works, which = f"{name} works on 1 story at a time (max_parallel_cycles)", "the one at work"
    else:
        works, which = f"{name} works on {running} of at most {most} stories at once", "one of them"
    first = [candidate.id for candidate in found] if room else []
    if most == 1 and first:
        which = first[0] if len(first) == 1 else "one of them"
    come = f", and {_listed(first)} {'comes' if len(first) == 1 else 'come'} first" if first else ""
    return f"waits: {works}{come}; next when {which} is done or has to wait."


def _merged_first(story: str) -> str:
    return f"waits: {story} is being merged first; next when that merge has ended."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def share_out(
    waiting: Sequence[Candidate], shared: Mapping[str, Places]
) -> tuple[tuple[Candidate, ...], Mapping[str, str]]:
    """Those who can have all places that they want, in the order given, and why the others cannot.

    Whoever waited longest should stand first: a place goes to one story at a time, whatever its project's
    share, and else two projects would never take turns.
    """
    free = {name: places.free for name, places in shared.items()}
    taken: dict[str, list[str]] = {name: list(places.holders) for name, places in shared.items()}
    able: list[Candidate] = []
    bars: dict[str, str] = {}
    for candidate in waiting:
        bar = ""
        for name, wanted in candidate.wants.items():
            if name not in free:
                bar = unknown_lock_bar(candidate.project, name)
            elif free[name] < wanted:
                bar = lock_bar(name, shared[name].places, wanted, taken[name])
            if bar:
                break
        if bar:
            bars |= dict.fromkeys((cycle.story_id for cycle in candidate.cycles), bar)
            continue
        for name, wanted in candidate.wants.items():
            free[name] -= wanted
            taken[name].append(candidate.id)
        able.append(candidate)
    return tuple(able), bars
