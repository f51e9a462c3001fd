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
from core.scheduler.snapshot import TIERS, ProjectShare, Reclaimed, RunningTask, Snapshot, Task

HEAVIEST = 1e6
LIGHTEST = 1e-6  # what weighs less weighs nothing
SMALLEST = 1e-9  # of a capacity: of less, shares would be numbers without end
LARGEST = 1e15  # of any amount: sums stay exact and far from overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    snapshot: Snapshot
    problems: tuple[str, ...] = ()
    aside: tuple[Wait, ...] = ()


def make_sound(snapshot: Snapshot) -> Sound:
    """Raises nothing. A snapshot without fault comes back as it is, with its projects sorted by name."""
    if _has_no_fault(snapshot):
        ordered = sorted(snapshot.projects, key=attrgetter("name"))
        if all(map(is_, ordered, snapshot.projects)):
            return Sound(snapshot=snapshot)
        return Sound(snapshot=replace(snapshot, projects=tuple(ordered)))
    notes: list[str] = []
    aside: list[Wait] = []
    now = _number(snapshot.now)
    if not math.isfinite(now):
        notes.append(f"The time is {snapshot.now}: nobody counts as having waited.")
        now = 0.0
    capacity = _amounts(snapshot.capacity, "the capacity", notes, _as_nothing, unlimited=True)
    capacity = Resources(*[there if there >= SMALLEST else 0.0 for there in capacity])
    outside = _amounts(snapshot.outside, "what others take of the machine", notes, _as_all)
    names: set[str] = set()
    ids: set[str] = set()
    projects = []
    for project in sorted(map(_named, snapshot.projects), key=attrgetter("name")):
        if project.name in names:
            notes.append(f"{project.name} is there twice: only the first counts.")
            aside += _broken(project, project.waiting, "its project is there twice.")
            continue
        names.add(project.name)
        projects.append(_project(project, now, math.isfinite(_number(snapshot.now)), ids, notes, aside))
    projects = _cut_guarantees(projects, capacity, notes)
    most = _number(snapshot.max_concurrent_projects)
    if math.isnan(most) or most < 0:
        notes.append(f"max_concurrent_projects is {snapshot.max_concurrent_projects}: taken as 0.")
        most = 0.0
    most = most if most == math.inf else float(math.floor(most))
    return Sound(
        snapshot=replace(
            snapshot,
            now=now,
            capacity=capacity,
            outside=outside,
            projects=tuple(projects),
            max_concurrent_projects=most,
            reclaimed=tuple(map(_history, snapshot.reclaimed)),
        ),
        problems=tuple(notes),
        aside=tuple(aside),
    )


def _has_no_fault(snapshot: Snapshot) -> bool:
    """Quick, and not sure: False only means that it is to be looked at closely."""
    try:
        now, capacity = snapshot.now, snapshot.capacity
        if not (-math.inf < now < math.inf and sum(capacity) >= 0.0 and min(capacity) >= 0.0):
            return False
        if any(0.0 < there < SMALLEST for there in capacity):
            return False
        most = snapshot.max_concurrent_projects
        if not (is_sound(snapshot.outside) and most >= 0.0 and (most == math.inf or most == int(most))):
            return False
        names: set[str] = set()
        ids: set[str] = set()
        tasks = 0
        promised: list[Resources] = []
        if not all(map(_is_plain_history, snapshot.reclaimed)):
            return False
        for project in snapshot.projects:
            if not (_is_plain(project) and _are_plain(project.waiting, now, ids)):
                return False
            if type(project.name) is not str:
                return False
            names.add(project.name)
            tasks += len(project.waiting)
            if project.guaranteed is not NOTHING:
                promised.append(project.guaranteed)
        if promised and not total(promised).fits(capacity):
            return False
        return len(names) == len(snapshot.projects) and len(ids) == tasks
    except (TypeError, ValueError):
        return False


def _is_plain_history(one: Reclaimed) -> bool:
    return isinstance(one.taker, str) and isinstance(one.victim, str) and one.at == one.at + 0.0


def _is_plain(project: ProjectShare) -> bool:
    l0, l1, l2, l3, l4, l5 = project.limit
    return (
        (LIGHTEST <= project.weight <= HEAVIEST or project.weight == 0.0)
        and 0.0 <= project.lends <= 1.0
        and project.tier in TIERS
        and (l0 >= 0.0 and l1 >= 0.0 and l2 >= 0.0 and l3 >= 0.0 and l4 >= 0.0 and l5 >= 0.0)
        and (project.used is NOTHING or is_sound(project.used))
        and (project.guaranteed is NOTHING or is_sound(project.guaranteed))
        and (project.decayed_use is NOTHING or is_sound(project.decayed_use))
        and (project.expected is NOTHING or is_sound(project.expected))
        and (not project.running or all(map(_is_plain_run, project.running)))
    )


def _is_plain_run(task: RunningTask) -> bool:
    return is_sound(task.demand) and task.started_at == task.started_at and task.priority in TIERS


def _are_plain(tasks: tuple[Task, ...], now: float, ids: set[str]) -> bool:
    last, usual, never = None, None, -math.inf
    for task_id, demand, came, priority, _, _ in tasks:
        if demand is not last:
            if not is_sound(demand):
                return False
            last = demand
        if priority is not usual:
            if priority not in TIERS:
                return False
            usual = priority
        if not never < came <= now or type(task_id) is not str:
            return False
        ids.add(task_id)
    return True


def is_sound(amounts: Resources) -> bool:
    """None below zero, none above what can be counted with."""
    try:
        a0, a1, a2, a3, a4, a5 = amounts
        return (
            0.0 <= a0 <= LARGEST
            and 0.0 <= a1 <= LARGEST
            and 0.0 <= a2 <= LARGEST
            and 0.0 <= a3 <= LARGEST
            and 0.0 <= a4 <= LARGEST
            and 0.0 <= a5 <= LARGEST
        )
    except (TypeError, ValueError):
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
    return 0.0 if amount < 0 else LARGEST


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
            taken = "all of it" if amount == LARGEST else f"{amount:g}"
            notes.append(f"{what[0].upper()}{what[1:]} in {resource.value} is {given}: taken as {taken}.")
        found.append(amount)
    return Resources(*found)


def _broken(project: ProjectShare, tasks: tuple[Task, ...], detail: str) -> list[Wait]:
    if not tasks:
        return []
    return [Wait(project.name, tuple(task.id for task in tasks), Obstacle.BROKEN, detail=detail)]


def _named(project: ProjectShare) -> ProjectShare:
    """A name that is no text cannot be sorted among the others."""
    return project if isinstance(project.name, str) else replace(project, name=str(project.name))


def _project(
    project: ProjectShare,
    now: float,
    clock_is_right: bool,
    ids: set[str],
    notes: list[str],
    aside: list[Wait],
) -> ProjectShare:
    changed: dict[str, Any] = {}
    name = project.name
    weight = _number(project.weight)
    if not (weight == 0.0 or LIGHTEST <= weight <= HEAVIEST):
        weight = 1.0 if math.isnan(weight) else 0.0 if weight < LIGHTEST else HEAVIEST
        notes.append(f"The weight of {name} is {project.weight}: taken as {weight:g}.")
    if not _is_tier(project.tier):
        notes.append(f"The priority of {name} is {project.tier!r}: taken as normal.")
        changed["tier"] = Priority.NORMAL
    lends = _number(project.lends)
    if not 0.0 <= lends <= 1.0:
        lends = min(max(lends, 0.0), 1.0) if not math.isnan(lends) else 1.0
        notes.append(f"What {name} lends is {project.lends}: taken as {lends:g}.")
    limit = _amounts(project.limit, f"the limit of {name}", notes, _as_nothing, unlimited=True)
    for field in ("guaranteed", "decayed_use", "expected"):
        changed[field] = _amounts(getattr(project, field), f"{field} of {name}", notes, _as_nothing)
    waiting = _waiting(project, now, clock_is_right, ids, aside)
    if not is_sound(project.used):
        known = total([task.demand for task in project.running if is_sound(task.demand)])
        changed["used"] = _amounts(
            project.used, f"the use of {name}", notes, lambda resource, _: known.get(resource)
        )
        aside += _broken(project, waiting, f"what {name} uses is not known.")
        waiting = ()
    running = tuple(_running(task, now) for task in project.running if is_sound(task.demand))
    return replace(
        project, weight=weight, lends=lends, limit=limit, waiting=waiting, running=running, **changed
    )


def _is_tier(priority: Any) -> bool:
    return isinstance(priority, str) and priority in TIERS


def _history(one: Reclaimed) -> Reclaimed:
    """At a time that makes no sense: just now, so that it counts."""
    at = _number(one.at)
    return Reclaimed(taker=str(one.taker), victim=str(one.victim), at=math.inf if math.isnan(at) else at)


def _running(task: RunningTask, now: float) -> RunningTask:
    began = _number(task.started_at)
    return task._replace(
        id=str(task.id),
        started_at=now if math.isnan(began) else began,
        priority=task.priority if _is_tier(task.priority) else Priority.NORMAL,
    )


def _waiting(
    project: ProjectShare, now: float, clock_is_right: bool, ids: set[str], aside: list[Wait]
) -> tuple[Task, ...]:
    """The tasks that can be counted with. One from the future has not waited yet, nor has any when it is not
    known what time it is."""
    kept = []
    for task in project.waiting:
        if not isinstance(task.id, str):
            aside += _broken(project, (task,), f"{task.id!r} is no id.")
        elif not is_sound(task.demand):
            aside += _broken(project, (task,), f"what it needs makes no sense: {_shown(task.demand)}.")
        elif task.id in ids:
            aside += _broken(project, (task,), f"{task.id} is there twice.")
        else:
            ids.add(task.id)
            came = _number(task.submitted_at)
            if not (clock_is_right and -math.inf < came <= now):
                came = now
            tier = task.priority if _is_tier(task.priority) else Priority.NORMAL
            kept.append(task._replace(submitted_at=came, priority=tier))
    return tuple(kept)


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
