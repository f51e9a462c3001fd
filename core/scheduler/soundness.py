"""PURE: figures that make no sense, and what is done about each: always the careful reading.

Whatever comes in, a snapshot comes out that the strategies can count with, the tasks that were set aside,
and a sentence for each figure that was not taken as it stood.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter, is_
from typing import Any

from core.domain.story import Priority
from core.scheduler.decision import Obstacle, Wait
from core.scheduler.resources import NOTHING, RESOURCES, Resource, Resources, total
from core.scheduler.snapshot import TIERS, ProjectShare, Snapshot, Task

HEAVIEST = 1e6
LARGEST = 1e15  # of any amount: sums stay exact and far from overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    snapshot: Snapshot
    problems: tuple[str, ...] = ()
    aside: tuple[Wait, ...] = ()


def make_sound(snapshot: Snapshot) -> Sound:
    """Raises nothing. A snapshot without fault comes back as it is, with its projects sorted by name."""
    notes: list[str] = []
    aside: list[Wait] = []
    now = _number(snapshot.now)
    if not math.isfinite(now):
        notes.append(f"The time is {snapshot.now}: nobody counts as having waited.")
        now = -math.inf
    capacity = _amounts(snapshot.capacity, "the capacity", notes, _as_nothing, unlimited=True)
    outside = _amounts(snapshot.outside, "what others take of the machine", notes, _as_all)
    names: set[str] = set()
    ids: set[str] = set()
    projects = []
    changed = False
    for project in sorted(snapshot.projects, key=attrgetter("name")):
        if project.name in names:
            notes.append(f"{project.name} is there twice: only the first counts.")
            aside += _broken(project, project.waiting, "its project is there twice.")
            continue
        names.add(project.name)
        sound = _project(project, capacity, now, ids, notes, aside)
        changed = changed or sound is not project
        projects.append(sound)
    projects = _cut_guarantees(projects, capacity, notes)
    most = _number(snapshot.max_concurrent_projects)
    if math.isnan(most) or most < 0:
        notes.append(f"max_concurrent_projects is {snapshot.max_concurrent_projects}: taken as 0.")
        most = 0.0
    if not (changed or notes or aside):
        in_order = len(projects) == len(snapshot.projects) and all(map(is_, projects, snapshot.projects))
        return Sound(snapshot=snapshot if in_order else replace(snapshot, projects=tuple(projects)))
    return Sound(
        snapshot=replace(
            snapshot,
            now=now,
            capacity=capacity,
            outside=outside,
            projects=tuple(projects),
            max_concurrent_projects=most,
        ),
        problems=tuple(notes),
        aside=tuple(aside),
    )


def is_sound(amounts: Resources) -> bool:
    """None below zero, none above what can be counted with."""
    try:
        whole = sum(amounts)
        return whole <= LARGEST and min(amounts) >= 0.0
    except TypeError:
        return False


def _number(value: Any) -> float:
    """NaN for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _as_nothing(resource: Resource, amount: float) -> float:
    return 0.0


def _as_all(resource: Resource, amount: float) -> float:
    return 0.0 if amount < 0 else math.inf


def _amounts(
    amounts: Resources,
    what: str,
    notes: list[str],
    instead: Callable[[Resource, float], float],
    *,
    unlimited: bool = False,
) -> Resources:
    """With `instead` in place of each amount that is NaN, below zero, or infinite (unless `unlimited`)."""
    if is_sound(amounts):
        return amounts
    found = []
    for resource, given in zip(RESOURCES, amounts, strict=True):
        amount = _number(given)
        if amount > LARGEST and unlimited:
            amount = math.inf
        if math.isnan(amount) or amount < 0 or (amount > LARGEST and not unlimited):
            amount = instead(resource, amount)
            taken = "all of it" if amount == math.inf else f"{amount:g}"
            notes.append(f"{what[0].upper()}{what[1:]} in {resource.value} is {given}: taken as {taken}.")
        found.append(amount)
    return Resources(*found)


def _broken(project: ProjectShare, tasks: tuple[Task, ...], detail: str) -> list[Wait]:
    if not tasks:
        return []
    return [Wait(project.name, tuple(task.id for task in tasks), Obstacle.BROKEN, detail=detail)]


def _project(
    project: ProjectShare,
    capacity: Resources,
    now: float,
    ids: set[str],
    notes: list[str],
    aside: list[Wait],
) -> ProjectShare:
    if _has_no_fault(project):
        waiting = _waiting(project, now, ids, aside)
        return project if waiting is project.waiting else replace(project, waiting=waiting)
    changed: dict[str, Any] = {}
    name = project.name
    weight = _number(project.weight)
    if math.isnan(weight) or weight < 0.0 or weight > HEAVIEST:
        weight = 1.0 if math.isnan(weight) else 0.0 if weight < 0.0 else HEAVIEST
        notes.append(f"The weight of {name} is {project.weight}: taken as {weight:g}.")
        changed["weight"] = weight
    if project.tier not in TIERS:
        notes.append(f"The priority of {name} is {project.tier!r}: taken as normal.")
        changed["tier"] = Priority.NORMAL
    lends = _number(project.lends)
    if not 0.0 <= lends <= 1.0:
        changed["lends"] = min(max(lends, 0.0), 1.0) if not math.isnan(lends) else 1.0
        notes.append(f"What {name} lends is {project.lends}: taken as {changed['lends']:g}.")
    if not is_sound(project.limit):
        limit = _amounts(project.limit, f"the limit of {name}", notes, _as_nothing, unlimited=True)
        changed["limit"] = limit
    for field in ("guaranteed", "decayed_use", "expected"):
        amounts = getattr(project, field)
        if amounts is not NOTHING and not is_sound(amounts):
            changed[field] = _amounts(amounts, f"{field} of {name}", notes, _as_nothing)
    if not is_sound(project.used):
        known = total([task.demand for task in project.running if is_sound(task.demand)])
        changed["used"] = _amounts(
            project.used, f"the use of {name}", notes, lambda resource, _: known.get(resource)
        )
    waiting = _waiting(project, now, ids, aside)
    if "used" in changed:
        aside += _broken(project, waiting, f"what {name} uses is not known.")
        waiting = ()
    if waiting is not project.waiting:
        changed["waiting"] = waiting
    if not all(is_sound(task.demand) for task in project.running):
        changed["running"] = tuple(task for task in project.running if is_sound(task.demand))
    return replace(project, **changed) if changed else project


def _has_no_fault(project: ProjectShare) -> bool:
    """Quick, and not sure: False sends it to be looked at closely."""
    try:
        limit = sum(project.limit)
        return (
            0.0 <= project.weight <= HEAVIEST
            and 0.0 <= project.lends <= 1.0
            and project.tier in TIERS
            and limit == limit
            and min(project.limit) >= 0.0
            and (project.used is NOTHING or is_sound(project.used))
            and (project.guaranteed is NOTHING or is_sound(project.guaranteed))
            and (project.decayed_use is NOTHING or is_sound(project.decayed_use))
            and (project.expected is NOTHING or is_sound(project.expected))
            and (not project.running or all(is_sound(task.demand) for task in project.running))
        )
    except TypeError:
        return False


def _waiting(project: ProjectShare, now: float, ids: set[str], aside: list[Wait]) -> tuple[Task, ...]:
    """The tasks that can be counted with. One from the future has not waited yet."""
    if not project.waiting:
        return ()
    own = {task[0] for task in project.waiting}
    if len(own) == len(project.waiting) and own.isdisjoint(ids) and _are_sound(project.waiting, now):
        ids |= own
        return project.waiting
    kept = []
    for task in project.waiting:
        if not is_sound(task.demand):
            aside += _broken(project, (task,), f"what it needs makes no sense: {_shown(task.demand)}.")
        elif task.id in ids:
            aside += _broken(project, (task,), f"{task.id} is there twice.")
        else:
            ids.add(task.id)
            came = _number(task.submitted_at)
            kept.append(task._replace(submitted_at=came if came <= now else now))
    return tuple(kept)


def _are_sound(tasks: tuple[Task, ...], now: float) -> bool:
    last = NOTHING
    for _, demand, submitted_at, _, _, _ in tasks:
        if (
            not isinstance(submitted_at, float | int)
            or not submitted_at <= now
            or (demand is not last and not is_sound(demand))
        ):
            return False
        last = demand
    return True


def _shown(amounts: Resources) -> str:
    odd = [
        f"{resource.value} {given}"
        for resource, given in zip(RESOURCES, amounts, strict=True)
        if not (math.isfinite(_number(given)) and _number(given) >= 0)
    ]
    return ", ".join(odd)


def _cut_guarantees(
    projects: list[ProjectShare], capacity: Resources, notes: list[str]
) -> list[ProjectShare]:
    """Guarantees whose sum is above the capacity are cut by one factor a resource."""
    promising = [project for project in projects if project.guaranteed is not NOTHING]
    if not promising:
        return projects
    promised = total([project.guaranteed for project in promising])
    if promised.fits(capacity):
        return projects
    factors = []
    for resource, amount, there in zip(RESOURCES, promised, capacity, strict=True):
        factors.append(min(there / amount, 1.0) if amount > 0.0 else 1.0)
        if factors[-1] < 1.0:
            notes.append(
                f"Guarantees of {resource.value} add up to {amount:g}, but there are {there:g}: "
                f"each is cut to {factors[-1]:.0%}."
            )
    return [
        replace(
            project,
            guaranteed=Resources(*[a * f for a, f in zip(project.guaranteed, factors, strict=True)]),
        )
        if project.guaranteed is not NOTHING
        else project
        for project in projects
    ]
