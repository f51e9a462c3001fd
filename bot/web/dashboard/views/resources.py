"""How resources are shared, as the page shows it. PURE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.web.dashboard.words import tidy
from core.orchestrator.resource_views import LockView, ProjectResources, ResourcesView, ResourceView
from core.scheduler.resources import Resource

NAMES = {
    Resource.AGENTS.value: "Agents",
    Resource.CYCLES.value: "Stories",
    Resource.CPU.value: "Processors",
    Resource.MEMORY_MB.value: "Memory",
    Resource.DISK_MB.value: "Disk",
}
_FULL, _TIGHT = 0.95, 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Amounts in words; None: no data, or no limit."""

    used: str | None
    allocated: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    view: ProjectResources
    cells: tuple[Cell, ...]  # in the order of NAMES
    said: tuple[str, ...]
    share_said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """`share` and `reserved` of the limit; None: there is none, or no data."""

    name: str
    used: str | None
    limit: str | None
    share: float | None
    reserved: float | None
    tone: str
    said: str


def rows(view: ResourcesView, sees: Callable[[str], bool]) -> tuple[Row, ...]:
    return tuple(_row(one) for one in view.projects if sees(one.project))


def totals(view: ResourcesView) -> tuple[Total, ...]:
    return tuple(_total(one) for one in view.total if one.resource in NAMES)


def locks(view: ResourcesView, sees_story: Callable[[str], bool]) -> tuple[LockView, ...]:
    """With the stories that the viewer may see; others' are only counted among the places."""
    return tuple(
        LockView(
            name=lock.name,
            places=lock.places,
            holders=tuple(one if sees_story(one) else "another project's" for one in lock.holders),
            waiting=tuple(one if sees_story(one) else "another project's" for one in lock.waiting),
        )
        for lock in view.locks
    )


def _row(one: ProjectResources) -> Row:
    by_name = {each.resource: each for each in one.resources}
    return Row(
        view=one,
        cells=tuple(_cell(by_name.get(name)) for name in NAMES),
        said=tuple(filter(None, (one.barred, one.forecast, *one.problems))),
        share_said=f"holds {one.share:.0%}, may count on {one.entitled:.0%}",
    )


def _cell(one: ResourceView | None) -> Cell:
    if one is None:
        return Cell(used=None, allocated=None)
    return Cell(used=_amount(one, one.used), allocated=_amount(one, one.allocated))


def _total(one: ResourceView) -> Total:
    share = one.used / one.limit if one.used is not None and one.limit else None
    tone = "" if share is None or share < _TIGHT else "ask" if share < _FULL else "bad"
    return Total(
        name="Load" if one.resource == Resource.CPU.value else NAMES[one.resource],  # also what others run
        used=_amount(one, one.used),
        limit=_amount(one, one.limit),
        share=share,
        reserved=one.reserved / one.limit if one.limit else None,
        tone=tone,
        said="" if share is None else f"{share:.0%} in use",
    )


def _amount(one: ResourceView, amount: float | None) -> str | None:
    if amount is None:
        return None
    if one.unit == "MB" and abs(amount) >= 1024:
        return f"{tidy(round(amount / 1024, 1))} GB"
    return f"{tidy(round(amount, 1))} MB" if one.unit == "MB" else tidy(round(amount, 1))


def columns() -> Sequence[str]:
    return tuple(NAMES.values())
