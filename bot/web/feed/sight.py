"""What a listener may see, what it wishes to see, and the view that comes of both. PURE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from core.domain.event import Event, EventKind
from core.domain.metric import METRICS, Sample
from core.errors import InvalidInput
from core.security.access import EVERY_PROJECT, Action, Asker, may

MOST_NAMES = 200  # of projects, and of kinds, in one wish
_MOST_FIELDS = 2 * MOST_NAMES + 1
_LONGEST_NAME = 100
_LARGEST_CURSOR = 2**63 - 1


class FrameType(StrEnum):
    HELLO = "hello"  # what is sent from here on, and from which cursor
    METRIC = "metric_update"
    ALERT = "alert_update"
    EVENT = "event"
    SUMMARY = "summary"  # how much of what a slow listener was not sent
    ERROR = "error"


_ASKED_FOR = frozenset({FrameType.METRIC.value, FrameType.ALERT.value, FrameType.EVENT.value})
KINDS = _ASKED_FOR | {kind.value for kind in EventKind} | METRICS.keys()
"""What may be wished for: a type of frame, or one kind of event, or one metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """`projects` None: every one. `system`: what is of no project. `whole`: texts and people, too."""

    projects: frozenset[str] | None
    system: bool
    whole: bool

    @property
    def blind(self) -> bool:
        return not self.system and self.projects is not None and not self.projects


def sight_of(asker: Asker, *, whole: bool = True) -> Sight:
    """By the rules of SEE_PROJECT and SEE_SYSTEM."""
    system = asker.levels.everywhere is not None and may(Action.SEE_SYSTEM, asker).allowed
    if may(Action.SEE_PROJECT, asker, EVERY_PROJECT).allowed and asker.projects is None:
        return Sight(projects=None, system=system, whole=whole)
    named = asker.projects if asker.projects is not None else asker.levels.projects.keys()
    seen = frozenset(name for name in named if may(Action.SEE_PROJECT, asker, name).allowed)
    return Sight(projects=seen, system=system, whole=whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """None: all that there is. `since`: the cursor that was reached before; None: from now on."""

    projects: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is sent; all listeners of equal views are sent the same frames."""

    sight: Sight
    projects: frozenset[str] | None = None
    kinds: frozenset[str] | None = None

    @classmethod
    def of(cls, sight: Sight, wish: Wish) -> View:
        return cls(sight=sight, projects=wish.projects, kinds=wish.kinds)

    def holds(self, project: str | None) -> bool:
        if project is None:
            return self.sight.system and self.projects is None
        seen = self.sight.projects
        return (seen is None or project in seen) and (self.projects is None or project in self.projects)

    def wants_event(self, event: Event) -> bool:
        if not self.holds(event.project):
            return False
        return self.kinds is None or not self.kinds.isdisjoint((type_of(event).value, event.kind.value))

    def wants_sample(self, sample: Sample) -> bool:
        return self.wants_metric(sample.metric) and self.holds(sample.project)

    def wants_metric(self, name: str) -> bool:
        return self.kinds is None or FrameType.METRIC.value in self.kinds or name in self.kinds


def type_of(event: Event) -> FrameType:
    return FrameType.ALERT if event.kind is EventKind.ALERT_CHANGED else FrameType.EVENT


def wish_of_query(query: bytes) -> Wish:
    """`?project=shop&project=bank&kind=event&since=120`. Raises InvalidInput."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise _misfit("The address cannot be read.") from None
    found: dict[str, list[str]] = {"project": [], "kind": [], "since": []}
    for name, value in pairs:
        if name not in found:
            raise _misfit(f"There is nothing called {name[:_LONGEST_NAME]!r}.")
        found[name].append(value)
    if len(found["since"]) > 1:
        raise _misfit("since stands there twice.")
    return Wish(
        projects=_names(found["project"]) if found["project"] else None,
        kinds=_kinds(found["kind"]) if found["kind"] else None,
        since=_cursor(found["since"][0]) if found["since"] else None,
    )


def wish_of_message(text: str) -> Wish:
    """`{"type": "subscribe", "projects": [...], "kinds": [...], "since": 120}`; what is absent or null is all
    there is, and for `since`: on from where it is. Raises InvalidInput."""
    try:
        said = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _misfit("It is no JSON that can be read.") from None
    if not isinstance(said, dict):
        raise _misfit("It is no object.")
    if said.get("type") != "subscribe":
        raise _misfit('Its type is not "subscribe".')
    if unknown := said.keys() - {"type", "projects", "kinds", "since"}:
        raise _misfit(f"There is nothing called {min(unknown)[:_LONGEST_NAME]!r}.")
    projects, kinds, since = _list(said, "projects"), _list(said, "kinds"), said.get("since")
    return Wish(
        projects=None if projects is None else _names(projects),
        kinds=None if kinds is None else _kinds(kinds),
        since=None if since is None else _cursor(since),
    )


def _list(said: Mapping[str, Any], name: str) -> list[str] | None:
    found = said.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _misfit(f"{name} is no list of texts.")
    return found


def _names(found: Iterable[str]) -> frozenset[str]:
    names = frozenset(one.strip().lower() for one in found)
    if len(names) > MOST_NAMES or any(not one or len(one) > _LONGEST_NAME for one in names):
        raise _misfit(f"It takes 1 to {MOST_NAMES} names of 1 to {_LONGEST_NAME} characters.")
    return names


def _kinds(found: Iterable[str]) -> frozenset[str]:
    kinds = _names(found)
    if unknown := kinds - KINDS:
        raise _misfit(f"There is no kind {min(unknown)!r}.")
    return kinds


def _cursor(found: object) -> int:
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 20:
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _LARGEST_CURSOR:
        raise _misfit("since is no cursor: a whole number from 0 on.")
    return found


def _misfit(why: str) -> InvalidInput:
    return InvalidInput(
        "This wish cannot be met.",
        why=why,
        hint='Send {"type": "subscribe", "projects": ["shop"], "kinds": ["event"], "since": 120}; each but '
        "the type may be left out.",
    )


def _no_number(text: str) -> None:
    raise ValueError(text)
