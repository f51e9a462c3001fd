"""PURE: what keeps a project's work from starting whatever room there is, each as one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from core.domain.budget import Account, Scope, UnitStanding, worded
from core.scheduler.workhours import Hours, work_time


def hours_bar(project: str, hours: Hours | None, now: datetime) -> str:
    """Outside its work hours: until when, by the clocks of its zone. Empty: it may work."""
    found = work_time(now, hours)
    if hours is None or found.allowed:
        return ""
    span = f"{hours.start:%H:%M}-{hours.end:%H:%M} {hours.zone}"
    if found.until is None:
        return f"waits: it is outside the work hours of {project} ({span}), and none come within two weeks."
    until = found.until.astimezone(hours.zone)
    return f"waits: it is outside the work hours of {project} ({span}); next on {until:%A, %d %B, at %H:%M}."


def lock_bar(resource: str, places: int, wanted: int, holders: Sequence[str]) -> str:
    """A named resource has not enough places left. `holders`: stories, the longest first."""
    if wanted > places:
        there = f"which has {places}, so it can never start"
        return f"waits: it takes {wanted} places of {resource}, {there}; next when that is put right."
    who = ", ".join(holders) or "nobody"
    some = f"all {places} places" if places > 1 else "the only place"
    if len(holders) < places and wanted > 1:
        some = f"{wanted} places at once"
    then = f"{holders[0]} gives it back" if len(holders) == 1 else "one of them gives it back"
    return f"waits: {resource} is taken ({some}) by {who}; next when {then}."


def unknown_lock_bar(project: str, resource: str) -> str:
    return (
        f"waits: {project} takes places of {resource}, which is not there; next when "
        f"global.shared_resources says how many there are."
    )


def budget_bar(account: Account, one: UnitStanding, zone: tzinfo) -> str:
    """A budget that is used up, or that turns under way may use up. `zone`: the day's."""
    whose = f"{account.project}'s day" if account.scope is Scope.DAY else account.whose
    limit, spent = worded(one.unit, one.limit), worded(one.unit, one.spent)
    if one.limit == 0:
        return f"waits: {whose} may use {limit}, which is nothing; next when its settings allow more."
    then = "or raise it with /budget raise"
    if one.spent < one.limit:
        said = f"what runs may use the rest of the budget of {whose}, {spent} of {limit} being used"
        return f"waits: {said}; next when that has ended, {then}."
    if account.day is None:
        return (
            f"waits: the budget of {whose} is used up: {spent} of {limit}; "
            "next when it is raised: /budget raise."
        )
    ends = f"{account.day.end.astimezone(zone):%H:%M} {zone}"
    return f"waits: the budget of {whose} is used up: {spent} of {limit}; next at {ends}, {then}."
